//! How often the caches had what was asked for.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one cache was asked for since the repository was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCount {
    /// It was there.
    pub hits: u64,
    /// It had to be fetched.
    pub misses: u64,
}

/// Counts for each cache of an open repository; a cache that is switched off is asked for nothing.
#[derive(Debug, Default)]
pub struct CacheMeter {
    pub(crate) contents: Tally,
    pub(crate) metadata: Tally,
    pub(crate) indexes: Tally,
}

impl CacheMeter {
    /// What each cache was asked for so far, by name.
    pub fn read(&self) -> [(&'static str, CacheCount); 3] {
        [
            ("contents", self.contents.read()),
            ("metadata", self.metadata.read()),
            ("indexes", self.indexes.read()),
        ]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Tally {
    pub(crate) fn note(&self, hit: bool) {
        let count = if hit { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> CacheCount {
        CacheCount {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}
