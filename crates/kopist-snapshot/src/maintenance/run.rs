//! One run of maintenance.

use std::io;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use kopist_format::maintenance::{
    Extra, MAX_CLOCK_SKEW, MaintenanceParameters, Mode, RunInfo, SafetyParameters, Schedule, task,
};
use kopist_repo::maintenance::{
    Around, CompactIndexesStats, LegacyCompaction, PackDeletion, RewriteOptions, TaskStats,
    clean_up_logs, compact_legacy, delete_unreferenced_packs, drop_deleted, epochs,
    extend_retention, rewrite_short_packs,
};
use kopist_repo::verify::chance;
use kopist_repo::{
    KeyRange, RepoError, Repository, RepositoryWriter, Unreadable, VerifyError, VerifyOptions,
    WriterOptions,
};
use parking_lot::Mutex;
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
    /// Before and after this many of a hundred tasks that change indexes or packs, every entry of
    /// the index is checked: its pack must exist and be long enough. What is wrong stops the run.
    pub check_percent: f64,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            mode: None,
            force: false,
            safety: SafetyParameters::FULL,
            lock: None,
            parallel: 8,
            check_percent: 0.0,
        }
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
    /// Everything was done but the collection: it could not read all manifests, so it marked
    /// nothing. Which ones was [told](MaintenanceEvent::Unreadable).
    NothingMarked(Mode),
}

/// What goes on, for whoever watches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MaintenanceEvent {
    /// The run begins.
    Began(Mode),
    /// Contents that no snapshot uses were collected.
    Collected(GcStats),
    /// A task of [`task`] begins.
    Task(&'static str),
    /// Packs that nothing refers to were deleted: how many bytes.
    DeletedPacks(u64),
    /// Logs were deleted.
    CleanedLogs(u64),
    /// Something is damaged and stays as it is; the rest goes on.
    Unreadable(Unreadable),
    /// The run is over, with or without success.
    Finished(Mode),
}

/// Listens to maintenance.
pub trait MaintenanceProgress: Sync {
    /// Something goes on.
    fn event(&self, event: MaintenanceEvent);

    /// Whether to stop. Asked before each task and during a collection; what a task has done by
    /// then is recorded.
    fn stop(&self) -> bool {
        false
    }
}

impl<F: Fn(MaintenanceEvent) + Sync> MaintenanceProgress for F {
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
    /// It was told to stop.
    #[error("maintenance was told to stop; it goes on from here next time")]
    Stopped,
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
    let (manifests, unreadable) = repo
        .readable_manifests()
        .map_err(|error| MaintenanceError::Parameters(Box::new(error.into())))?;
    let parameters = parameters::readable_parameters(&manifests);
    if !options.force && parameters.owner != repo.identity().to_string() {
        if parameters.owner.is_empty() {
            // This may be why there is no owner.
            for unreadable in unreadable {
                progress.event(MaintenanceEvent::Unreadable(unreadable));
            }
        }
        return Err(MaintenanceError::NotOwner(parameters.owner));
    }
    let (mut schedule, damaged) = match repo.maintenance_schedule() {
        Ok(schedule) => (schedule, None),
        // Without a history nothing is dropped, and packs are deleted only well after this run's
        // own rewrite: nothing is done too early.
        Err(error) if error.is_damage() => (Schedule::default(), Some(error)),
        Err(error) => return Err(error.into()),
    };
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
    if let Some(error) = damaged {
        let copy = repo.set_aside_maintenance_schedule()?;
        let what = format!("schedule and history of maintenance (kept as {copy}, begun anew)");
        progress.event(MaintenanceEvent::Unreadable(Unreadable::new(what, error)));
    }
    // Noted first: a run that is killed is not begun again at once.
    parameters.schedule_next(mode, &mut schedule, now);
    let start = repo.set_maintenance_schedule(&schedule)?;
    let local = repo.clock().now();
    if local.duration_since(start).abs() > MAX_CLOCK_SKEW {
        return Err(MaintenanceError::ClockSkew { local, storage: start });
    }
    progress.event(MaintenanceEvent::Began(mode));
    let result = repo.refresh().map_err(MaintenanceError::from).and_then(|()| {
        let mut run = Run {
            repo,
            safety: &options.safety,
            parameters: &parameters,
            progress,
            schedule,
            start,
            nothing_marked: false,
            check_percent: options.check_percent,
        };
        match mode {
            Mode::Full => run.full(options.parallel)?,
            Mode::Quick => run.quick()?,
        }
        Ok(run.nothing_marked)
    });
    progress.event(MaintenanceEvent::Finished(mode));
    let nothing_marked = result?;
    Ok(if nothing_marked {
        MaintenanceOutcome::NothingMarked(mode)
    } else {
        MaintenanceOutcome::Ran(mode)
    })
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
    /// Whether the collection could not mark anything.
    nothing_marked: bool,
    /// How many of a hundred tasks are checked.
    check_percent: f64,
}

