use std::time::Duration;

use jiff::Timestamp;
use kopist_blob::metered::Calls;
use kopist_repo::cache::CacheCount;

use crate::report::{CacheUse, Outcome};

/// What is known of a run that is over.
#[derive(Debug)]
pub struct Record<'a> {
    /// `backup`, `restore`, …
    pub operation: &'static str,
    /// User, host and path of the source, where the run has one.
    pub source: Option<[&'a str; 3]>,
    /// Labels by the environment.
    pub labels: &'a [(String, String)],
    /// How it ended, and what was counted.
    pub outcome: &'a Outcome,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took, by a clock that nobody sets.
    pub elapsed: Duration,
    /// What the opening of the repository took, if it came to that.
    pub opened: Option<Opened>,
    /// Size of the repository in bytes, if somebody looked.
    pub repository_bytes: Option<u64>,
    /// The calls of the store.
    pub calls: Vec<Calls>,
    /// The cache, if there is a plan for one.
    pub cache: Option<CacheUse>,
    /// What each cache was asked for.
    pub cache_counts: Vec<(&'static str, CacheCount)>,
    /// Most memory that the process had at once.
    pub peak_memory: Option<u64>,
    /// What it may have.
    pub memory_limit: Option<u64>,
}

/// What the opening of a repository took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opened {
    /// Until its index was loaded.
    pub time: Duration,
    /// How many index blobs that were.
    pub index_blobs: u64,
}

/// The most memory that this process had at once, in bytes, as the kernel says.
pub fn peak_memory() -> Option<u64> {
    peak_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_stands_in_the_status() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t 4 kB\n"), Some(12 << 10));
        assert_eq!(peak_of("Name:\tx\n"), None);
        assert!(peak_memory().is_none_or(|bytes| bytes > 1 << 20));
    }
}
