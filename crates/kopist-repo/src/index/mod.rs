//! The committed index: which contents the repository has, and where.
//!
//! ```text
//! index blobs (x… or n…)  → which of them count: `epoch`, `legacy`      (a listing)
//!   → decrypted, one file each in the cache, memory-mapped: `files`     (fetched once)
//!     → `Segment`s, small ones merged                                   (in memory)
//!       → `IndexView`: one immutable sorted whole with ordinals
//! ```
//!
//! A view never changes; [`Repository::refresh`](crate::Repository::refresh) makes a new one from
//! the segments that are still in force and those that are new. `docs/decisions/merged-index.md`
//! tells why.
//!
//! Sources: `kopia:repo/content/committed_content_index.go`, `committed_read_manager.go`,
//! `kopia:repo/content/indexblob/`, `kopia:internal/epoch/`.

mod committed;
mod epoch;
pub(crate) mod legacy;
mod range;
mod segment;
mod set;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use committed::{ActiveSet, CommittedIndex, IndexSource};
pub(crate) use epoch::{EpochManager, ListedEpochs};
pub use range::KeyRange;
pub(crate) use segment::Segment;
pub use set::ContentSet;
pub use view::{Entries, IndexView, Ordinal};