/// Tasks that change indexes or packs.
const CHANGING: [&str; 10] = [
    task::DROP_DELETED,
    task::REWRITE_FULL,
    task::REWRITE_QUICK,
    task::DELETE_ORPHANED_FULL,
    task::DELETE_ORPHANED_QUICK,
    task::INDEX_COMPACTION,
    task::COMPACT_SINGLE,
    task::GENERATE_RANGE,
    task::ADVANCE_EPOCH,
    task::DELETE_SUPERSEDED_INDEXES,
];

/// Whether everything that the index names is where it says. Facts:
/// `kopia:repo/maintenance/content_index_to_pack_check.go`.
fn check_index(repo: &Repository) -> crate::Result<()> {
    let options = VerifyOptions { include_deleted: true, ..VerifyOptions::default() };
    let first = Mutex::new(None);
    let report = repo.verify_contents(&options, &|error: &VerifyError| {
        first.lock().get_or_insert_with(|| error.to_string());
    })?;
    match first.into_inner() {
        None => Ok(()),
        Some(first) => Err(RepoError::Maintenance(format!(
            "the index does not fit the packs: {} contents are not where it says, the first: \
             {first}",
            report.errors()
        ))
        .into()),
    }
}

/// What a task has to tell.
struct Done<T> {
    value: T,
    /// Figures for the history.
    extra: Option<Extra>,
    /// What was left alone.
    unreadable: Vec<Unreadable>,
    /// Why the history must not take it for a success, although the rest goes on.
    failure: Option<String>,
}

impl Done<()> {
    /// A task with figures for the history. They are for people: that they cannot be written
    /// stops nothing.
    fn with(stats: &impl TaskStats) -> Self {
        Self { extra: stats.to_extra().ok(), ..Self::nothing() }
    }

    /// A task that had nothing to do.
    fn nothing() -> Self {
        Self { value: (), extra: None, unreadable: Vec::new(), failure: None }
    }

    /// A task that went around something.
    fn around<T: TaskStats>(around: Around<T>) -> Self {
        Self { unreadable: around.unreadable, ..Self::with(&around.stats) }
    }

    fn of(stats: Option<&impl TaskStats>) -> Self {
        stats.map_or_else(Self::nothing, Self::with)
    }

    fn value<T>(self, value: T) -> Done<T> {
        Done { value, extra: self.extra, unreadable: self.unreadable, failure: self.failure }
    }
}

