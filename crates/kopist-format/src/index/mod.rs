//! Indexes: sorted tables that say in which pack each content lies.
//!
//! An index is one immutable byte string: a small header, then fixed-size entries sorted by the
//! binary form of the content id, then tables of pack names (and, in version 2, of formats).
//! Nothing of it is copied or unpacked to be read, so [`Index`] works on anything that gives
//! bytes: a memory map, a decrypted blob, a fuzzer's input. Opening looks at the header and the
//! bounds of the sections; every later access is checked against the bytes that are there.
//!
//! * [`Index`]: lookup, iteration, ranges, by ordinal (position in key order).
//! * [`wins`]: which of two entries with the same id counts.
//! * [`IndexBuilder`]: collects entries, keeps the winners, writes.
//! * [`merge`]: the winners of many indexes in key order, without building anything in memory;
//!   together with [`encode_shards`] a compaction of any size.
//!
//! ```
//! use kopist_format::index::{Entry, Index, IndexBuilder};
//! let id = "k00112233445566778899aabbccddeeff".parse()?;
//! let mut builder = IndexBuilder::new();
//! builder.add(Entry {
//!     id, pack: "q00".into(), offset: 32, packed_length: 128, original_length: 100,
//!     timestamp: 1_700_000_000, deleted: false, format_version: 3, compression: 0,
//!     encryption_key: 0,
//! });
//! let blobs = builder.build_stable(2)?;
//! let index = Index::parse(&blobs[0][..], 28)?;
//! assert_eq!(index.get(&id)?.map(|e| e.pack), Some("q00"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Sources: `kopia:repo/content/index/index_v1.go`, `index_v2.go`, `index_builder.go`, `merged.go`.

mod builder;
mod encode;
mod entry;
mod merge;
mod read;
#[cfg(test)]
mod tests;

pub use builder::IndexBuilder;
pub use encode::{Division, MAX_SHARD_ENTRIES, encode, encode_shards};
pub use entry::{Entry, EntryRef, PackName, wins};
pub use merge::{Merge, merge};
pub use read::{IdRange, Index};

use crate::id::{ContentId, IdError};

/// Length of the random tail of an unstable index.
pub const RANDOM_SUFFIX_LENGTH: usize = 32;

/// Why an index cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The first byte, or a parameter, names a version that is neither 1 nor 2.
    #[error("index version {version} is not supported: a newer program may be needed")]
    UnsupportedVersion {
        /// The version.
        version: u8,
    },
    /// The header contradicts itself.
    #[error("invalid index header: {reason}")]
    InvalidHeader {
        /// What is wrong.
        reason: &'static str,
    },
    /// A section or a name lies outside of the bytes.
    #[error("damaged index: its {what} reaches to byte {end}, but it has only {available}")]
    Truncated {
        /// What was to be read.
        what: &'static str,
        /// Where that would end.
        end: u64,
        /// Length of the index.
        available: u64,
    },
    /// An entry that no writer produces.
    #[error("damaged index: entry {ordinal} has {reason}")]
    InvalidEntry {
        /// Position of the entry.
        ordinal: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A key that is no content id.
    #[error("damaged index: entry {ordinal}: {source}")]
    InvalidKey {
        /// Position of the entry.
        ordinal: usize,
        /// What is wrong with it.
        source: IdError,
    },
    /// The looked-up id has another length than the keys of this index.
    #[error(
        "content id {id} has a key of {found} bytes, but the keys of this index have {expected}"
    )]
    KeyLength {
        /// The id.
        id: ContentId,
        /// Length of its key.
        found: usize,
        /// Length of the keys of the index.
        expected: usize,
    },
    /// Entries reached the encoder out of order or twice.
    #[error("cannot write an index: entry {id} is not in ascending order")]
    NotSorted {
        /// The offender.
        id: ContentId,
    },
    /// An index without entries was to be written.
    #[error("cannot write an index without entries")]
    Empty,
    /// Version 1 cannot express this entry.
    #[error("cannot write {id} to an index of version 1: {what} needs version 2")]
    NotInVersion1 {
        /// The entry.
        id: ContentId,
        /// `compression` or `an encryption key id`.
        what: &'static str,
    },
    /// A number of an entry does not fit the format.
    #[error("cannot write {id} to an index: its {what} {value} is not below {limit}")]
    OutOfRange {
        /// The entry.
        id: ContentId,
        /// Which field.
        what: &'static str,
        /// Its value.
        value: i64,
        /// The first value that does not fit.
        limit: i64,
    },
    /// A pack name that is empty or longer than 255 bytes.
    #[error(
        "cannot write {id} to an index: its pack name has {length} bytes, 1 to 255 are possible"
    )]
    PackNameLength {
        /// The entry.
        id: ContentId,
        /// Length of the name.
        length: usize,
    },
    /// Too many distinct values for one index.
    #[error("cannot write an index with {count} {what}: at most {max} are possible")]
    TooMany {
        /// `entries`, `packs`, `formats` or `bytes`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many are possible.
        max: usize,
    },
}
