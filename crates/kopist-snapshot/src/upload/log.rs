//! What an upload writes into the log, as much as the policies ask for.
//!
//! A detail of 0 is silence. From 1 on there is a line with the path, from 3 the size, from 5
//! what is in a directory, from 6 the time of modification, from 7 the object
//! (`kopia:snapshot/upload/upload.go`). Directories tell from 1 on how long they took; files do
//! not, because small ones are read and stored together.

use jiff::SignedDuration;
use kopist_format::directory::DirEntry;

use super::UploadOptions;
use crate::policy::Policy;

/// How much is told about which kind of thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    pub(super) directory: i64,
    pub(super) ignored_directory: i64,
    pub(super) entry: i64,
    pub(super) cached: i64,
    pub(super) ignored: i64,
    pub(super) cache_miss: i64,
}

/// From this detail on it is told why an entry is read again.
const CACHE_MISS: i64 = 5;

impl Detail {
    /// What the policy of a directory says, unless the options know better.
    pub(super) fn new(policy: &Policy, options: &UploadOptions) -> Self {
        let (directories, entries) = (&policy.logging.directories, &policy.logging.entries);
        let entry = |level: Option<i64>| options.log_entries.or(level).unwrap_or(0);
        Self {
            directory: options.log_directories.or(directories.snapshotted).unwrap_or(0),
            ignored_directory: directories.ignored.unwrap_or(0),
            entry: entry(entries.snapshotted),
            cached: entry(entries.cache_hit),
            ignored: entries.ignored.unwrap_or(0),
            cache_miss: entries.cache_miss.unwrap_or(0),
        }
    }

    /// Whether it is told that an entry does not look like that of the previous snapshot.
    pub(super) fn tells_misses(&self) -> bool {
        self.cache_miss >= CACHE_MISS
    }
}

/// One line about something that was done or left out.
pub(super) fn line(
    detail: i64,
    what: &str,
    path: &[u8],
    entry: Option<&DirEntry>,
    took: Option<SignedDuration>,
) {
    if detail <= 0 {
        return;
    }
    let path = if path.is_empty() { ".".into() } else { String::from_utf8_lossy(path) };
    let at = |least: i64| entry.filter(|_| detail >= least);
    let summary = at(5).and_then(|entry| entry.summary.as_deref());
    let time = |entry: &DirEntry| {
        let time = entry.summary.as_ref().map_or(entry.mtime, |summary| summary.max_time);
        time.to_timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    tracing::debug!(
        path = &*path,
        dur = took.map(|took| took.as_secs_f64()),
        size = at(3).map(|entry| entry.summary.as_ref().map_or(entry.size, |all| all.size)),
        files = summary.map(|summary| summary.files),
        dirs = summary.map(|summary| summary.dirs),
        errors = summary.map(|summary| summary.failed + summary.ignored_errors),
        mtime = at(6).map(time),
        oid = at(7).and_then(|entry| entry.object).map(|object| object.to_string()),
        "{what}"
    );
}
