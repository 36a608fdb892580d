//! One run of maintenance.

use std::io;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use kopist_format::maintenance::{
    Extra, MAX_CLOCK_SKEW, MaintenanceParameters, Mode, RunInfo, SafetyParameters, Schedule, task,
};
use kopist_repo::maintenance::{
    CompactIndexesStats, LegacyCompaction, PackDeletion, RewriteOptions, TaskStats, clean_up_logs,
    compact_legacy, delete_unreferenced_packs, drop_deleted, epochs, extend_retention,
    rewrite_short_packs,
};
use kopist_repo::{RepoError, Repository, RepositoryWriter, WriterOptions};
use serde::Serialize;

use super::lock::Lock;
use super::parameters;
use crate::SnapshotError;
use crate::gc::{GcOptions, GcStats, collect};

/// Blobs that are listed or locked at the same time unless the parameters say otherwise.
const PARALLEL: usize = 16;

/// How to maintain.
#[derive(Clone, Debug)]
pub struct MaintenanceOptions {
    /// Which kind; `None` is whatever is due, if anything.
    pub mode: Option<Mode>,
    /// Run although somebody else owns maintenance.
    pub force: bool,
    /// The margins.
    pub safety: SafetyParameters,
    /// The lock file of the connection, `<config file>.mlock`.
    pub lock: Option<PathBuf>,
    /// Threads of the walk over all snapshots.
    pub parallel: usize,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self { mode: None, force: false, safety: SafetyParameters::FULL, lock: None, parallel: 8 }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaintenanceOutcome {
    /// Nothing is due.
    NotDue,
    /// Another process on this machine is at it.
    Busy,
    /// Everything was done.
    Ran(Mode),
}

/// What goes on, for whoever watches.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum MaintenanceEvent {
    /// The run begins.
    Began(Mode),
    /// Contents that no snapshot uses were collected.
    Collected(GcStats),
    /// A task of [`task`] begins.
    Task(&'static str),
    /// Logs were deleted.
    CleanedLogs(u64),
    /// The run is over, with or without success.
    Finished(Mode),
}

/// Listens to maintenance.
pub trait MaintenanceProgress {
    /// Something goes on.
    fn event(&self, event: MaintenanceEvent);
}

impl<F: Fn(MaintenanceEvent)> MaintenanceProgress for F {
    fn event(&self, event: MaintenanceEvent) {
        self(event);
    }
}

/// Why maintenance did not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// The connection is for reading.
    #[error("not running maintenance on read-only repository connection")]
    ReadOnly,
    /// Somebody else does it.
    #[error("maintenance must be run by designated user: {0}")]
    NotOwner(String),
    /// Ages cannot be trusted.
    #[error(
        "clock skew detected: local clock is out of sync with repository timestamp by more than \
         allowed {MAX_CLOCK_SKEW:#} (local: {local} repository: {storage}). Refusing to run \
         maintenance."
    )]
    ClockSkew {
        /// This machine's time.
        local: Timestamp,
        /// The storage's time.
        storage: Timestamp,
    },
    /// The lock file cannot be used.
    #[error("error acquiring maintenance lock {path}: {source}", path = path.display())]
    Lock {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A task failed; those after it did not run.
    #[error("error in maintenance task {task}: {source}")]
    Task {
        /// Which one.
        task: &'static str,
        /// Why.
        source: Box<SnapshotError>,
    },
    /// The repository failed outside of any task.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The parameters cannot be read.
    #[error("unable to get maintenance params: {0}")]
    Parameters(Box<SnapshotError>),
}

type Result<T> = std::result::Result<T, MaintenanceError>;

/// Runs maintenance: the kind that is asked for, or what is due.
pub fn run(
    repo: &Repository,
    options: &MaintenanceOptions,
    progress: &dyn MaintenanceProgress,
) -> Result<MaintenanceOutcome> {
    if repo.is_read_only() {
        return Err(MaintenanceError::ReadOnly);
    }
    let parameters = repo.manifests().map_err(SnapshotError::from);
    let parameters = parameters
        .and_then(|view| parameters::parameters(&view))
        .map_err(|error| MaintenanceError::Parameters(Box::new(error)))?;
    if !options.force && parameters.owner != repo.identity().to_string() {
        return Err(MaintenanceError::NotOwner(parameters.owner));
    }
    let mut schedule = repo.maintenance_schedule()?;
    let now = repo.clock().now();
    let Some(mode) = options.mode.or_else(|| parameters.due(&schedule, now)) else {
        return Ok(MaintenanceOutcome::NotDue);
    };
    let _lock = match &options.lock {
        None => None,
        Some(path) => match Lock::take(path) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(MaintenanceOutcome::Busy),
            Err(source) => return Err(MaintenanceError::Lock { path: path.clone(), source }),
        },
    };
    // Noted first: a run that is killed is not begun again at once.
    parameters.schedule_next(mode, &mut schedule, now);
    let start = repo.set_maintenance_schedule(&schedule)?;
    let local = repo.clock().now();
    if local.duration_since(start).abs() > MAX_CLOCK_SKEW {
        return Err(MaintenanceError::ClockSkew { local, storage: start });
    }
    progress.event(MaintenanceEvent::Began(mode));
    let result = repo.refresh().map_err(MaintenanceError::from).and_then(|()| {
        let safety = &options.safety;
        let mut run = Run { repo, safety, parameters: &parameters, progress, schedule, start };
        match mode {
            Mode::Full => run.full(options.parallel),
            Mode::Quick => run.quick(),
        }
    });
    progress.event(MaintenanceEvent::Finished(mode));
    result.map(|()| MaintenanceOutcome::Ran(mode))
}

