//! A place that keeps named blobs.
//!
//! # What a blob store is
//!
//! A map from short names ([`BlobId`]) to bytes, in which every value also has the time at which
//! the store received it. A repository needs five operations of it, and [`BlobStore`] is these
//! five: [`get`](BlobStore::get) a blob or a range of it, ask for its
//! [`metadata`](BlobStore::metadata), [`put`](BlobStore::put) one, [`delete`](BlobStore::delete)
//! one, and [`list`](BlobStore::list) those whose name starts with a prefix. The other methods
//! have defaults. All calls block; one store serves all threads.
//!
//! ```
//! use kopist_blob::{BlobStore, ByteRange, MemoryStore, PutOptions, list_all};
//!
//! let store = MemoryStore::new();
//! let id = "p2f6a-example".into();
//! store.put(&id, &[b"slices ", b"are joined"], &PutOptions::default())?;
//!
//! assert_eq!(&store.get(&id, ByteRange::Full)?[..], b"slices are joined");
//! let part = store.get(&id, ByteRange::Bounded { offset: 7, length: 3 })?;
//! assert_eq!(&part[..], b"are");
//! assert_eq!(list_all(&store, "p2f")?[0].length, 17);
//! # Ok::<(), kopist_blob::BlobError>(())
//! ```
//!
//! # What every store promises
//!
//! Backups are only as good as these sentences. Each is a case of the suite in `testing`, except
//! the first, which no test in one process can prove.
//!
//! * **Durable.** When a put returns, the blob survives a power cut.
//! * **Atomic.** Nobody sees part of a blob, neither by reading nor by listing; a put that fails
//!   leaves the old state or the complete new blob.
//! * **At once.** What a put or a deletion did is seen by every read and listing that starts
//!   after it has returned, in every process.
//! * **Exact.** A read yields what was asked for or an error, never fewer bytes.
//! * **Idempotent.** Every operation may be repeated after an error. Deleting what does not
//!   exist succeeds.
//! * **One clock.** The timestamps of one store never run backwards by more than minutes; they
//!   are compared with each other, not with the clock of this machine.
//! * **Errors say what they are.** Missing is [`BlobError::NotFound`], out of range is
//!   [`BlobError::InvalidRange`], and only what may pass by itself
//!   [is retriable](BlobError::is_retriable).
//!
//! # What is here
//!
//! * Stores: [`FilesystemStore`], in kopia's layout ([`sharded`]), and [`MemoryStore`]. The crate
//!   `kopist-cloud` has the others, and the function that opens any of them.
//! * Wrappers, each a store around a store: [`Retry`], [`Throttle`], [`ReadOnly`], [`Traced`],
//!   [`Metered`].
//! * Wrappers for tests: [`Recording`] (which blobs does this job touch?), [`Faulty`] (what if
//!   the store fails, loses an answer or lies?), [`PowerCut`] (what if the process dies between
//!   two changes?).
//! * Helpers: [`list_all`], [`list_prefixes`], [`delete_all`], [`in_parallel`].
//!
//! Time never passes by itself here: what waits does so by a [`pace::Timer`], and stores that
//! need the date take it as an argument.
//!
//! # How to add a store
//!
//! 1. Implement the seven required methods of [`BlobStore`]. Call [`BlobId::check`] before
//!    anything else. Map missing blobs and bad ranges to their errors; for the rest decide once
//!    whether a retry can help ([`BlobError::Remote`]). Do not retry by yourself, [`Retry`] does; only where one
//!    operation is many requests, such as the pages of a listing, use [`Attempts`] for each.
//! 2. Run `testing::conformance` (feature `testing`) on it. It takes a function that makes an
//!    empty store and names the promises that the store breaks.
//! 3. Give it a row in the table of `kopist-cloud`.

mod config;
mod error;
pub mod faulty;
pub mod filesystem;
mod helpers;
mod id;
pub mod memory;
mod meta;
pub mod metered;
pub mod pace;
mod power_cut;
mod read_only;
mod recording;
pub mod retry;
pub mod sharded;
mod store;
mod telling;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod throttle;
mod traced;

pub use config::{StorageConfig, normalize_keys};
pub use error::{BlobError, Feature, Operation, Target};
pub use faulty::{Fault, Faulty, When};
pub use filesystem::{FilesystemConfig, FilesystemStore};
pub use helpers::{any_with_prefix, delete_all, exists, in_parallel, list_all, list_prefixes};
pub use id::BlobId;
pub use memory::MemoryStore;
pub use meta::{BlobMeta, ByteRange, Capacity, Leftovers, PutOptions, Retention};
pub use metered::{Meter, Metered};
pub use power_cut::{LastChange, PowerCut};
pub use read_only::ReadOnly;
pub use recording::{Call, Recording};
pub use retry::{Attempts, Retry, RetryPolicy};
pub use store::BlobStore;
pub use telling::Telling;
pub use throttle::{Limits, Throttle};
pub use traced::Traced;
