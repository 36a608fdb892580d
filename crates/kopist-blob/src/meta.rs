use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::BlobId;

/// What a store knows about a blob without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobMeta {
    /// Name of the blob.
    pub id: BlobId,
    /// Length in bytes.
    pub length: u64,
    /// When the *store* says the blob was last written. Its precision differs between stores and
    /// even between calls (nanoseconds to seconds): compare it with other timestamps of the same
    /// store, never for equality and never with the local clock.
    pub timestamp: Timestamp,
}

/// Which bytes of a blob to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// All of them.
    Full,
    /// Exactly `length` bytes from `offset`; fewer available is an error, never a short success.
    Bounded {
        /// First byte wanted, from 0.
        offset: u64,
        /// How many bytes. Zero yields no bytes of an existing blob.
        length: u64,
    },
}

/// How a blob is to be written. The default creates or replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// Protect the blob from deletion; only some cloud stores can.
    pub retention: Option<Retention>,
    /// Fail with [`AlreadyExists`](crate::BlobError::AlreadyExists) instead of replacing.
    pub do_not_recreate: bool,
    /// Give the blob this timestamp instead of the time of writing; not every store can.
    pub set_mod_time: Option<Timestamp>,
}

impl PutOptions {
    /// Create, but never replace.
    pub fn create_only() -> Self {
        Self { do_not_recreate: true, ..Self::default() }
    }

    /// Write with a given timestamp.
    pub fn with_mod_time(timestamp: Timestamp) -> Self {
        Self { set_mod_time: Some(timestamp), ..Self::default() }
    }

    /// Write with a lock against deletion.
    pub fn with_retention(retention: Retention) -> Self {
        Self { retention: Some(retention), ..Self::default() }
    }
}

/// A lock against deletion and overwriting, counted from the moment of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `GOVERNANCE`, `COMPLIANCE`, or the store's own `Locked`.
    pub mode: String,
    /// How long from now.
    pub period: Duration,
}

/// Room on the volume that holds a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Size of the volume in bytes.
    #[serde(rename = "capacity")]
    pub total: u64,
    /// Bytes that this process may still write.
    pub available: u64,
}

/// What [`BlobStore::sweep_leftovers`](crate::BlobStore::sweep_leftovers) removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Files removed.
    pub files: u64,
    /// Bytes they held.
    pub bytes: u64,
}
