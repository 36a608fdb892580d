//! Maintenance: connect as its owner, take it over if somebody else has it, then a quick and a
//! full cycle.
//!
//! A repository that does not exist yet is not an error, because the schedule often exists before
//! the first backup. The lock of a connection does not exclude other pods: every step keeps the
//! margins by itself, and takes in what the others have recorded, so that any number of runs may
//! be at it at once. Being told to stop ends it between two tasks; being killed does no harm.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use kopist_format::maintenance::Schedule;
use kopist_repo::{Repository, WriterOptions};
use kopist_snapshot::gc::GcStats;
use kopist_snapshot::maintenance::{
    self, MaintenanceError, MaintenanceEvent, MaintenanceOptions, MaintenanceOutcome,
    MaintenanceProgress, Mode,
};

use super::Context;
use super::connect::{Connected, connect};
use super::failure::Failure;
use super::progress::Ticker;
use super::stop::Stop;
use crate::plan::{MaintenancePlan, MoverPlan};
use crate::report::{Figures, Outcome, Reason, Report, bytes};
use crate::telemetry::Pulse;

/// Runs maintenance.
pub(super) fn run(
    plan: &MoverPlan,
    maintenance: &MaintenancePlan,
    context: &Context,
) -> Result<Outcome, Failure> {
    let connection = match connect(plan, context)? {
        Connected::Open(connection) => connection,
        Connected::Absent { place } => {
            context.report.info(format!("there is no repository yet: {place}"));
            context.report.line("No eligible repository found, nothing to maintain");
            return Ok(Outcome::skipped(Reason::NoRepository, "there is no repository yet"));
        }
    };
    super::connected(plan, context, &connection);
    let repository = &connection.repository;
    own(maintenance, context, repository)?;

    let deleted = Arc::new(AtomicU64::new(0));
    // Quick maintenance is a part of the service, not a condition for the rest.
    let percent = maintenance.check_percent;
    if let Err(failure) = cycle(context, repository, Mode::Quick, percent, &deleted) {
        if context.stop.requested() {
            return Err(failure);
        }
        context.report.warn(format!("Quick maintenance failed: {}", failure.message));
    }
    let outcome = cycle(context, repository, Mode::Full, percent, &deleted)?;
    measure(context, repository);
    let figures = Figures {
        repository: Some(super::hexadecimal(repository.unique_id())),
        deleted_bytes: Some(deleted.load(Ordering::Relaxed)),
        ..Figures::default()
    };
    let after = follow(plan, maintenance, context);
    let message = match outcome {
        MaintenanceOutcome::NothingMarked(_) => {
            "maintenance is done, but unused data was not collected, since not every manifest can \
             be read: see the warnings"
        }
        _ => "maintenance is done",
    };
    match after {
        Ok(()) => Ok(Outcome::success(message, figures)),
        Err(failure) => Err(failure.during(&format!("{message}, but")).counting(&figures)),
    }
}

/// Does what follows maintenance. One that does not succeed does not keep the others from it.
fn follow(
    plan: &MoverPlan,
    maintenance: &MaintenancePlan,
    context: &Context,
) -> Result<(), Failure> {
    let mut first = None;
    for work in &maintenance.after {
        let name = work.operation().name();
        context.report.info(format!("after maintenance: {name}"));
        let plan = MoverPlan { work: work.clone(), ..plan.clone() };
        if let Err(failure) = super::perform(&plan, context) {
            let failure = failure.during(name);
            if context.stop.requested() {
                return Err(failure);
            }
            context.report.error(&failure.message);
            first.get_or_insert(failure);
        }
    }
    first.map_or(Ok(()), Err)
}

/// Looks how large the repository is.
fn measure(context: &Context, repository: &Repository) {
    let (mut count, mut total) = (0_u64, 0);
    let result = repository.store().list("", &mut |blob| {
        count += 1;
        total += blob.length;
        ControlFlow::Continue(())
    });
    match result {
        Ok(()) => {
            context.report.info(format!("the repository has {count} blobs ({})", bytes(total)));
            context.telemetry.sized(total);
        }
        Err(error) => {
            context.report.debug(format!("the size of the repository is not known: {error}"));
        }
    }
}