struct Run<'a> {
    repo: &'a Repository,
    safety: &'a SafetyParameters,
    parameters: &'a MaintenanceParameters,
    progress: &'a dyn MaintenanceProgress,
    /// As it was read at the beginning, with the runs of this cycle.
    schedule: Schedule,
    /// The time of the run, by the storage's clock.
    start: Timestamp,
}

impl Run<'_> {
    /// Runs a task and records it, also when it fails.
    fn task<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> crate::Result<(T, Option<Extra>)>,
    ) -> Result<T> {
        self.progress.event(MaintenanceEvent::Task(name));
        let start = self.repo.clock().now();
        let result = work(self);
        let end = self.repo.clock().now();
        let (success, error, extra, result) = match result {
            Ok((value, extra)) => (true, String::new(), extra, Ok(value)),
            Err(source) => {
                let text = source.to_string();
                let source = Box::new(source);
                (false, text, None, Err(MaintenanceError::Task { task: name, source }))
            }
        };
        let extra = extra.into_iter().collect();
        self.schedule.report(name, RunInfo { start, end, success, error, extra });
        let recorded = self.repo.set_maintenance_schedule(&self.schedule);
        // The failure of the task says more than one of the record after it.
        let value = result?;
        recorded?;
        Ok(value)
    }

    fn writer(&self) -> crate::Result<RepositoryWriter> {
        let options = WriterOptions { purpose: "maintenance".to_owned(), ..Default::default() };
        Ok(self.repo.writer(options)?)
    }

    fn full(&mut self, parallel: usize) -> Result<()> {
        self.collect(parallel)?;
        if self.schedule.may_rewrite(Mode::Full, self.safety) {
            self.rewrite(task::REWRITE_FULL, false)?;
        }
        let now = self.repo.clock().now();
        if let Some(before) = self.schedule.safe_drop_time(now, self.safety) {
            let settle = self.settle_time();
            self.task(task::DROP_DELETED, |run| {
                let stats = drop_deleted(run.repo, before, settle)?;
                Ok(((), extra(&stats)))
            })?;
        }
        if self.schedule.may_delete_packs(self.repo.clock().now(), self.safety) {
            self.delete_packs(task::DELETE_ORPHANED_FULL, false)?;
        }
        if self.parameters.extend_object_locks {
            let parallel = usize::try_from(self.parameters.list_parallelism).unwrap_or(0);
            let parallel = if parallel == 0 { PARALLEL } else { parallel };
            self.task(task::EXTEND_RETENTION, |run| {
                let stats = extend_retention(run.repo, parallel)?;
                Ok(((), stats.as_ref().and_then(extra)))
            })?;
        }
        if self.repo.parameters().epoch.enabled {
            self.compact_single_and_advance()?;
            self.task(task::GENERATE_RANGE, |run| {
                let stats = epochs::generate_range(run.repo)?;
                Ok(((), stats.as_ref().and_then(extra)))
            })?;
            self.task(task::CLEANUP_EPOCH_MARKERS, |run| {
                let stats = epochs::clean_up_markers(run.repo)?;
                Ok(((), extra(&stats)))
            })?;
            self.task(task::DELETE_SUPERSEDED_INDEXES, |run| {
                let stats = epochs::delete_superseded(run.repo)?;
                Ok(((), stats.as_ref().and_then(extra)))
            })?;
        }
        self.clean_up_logs()
    }

    fn quick(&mut self) -> Result<()> {
        if self.repo.parameters().epoch.enabled {
            return self.compact_single_and_advance();
        }
        if self.schedule.may_rewrite(Mode::Quick, self.safety) {
            self.rewrite(task::REWRITE_QUICK, true)?;
        }
        if self.schedule.may_delete_packs(self.repo.clock().now(), self.safety) {
            // What a full rewrite left behind must go before the next quick one adds to it.
            if self.schedule.had_recent_full_rewrite() {
                self.delete_packs(task::DELETE_ORPHANED_FULL, false)?;
            } else {
                self.delete_packs(task::DELETE_ORPHANED_QUICK, true)?;
            }
        }
        let settle = self.settle_time();
        self.task(task::INDEX_COMPACTION, |run| {
            let options = LegacyCompaction { settle, ..LegacyCompaction::quick() };
            compact_legacy(run.repo, &options)?;
            // Nothing is dropped; Go writes the zero time.
            let dropped_contents_deleted_before = kopist_format::json::ZERO_TIME;
            Ok(((), extra(&CompactIndexesStats { dropped_contents_deleted_before })))
        })?;
        self.clean_up_logs()
    }

    /// How long replaced indexes of old repositories stay for clients with older listings.
    fn settle_time(&self) -> SignedDuration {
        if self.safety.disable_eventual_consistency_safety {
            SignedDuration::ZERO
        } else {
            LegacyCompaction::quick().settle
        }
    }

    fn collect(&mut self, parallel: usize) -> Result<()> {
        let options = GcOptions {
            start: self.start,
            min_age: self.safety.min_content_age_subject_to_gc,
            parallel,
            dry_run: false,
        };
        let stats = self.task(task::SNAPSHOT_GC, |run| {
            let stats = collect(&run.writer()?, &options)?;
            Ok((stats, extra_of(GC_KIND, &HistoryOfGc::from(stats))))
        })?;
        self.progress.event(MaintenanceEvent::Collected(stats));
        Ok(())
    }

    fn rewrite(&mut self, name: &'static str, metadata_only: bool) -> Result<()> {
        self.task(name, |run| {
            let now = run.repo.clock().now();
            let options = RewriteOptions { metadata_only, ..RewriteOptions::new(now, run.safety) };
            let writer = run.writer()?;
            let stats = rewrite_short_packs(&writer, &options)?;
            writer.flush()?;
            Ok(((), extra(&stats)))
        })
    }

    fn delete_packs(&mut self, name: &'static str, metadata_only: bool) -> Result<()> {
        self.task(name, |run| {
            let options = PackDeletion {
                start: run.start,
                safety: *run.safety,
                metadata_only,
                dry_run: false,
            };
            let stats = delete_unreferenced_packs(run.repo, &options)?;
            Ok(((), extra(&stats)))
        })
    }

    fn compact_single_and_advance(&mut self) -> Result<()> {
        self.task(task::COMPACT_SINGLE, |run| {
            let stats = epochs::compact_single(run.repo)?;
            Ok(((), stats.as_ref().and_then(extra)))
        })?;
        self.task(task::ADVANCE_EPOCH, |run| {
            let stats = epochs::advance(run.repo)?;
            Ok(((), extra(&stats)))
        })
    }

    fn clean_up_logs(&mut self) -> Result<()> {
        let retention = self.parameters.log_retention.clone();
        let deleted = self.task(task::CLEANUP_LOGS, |run| {
            let stats = clean_up_logs(run.repo, &retention, run.repo.clock().now(), false)?;
            Ok((stats.deleted_blob_count, extra(&stats)))
        })?;
        self.progress.event(MaintenanceEvent::CleanedLogs(deleted));
        Ok(())
    }
}

