//! Writing the tree of a snapshot into the destination, and making sure of it.
//!
//! Files appear under their names when they are complete. At the end the file system is
//! flushed, because the operator takes a snapshot of the volume as soon as the job is done, and
//! what was written is counted against what the snapshot says it holds.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kopist_format::directory::{DirEntry, DirSummary};
use kopist_repo::Repository;
use kopist_snapshot::restore::{
    RestoreError, RestoreOptions, RestoreProgress, RestoreStats, restore,
};

use super::progress::{Ticker, pace};
use super::{Context, Failure};
use crate::plan::RestorePlan;
use crate::probe::fitting;
use crate::report::{Reason, bytes};
use crate::telemetry::Pulse;

/// How many ignored errors are named.
const NAMED: usize = 10;

/// What was written.
pub(super) struct Restored {
    /// Counts of the restore.
    pub(super) stats: RestoreStats,
    /// Whether errors were to be passed over, so that less than everything is fine.
    lenient: bool,
}

impl Restored {
    /// Files of the snapshot that are there now.
    pub(super) fn files(&self) -> u64 {
        self.stats.files + self.stats.skipped
    }

    /// Bytes of those.
    pub(super) fn bytes(&self) -> u64 {
        self.stats.bytes + self.stats.skipped_bytes
    }

    /// Attributes that are not as the snapshot has them.
    pub(super) fn unkept(&self) -> u64 {
        let stats = &self.stats;
        stats.unkept_owners + stats.unkept_permissions + stats.unkept_times
    }

    /// What is not as the snapshot has it, and why, in one line.
    fn remark(&self) -> Option<String> {
        let stats = &self.stats;
        let counts: Vec<String> = [
            (stats.unkept_owners, "owners"),
            (stats.unkept_permissions, "permissions"),
            (stats.unkept_times, "times"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what} of {count} entries"))
        .collect();
        (!counts.is_empty()).then(|| {
            format!(
                "not as in the snapshot: {}. This process runs as {}:{} and may not set them; a \
                 privileged mover may",
                counts.join(", "),
                rustix::process::getuid().as_raw(),
                rustix::process::getgid().as_raw()
            )
        })
    }

    /// Whether everything is there that the snapshot holds.
    pub(super) fn check(&self, summary: &DirSummary) -> Result<(), Failure> {
        let expected = |number: i64| u64::try_from(number).unwrap_or(0);
        let (files, size) = (expected(summary.files), expected(summary.size));
        if self.lenient || (self.files() >= files && self.bytes() >= size) {
            return Ok(());
        }
        Err(Failure::new(
            Reason::DataDamaged,
            format!(
                "{} files ({} bytes) were restored, but the snapshot holds {files} ({size} bytes)",
                self.files(),
                self.bytes()
            ),
        ))
    }
}

/// Writes the tree below `root` to `directory`.
pub(super) fn fill(
    plan: &RestorePlan,
    context: &Context,
    repository: &Repository,
    root: &DirEntry,
    directory: &Path,
) -> Result<Restored, Failure> {
    let options = options(plan, context);
    let watcher = Arc::new(Watcher::of(context, root));
    let stats = {
        let shown = Arc::clone(&watcher);
        let _ticker = Ticker::start(context, move |elapsed| shown.line(elapsed));
        write(repository, root, directory, &options, &watcher)
    };
    for line in watcher.ignored() {
        context.report.warn(line);
    }
    let restored = Restored { stats: stats?, lenient: options.ignore_errors };
    flush(directory)?;
    if let Some(line) = restored.remark() {
        context.report.warn(line);
    }
    Ok(restored)
}

/// Writes a tree, and nothing else.
pub(super) fn write(
    repository: &Repository,
    root: &DirEntry,
    directory: &Path,
    options: &RestoreOptions,
    watcher: &Watcher,
) -> Result<RestoreStats, Failure> {
    Ok(restore(repository, root, directory, options, watcher)?)
}

/// Memory for one file on its way: a range of a pack, what is unpacked of it, and what the disk
/// has not taken yet, which counts as the container's, too.
const MEMORY_EACH: u64 = 48 << 20;

/// How many files are restored at the same time where nobody says it.
pub(super) fn files_at_once(memory_limit: Option<u64>) -> usize {
    let usual = RestoreOptions::default().parallel;
    memory_limit.map_or(usual, |limit| fitting(limit, MEMORY_EACH).min(usual))
}

fn options(plan: &RestorePlan, context: &Context) -> RestoreOptions {
    let arguments = &plan.arguments;
    RestoreOptions {
        parallel: plan.parallel.unwrap_or_else(|| files_at_once(context.memory_limit)),
        overwrite_directories: arguments.overwrite_directories.unwrap_or(true),
        overwrite_files: arguments.overwrite_files.unwrap_or(true),
        overwrite_symlinks: arguments.overwrite_symlinks.unwrap_or(true),
        // A volume gets whole files only.
        keep_damaged: false,
        sparse: arguments.sparse.unwrap_or(false),
        atomic: true,
        flush_files: false,
        skip_owners: arguments.skip_owners.unwrap_or(false),
        owner: arguments.uid,
        group: arguments.gid,
        skip_permissions: arguments.skip_permissions.unwrap_or(false),
        skip_times: arguments.skip_times.unwrap_or(false),
        ignore_permission_errors: arguments.ignore_permission_errors.unwrap_or(true),
        ignore_errors: arguments.ignore_errors.unwrap_or(false),
        skip_existing: arguments.skip_existing.unwrap_or(false),
        delete_extra: arguments.delete_extra.unwrap_or(false),
        shallow: None,
        shallow_min_size: 0,
        cancel: context.stop.upload().clone(),
    }
}

/// Writes everything to the disk: `sync -f` of the destination.
fn flush(directory: &Path) -> Result<(), Failure> {
    let unflushed = |error: std::io::Error| {
        let message = format!("cannot flush {} to its disk: {error}", directory.display());
        Failure::new(Reason::TargetUnwritable, message)
    };
    let opened = std::fs::File::open(directory).map_err(unflushed)?;
    rustix::fs::syncfs(&opened).map_err(|error| unflushed(error.into()))
}

/// Remembers how far the restore is.
#[derive(Default)]
pub(super) struct Watcher {
    pulse: Arc<Pulse>,
    /// Bytes of the snapshot.
    total: Option<u64>,
    stats: Mutex<RestoreStats>,
    ignored: Mutex<Vec<String>>,
}

impl Watcher {
    /// For the restore of an entry.
    pub(super) fn of(context: &Context, root: &DirEntry) -> Self {
        let size = root.summary.as_ref().map_or(root.size, |summary| summary.size);
        Self {
            pulse: Arc::clone(&context.telemetry.pulse),
            total: u64::try_from(size).ok(),
            ..Self::default()
        }
    }

