//! A place that keeps named blobs.

mod config;
mod error;
pub mod filesystem;
mod helpers;
mod id;
pub mod memory;
mod meta;
pub mod sharded;
mod store;
pub mod throttle;

pub use config::{StorageConfig, normalize_keys};
pub use error::{BlobError, Feature, Operation, Target};
pub use filesystem::{FilesystemConfig, FilesystemStore};
pub use helpers::{any_with_prefix, delete_all, in_parallel, list_all, list_prefixes};
pub use id::BlobId;
pub use memory::MemoryStore;
pub use meta::{BlobMeta, ByteRange, Capacity, Leftovers, PutOptions, Retention};
pub use store::BlobStore;