impl Run<'_> {
    /// Runs a task and records it, also when it fails.
    fn task<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> crate::Result<Done<T>>,
    ) -> Result<T> {
        if self.progress.stop() {
            return Err(MaintenanceError::Stopped);
        }
        self.progress.event(MaintenanceEvent::Task(name));
        let start = self.repo.clock().now();
        let checked = CHANGING.contains(&name) && chance(self.check_percent)?;
        let check = |repo| if checked { check_index(repo) } else { Ok(()) };
        let result = check(self.repo)
            .and_then(|()| work(self))
            .and_then(|done| check(self.repo).map(|()| done));
        let (error, done) = match result {
            Ok(done) => (done.failure.clone().unwrap_or_default(), Ok(done)),
            Err(SnapshotError::Stopped) => {
                (SnapshotError::Stopped.to_string(), Err(MaintenanceError::Stopped))
            }
            Err(source) => {
                let text = source.to_string();
                (text, Err(MaintenanceError::Task { task: name, source: Box::new(source) }))
            }
        };
        let extra = done.as_ref().ok().and_then(|done| done.extra.clone()).into_iter().collect();
        let end = self.repo.clock().now();
        let run = RunInfo { start, end, success: error.is_empty(), error, extra };
        let recorded = self.record(name, run);
        // The failure of the task says more than one of the record after it.
        let done = done?;
        recorded?;
        for unreadable in done.unreadable {
            self.progress.event(MaintenanceEvent::Unreadable(unreadable));
        }
        Ok(done.value)
    }

    /// Adds a run to the history as it is stored now.
    fn record(&mut self, task: &str, run: RunInfo) -> Result<()> {
        self.look_again()?;
        self.schedule.report(task, run);
        self.repo.set_maintenance_schedule(&self.schedule)?;
        Ok(())
    }

    /// Learns what other runs have recorded meanwhile: the same owner may be at work on another
    /// machine, and what it has just rewritten must settle for both.
    fn look_again(&mut self) -> Result<()> {
        self.schedule.absorb(self.repo.maintenance_schedule()?);
        Ok(())
    }

    fn writer(&self) -> crate::Result<RepositoryWriter> {
        let options = WriterOptions { purpose: "maintenance".to_owned(), ..Default::default() };
        Ok(self.repo.writer(options)?)
    }

    /// The order differs from kopia's, which rewrites, drops and deletes. Dropping first leaves
    /// less to rewrite. And since packs are deleted no sooner than an hour after a rewrite, runs
    /// of kopia rewrite and delete in turns; here each run deletes what the one before has left
    /// behind and rewrites again. So where kopist and kopia take turns, it is kopist that
    /// rewrites: kopia would renew the age of tombstones, and they would never be dropped.
    fn full(&mut self, parallel: usize) -> Result<()> {
        self.collect(parallel)?;
        self.look_again()?;
        if let Some(before) = self.drop_time()? {
            let settle = self.settle_time();
            self.task(task::DROP_DELETED, |run| {
                Ok(Done::around(drop_deleted(run.repo, before, settle)?))
            })?;
        }
        let at_once = self.safety.min_rewrite_to_orphan_deletion_delay.is_zero();
        // Without a rewrite in the history nobody knows when the last one was.
        let is_known = self.schedule.next_pack_deletion(self.safety).is_some();
        if !at_once && is_known {
            self.delete_if_due()?;
        }
        self.look_again()?;
        if self.schedule.may_rewrite(Mode::Full, self.safety) {
            self.rewrite(task::REWRITE_FULL, false)?;
        }
        if at_once {
            self.delete_if_due()?;
        }
        if self.parameters.extend_object_locks {
            let parallel = usize::try_from(self.parameters.list_parallelism).unwrap_or(0);
            let parallel = if parallel == 0 { PARALLEL } else { parallel };
            self.task(task::EXTEND_RETENTION, |run| {
                let stats = extend_retention(run.repo, parallel)?;
                Ok(Done::of(stats.as_ref()))
            })?;
        }
        if self.repo.parameters().epoch.enabled {
            self.compact_single_and_advance()?;
            self.task(task::GENERATE_RANGE, |run| {
                let stats = epochs::generate_range(run.repo)?;
                Ok(Done::of(stats.as_ref()))
            })?;
            self.task(task::CLEANUP_EPOCH_MARKERS, |run| {
                Ok(Done::with(&epochs::clean_up_markers(run.repo)?))
            })?;
            self.task(task::DELETE_SUPERSEDED_INDEXES, |run| {
                let stats = epochs::delete_superseded(run.repo)?;
                Ok(Done::of(stats.as_ref()))
            })?;
        }
        self.clean_up_logs()
    }

    /// Which tombstones may be dropped; `None` if none may.
    ///
    /// A tombstone is at least a second younger than what it buries, so that of something that was
    /// just written lies ahead of the clock. Without margins it goes too: one run is to leave
    /// nothing behind.
    fn drop_time(&self) -> Result<Option<Timestamp>> {
        /// More than a clock that can be trusted is ahead is an error of somebody's.
        const AHEAD: SignedDuration = SignedDuration::from_mins(1);
        let now = self.repo.clock().now();
        let safe = self.schedule.safe_drop_time(now, self.safety);
        if self.safety.require_two_gc_cycles {
            return Ok(safe);
        }
        self.repo.refresh()?;
        let limit = now.saturating_add(AHEAD).unwrap_or(now).as_second();
        let mut after = None;
        for entry in self.repo.index().entries(&KeyRange::all()) {
            let (_, entry) = entry?;
            if entry.deleted && entry.timestamp <= limit {
                after = after.max(Some(entry.timestamp + 1));
            }
        }
        Ok(safe.max(after.and_then(|seconds| Timestamp::from_second(seconds).ok())))
    }

    fn delete_if_due(&mut self) -> Result<()> {
        self.look_again()?;
        if self.schedule.may_delete_packs(self.repo.clock().now(), self.safety) {
            self.delete_packs(task::DELETE_ORPHANED_FULL, false)?;
        }
        Ok(())
    }

    fn quick(&mut self) -> Result<()> {
        if self.repo.parameters().epoch.enabled {
            return self.compact_single_and_advance();
        }
        if self.schedule.may_rewrite(Mode::Quick, self.safety) {
            self.rewrite(task::REWRITE_QUICK, true)?;
        }
        self.look_again()?;
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
            let unreadable = compact_legacy(run.repo, &options)?.unreadable;
            // Nothing is dropped; Go writes the zero time.
            let dropped_contents_deleted_before = kopist_format::json::ZERO_TIME;
            let stats = CompactIndexesStats { dropped_contents_deleted_before };
            Ok(Done::around(Around { stats, unreadable }))
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
        let progress = self.progress;
        let stats = self.task(task::SNAPSHOT_GC, |run| {
            let collected = collect(&run.writer()?, &options, &|| progress.stop())?;
            let stats = collected.stats;
            let extra = Extra::new(GC_KIND, &HistoryOfGc::from(stats)).ok();
            let failure = collected.unreadable.first().map(|first| {
                format!("nothing was marked: not every manifest can be read ({first})")
            });
            run.nothing_marked = failure.is_some();
            Ok(Done { value: stats, extra, unreadable: collected.unreadable, failure })
        })?;
        self.progress.event(MaintenanceEvent::Collected(stats));
        Ok(())
    }

    fn rewrite(&mut self, name: &'static str, metadata_only: bool) -> Result<()> {
        self.task(name, |run| {
            let now = run.repo.clock().now();
            let options = RewriteOptions { metadata_only, ..RewriteOptions::new(now, run.safety) };
            let writer = run.writer()?;
            let around = rewrite_short_packs(&writer, &options)?;
            writer.flush()?;
            Ok(Done::around(around))
        })
    }

    fn delete_packs(&mut self, name: &'static str, metadata_only: bool) -> Result<()> {
        let bytes = self.task(name, |run| {
            let options = PackDeletion {
                start: run.start,
                safety: *run.safety,
                metadata_only,
                dry_run: false,
            };
            let around = delete_unreferenced_packs(run.repo, &options)?;
            let bytes = around.stats.deleted_total_size;
            Ok(Done::around(around).value(bytes))
        })?;
        self.progress.event(MaintenanceEvent::DeletedPacks(bytes));
        Ok(())
    }

    fn compact_single_and_advance(&mut self) -> Result<()> {
        self.task(task::COMPACT_SINGLE, |run| {
            let stats = epochs::compact_single(run.repo)?;
            Ok(Done::of(stats.as_ref()))
        })?;
        self.task(task::ADVANCE_EPOCH, |run| Ok(Done::with(&epochs::advance(run.repo)?)))
    }

    fn clean_up_logs(&mut self) -> Result<()> {
        let retention = self.parameters.log_retention.clone();
        let deleted = self.task(task::CLEANUP_LOGS, |run| {
            let stats = clean_up_logs(run.repo, &retention, run.repo.clock().now(), false)?;
            Ok(Done::with(&stats).value(stats.deleted_blob_count))
        })?;
        self.progress.event(MaintenanceEvent::CleanedLogs(deleted));
        Ok(())
    }
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