/// Becomes the owner, and turns quick maintenance on. Writes only what differs.
fn own(
    maintenance: &MaintenancePlan,
    context: &Context,
    repository: &Repository,
) -> Result<(), Failure> {
    let (manifests, _) = repository.readable_manifests()?;
    let mut parameters = maintenance::readable_parameters(&manifests);
    let identity = repository.identity().to_string();
    if parameters.owner == identity && parameters.quick.enabled {
        return Ok(());
    }
    if parameters.owner != identity {
        let former = match parameters.owner.as_str() {
            "" => "nobody".to_owned(),
            owner => owner.to_owned(),
        };
        let last = repository.maintenance_schedule().ok().and_then(|schedule| last_run(&schedule));
        let last = last.map_or_else(|| "never".to_owned(), |time| time.to_string());
        if !maintenance.take_over && !parameters.owner.is_empty() {
            let message = format!(
                "maintenance belongs to {former} (last run: {last}), and \
                 KOPIST_MAINTENANCE_TAKEOVER=never forbids taking it over"
            );
            return Err(Failure::new(Reason::ConfigInvalid, message));
        }
        context.report.warn(format!(
            "Repository has different maintenance owner: {former} (last run: {last}); {identity} \
             takes over"
        ));
        parameters.owner = identity;
    }
    parameters.quick.enabled = true;
    let options =
        WriterOptions { purpose: "VolSync maintenance".to_owned(), ..WriterOptions::default() };
    let writer = repository.writer(options)?;
    maintenance::set_parameters(&writer, &parameters).map_err(|error| {
        Failure::from(error).during("Could not establish maintenance ownership")
    })?;
    writer.flush()?;
    Ok(())
}

/// When anything was last done, with success or without.
fn last_run(schedule: &Schedule) -> Option<Timestamp> {
    schedule.runs.values().flatten().map(|run| run.start).max()
}

/// One cycle, whatever the schedule says.
pub(super) fn cycle(
    context: &Context,
    repository: &Repository,
    mode: Mode,
    check_percent: f64,
    deleted: &Arc<AtomicU64>,
) -> Result<MaintenanceOutcome, Failure> {
    let options =
        MaintenanceOptions { mode: Some(mode), check_percent, ..MaintenanceOptions::default() };
    let told = Told {
        report: Arc::clone(&context.report),
        stop: context.stop.clone(),
        pulse: Arc::clone(&context.telemetry.pulse),
        deleted: Arc::clone(deleted),
        at: Arc::default(),
    };
    let at = Arc::clone(&told.at);
    let ticker = Ticker::start(context, move |elapsed| {
        let at = *at.read().unwrap_or_else(PoisonError::into_inner);
        format!("maintenance: {at}, {} s", elapsed.as_secs())
    });
    let result = maintenance::run(repository, &options, &told);
    drop(ticker);
    result.map_err(|error| match error {
        _ if context.stop.requested() => Failure::interrupted(),
        MaintenanceError::Stopped => Failure::interrupted(),
        MaintenanceError::Task { task, source } => Failure::from(*source).during(task),
        MaintenanceError::Parameters(source) => Failure::from(*source),
        MaintenanceError::Repository(error) => error.into(),
        MaintenanceError::NotOwner(other) => Failure::new(
            Reason::Internal,
            format!("{other} has taken maintenance over meanwhile; the next run decides anew"),
        ),
        other => Failure::new(Reason::Internal, other.to_string()),
    })
}

/// Tells the log what goes on.
struct Told {
    report: Arc<Report>,
    stop: Stop,
    pulse: Arc<Pulse>,
    /// Bytes of packs that were deleted.
    deleted: Arc<AtomicU64>,
    /// The task at hand.
    at: Arc<RwLock<&'static str>>,
}

impl MaintenanceProgress for Told {
    fn event(&self, event: MaintenanceEvent) {
        self.pulse.beat();
        let name = |mode| match mode {
            Mode::Quick => "quick",
            Mode::Full => "full",
        };
        match event {
            MaintenanceEvent::Began(mode) => {
                self.report.info(format!("Running {} maintenance...", name(mode)));
            }
            MaintenanceEvent::Finished(mode) => {
                self.report.info(format!("Finished {} maintenance.", name(mode)));
            }
            MaintenanceEvent::Task(task) => {
                *self.at.write().unwrap_or_else(PoisonError::into_inner) = task;
                self.report.debug(format!("maintenance task {task}"));
            }
            MaintenanceEvent::DeletedPacks(bytes) => {
                self.deleted.fetch_add(bytes, Ordering::Relaxed);
            }
            MaintenanceEvent::Collected(stats) => self.report.info(collected(&stats)),
            MaintenanceEvent::Unreadable(what) => {
                self.report.warn(format!("left alone, since it cannot be read: {what}"));
            }
            _ => {}
        }
    }

    fn stop(&self) -> bool {
        self.stop.requested()
    }
}

fn collected(stats: &GcStats) -> String {
    format!(
        "contents: {} in use ({}), {} unused and marked ({}), {} unused but too recent ({}), {} \
         recovered",
        stats.in_use.count,
        bytes(stats.in_use.bytes),
        stats.unused.count,
        bytes(stats.unused.bytes),
        stats.too_recent.count,
        bytes(stats.too_recent.bytes),
        stats.recovered.count,
    )
}
