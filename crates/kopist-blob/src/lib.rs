//! A place that keeps named blobs.

mod config;
mod error;
pub mod faulty;
pub mod filesystem;
mod helpers;
mod id;
pub mod memory;
mod meta;
pub mod pace;
mod power_cut;
mod read_only;
mod recording;
pub mod retry;
pub mod sharded;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod throttle;
mod traced;

pub use config::{StorageConfig, normalize_keys};
pub use error::{BlobError, Feature, Operation, Target};
pub use faulty::{Fault, Faulty, When};
pub use filesystem::{FilesystemConfig, FilesystemStore};
pub use helpers::{any_with_prefix, delete_all, in_parallel, list_all, list_prefixes};
pub use id::BlobId;
pub use memory::MemoryStore;
pub use meta::{BlobMeta, ByteRange, Capacity, Leftovers, PutOptions, Retention};
pub use power_cut::{LastChange, PowerCut};
pub use read_only::ReadOnly;
pub use recording::{Call, Recording};
pub use retry::{Retry, RetryPolicy};
pub use store::BlobStore;
pub use throttle::{Limits, Throttle};
pub use traced::Traced;