    pub(super) fn line(&self, elapsed: Duration) -> String {
        let stats = *self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let done = stats.bytes + stats.skipped_bytes;
        format!(
            "restore: {} of {} files found so far ({} of {}), {}, {} s",
            stats.files + stats.skipped,
            stats.enqueued_files,
            bytes(done),
            bytes(stats.enqueued_bytes),
            pace(done, stats.bytes, self.total, elapsed),
            elapsed.as_secs()
        )
    }

    fn ignored(&self) -> Vec<String> {
        self.ignored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RestoreProgress for Watcher {
    fn progress(&self, stats: &RestoreStats) {
        self.pulse.beat();
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = *stats;
    }

    fn ignored(&self, error: &RestoreError) {
        let mut ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        if ignored.len() < NAMED {
            ignored.push(format!("passed over: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_container_restores_fewer_files_at_once() {
        let of = |mib: u64| files_at_once(Some(mib << 20));
        assert_eq!([of(16), of(64), of(128), of(256), of(4096)], [1, 1, 2, 5, 8]);
        assert_eq!(files_at_once(None), 8);
        assert_eq!(files_at_once(Some(u64::MAX)), 8);
    }

    #[test]
    fn less_than_the_snapshot_holds_is_a_failure() {
        let summary = DirSummary { files: 3, size: 100, ..DirSummary::default() };
        let restored = |files, skipped, bytes, lenient| Restored {
            stats: RestoreStats { files, skipped, bytes, ..RestoreStats::default() },
            lenient,
        };
        assert!(restored(3, 0, 100, false).check(&summary).is_ok());
        assert!(restored(2, 1, 100, false).check(&summary).is_ok());
        assert!(restored(2, 0, 100, false).check(&summary).is_err());
        assert!(restored(3, 0, 99, false).check(&summary).is_err());
        assert!(restored(1, 0, 1, true).check(&summary).is_ok());
    }

    #[test]
    fn what_could_not_be_kept_is_said_in_one_line() {
        let stats = RestoreStats { unkept_owners: 3, unkept_times: 1, ..RestoreStats::default() };
        let restored = Restored { stats, lenient: false };
        let line = restored.remark().unwrap();
        assert!(line.contains("owners of 3 entries, times of 1 entries"), "{line}");
        assert_eq!(restored.unkept(), 4);
        assert_eq!(Restored { stats: RestoreStats::default(), lenient: false }.remark(), None);
    }
}