/// Figures for the history. They are for people: that they cannot be written stops nothing.
fn extra<T: TaskStats>(stats: &T) -> Option<Extra> {
    stats.to_extra().ok()
}

fn extra_of(kind: &str, stats: &impl Serialize) -> Option<Extra> {
    Extra::new(kind, stats).ok()
}

const GC_KIND: &str = "snapshotGCStats";

/// A collection in the form in which the history keeps it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryOfGc {
    unreferenced_content_count: u64,
    unreferenced_content_size: u64,
    deleted_content_count: u64,
    deleted_content_size: u64,
    unreferenced_recent_content_count: u64,
    unreferenced_recent_content_size: u64,
    in_use_content_count: u64,
    in_use_content_size: u64,
    in_use_system_content_count: u64,
    in_use_system_content_size: u64,
    recovered_content_count: u64,
    recovered_content_size: u64,
}

impl From<GcStats> for HistoryOfGc {
    fn from(stats: GcStats) -> Self {
        Self {
            unreferenced_content_count: stats.unused.count,
            unreferenced_content_size: stats.unused.bytes,
            deleted_content_count: stats.unused.count,
            deleted_content_size: stats.unused.bytes,
            unreferenced_recent_content_count: stats.too_recent.count,
            unreferenced_recent_content_size: stats.too_recent.bytes,
            in_use_content_count: stats.in_use.count,
            in_use_content_size: stats.in_use.bytes,
            in_use_system_content_count: stats.system.count,
            in_use_system_content_size: stats.system.bytes,
            recovered_content_count: stats.recovered.count,
            recovered_content_size: stats.recovered.bytes,
        }
    }
}
