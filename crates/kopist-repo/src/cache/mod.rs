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
mod kopia_files;
mod meter;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

pub(crate) use disk::DiskCache;
pub(crate) use index_files::{IndexBytes, IndexFiles, SharedIndexBytes};
pub(crate) use kopia_files::KopiaFiles;
pub use meter::{CacheCount, CacheMeter};

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

    /// Makes the directory and marks it as a cache. Without it there is no caching, so that
    /// nothing here is worth an error.
    pub(crate) fn prepare(&self) {
        let own = self.dir.join("kopist");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&own);
        let marked = made.and_then(|()| mark_directory(&self.dir));
        if let Err(error) = marked.and_then(|()| mark_directory(&own)) {
            tracing::debug!("cache directory {}: {error}", self.dir.display());
        }
    }

    pub(crate) fn sub_dir(&self, name: &str) -> PathBuf {
        self.dir.join("kopist").join(name)
    }
}

/// Marks a directory by a `CACHEDIR.TAG`, so that backups leave it out.
pub fn mark_directory(dir: &Path) -> io::Result<()> {
    let path = dir.join("CACHEDIR.TAG");
    if path.exists() {
        return Ok(());
    }
    fs::write(
        path,
        "Signature: 8a477f597d28d172789f06886806bc55\n\
         # This file is a cache directory tag created by kopist - fast and secure backups.\n\
         #\n\
         # For information about cache directory tags, see: http://www.brynosaurus.com/cachedir/\n",
    )
}

#[cfg(test)]
mod tests;
