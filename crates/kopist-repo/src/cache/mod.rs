//! What was fetched once and may be needed again, on the local disk.
//!
//! ```text
//! <cache dir>/kopist/
//!   contents/xx/…   single contents as stored (sealed)                → DiskCache
//!   metadata/xx/…   whole metadata packs (q…) as stored (sealed)      → DiskCache
//!   indexes/…       decrypted index blobs, checked and memory-mapped  → IndexFiles
//! ```
//!
//! Three promises hold for all of them:
//!
//! * **The cache never decides.** Names in it are immutable blobs or contents; which of them
//!   count is asked of the repository each time, so a warm cache cannot hide a change.
//! * **Nothing in it is trusted.** Sealed bytes are authenticated when they are opened, index
//!   files carry a checksum; what does not check is dropped and fetched again.
//! * **It never makes an operation fail.** A full or unwritable disk means working without.
//!
//! The limit is a limit: the least recently used files go before something new is written, and
//! never more than [`SHARE_OF_FREE_SPACE`] of the free space is taken, whatever was asked for.

mod disk;
mod index_files;

use std::path::PathBuf;

pub(crate) use disk::DiskCache;
pub(crate) use index_files::{IndexBytes, IndexFiles, SharedIndexBytes};

/// The part of the free space that a cache may fill.
pub const SHARE_OF_FREE_SPACE: f64 = 0.8;

/// Where and how much to cache.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// The connection's cache directory; ours is `kopist` inside it.
    pub dir: PathBuf,
    /// Bytes of data contents; 0 = none.
    pub content_limit: u64,
    /// Bytes of metadata packs; 0 = none.
    pub metadata_limit: u64,
    /// Index files that no repository state needs are removed when older than this, seconds.
    pub index_min_age_secs: u64,
}

impl CacheOptions {
    /// Caches in `dir` with Kopia's default limits.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            content_limit: 5000 << 20,
            metadata_limit: 5000 << 20,
            index_min_age_secs: 3600,
        }
    }

    pub(crate) fn sub_dir(&self, name: &str) -> PathBuf {
        self.dir.join("kopist").join(name)
    }
}

#[cfg(test)]
mod tests;
