//! Maintenance, when it is asked for and when it is due after a command that wrote.

use kopist_format::maintenance::Mode;
use kopist_snapshot::{
    gc::GcStats,
    maintenance::{
        MaintenanceError, MaintenanceEvent, MaintenanceOptions, MaintenanceOutcome,
        run as maintain, task,
    },
};

use crate::{
    app::{App, Outcome},
    error::Context as _,
    session::Session,
};

/// What is due, with all margins, one at a time for this connection.
pub(crate) fn options(app: &App) -> MaintenanceOptions {
    let mut lock = app.globals.config_file.clone().into_os_string();
    lock.push(".mlock");
    MaintenanceOptions {
        lock: Some(lock.into()),
        check_percent: check_percent(app),
        ..MaintenanceOptions::default()
    }
}

/// Kopia reads this variable, and goes on without it when it is no number.
fn check_percent(app: &App) -> f64 {
    const NAME: &str = "KOPIA_MAINTENANCE_CONTENT_VERIFY_PERCENTAGE";
    let Some(text) = app.env.text(NAME) else { return 0.0 };
    text.parse().unwrap_or_else(|_| {
        app.warn(format!(
            "The '{NAME}' environment variable appears to have a non numeric value: '{text:?}'"
        ));
        0.0
    })
}

/// Runs maintenance and says what goes on.
pub(crate) fn run(
    app: &App,
    session: &Session,
    options: &MaintenanceOptions,
) -> Result<MaintenanceOutcome, MaintenanceError> {
    session.record();
    let outcome = maintain(&session.repo, options, &|event| say(app, event));
    if !matches!(outcome, Ok(MaintenanceOutcome::NotDue | MaintenanceOutcome::Busy)) {
        session.has_written();
    }
    let outcome = outcome?;
    app.debug(match outcome {
        MaintenanceOutcome::NotDue => "not due for maintenance",
        MaintenanceOutcome::Busy => "maintenance is already in progress locally",
        MaintenanceOutcome::Ran(_) => "maintenance is done",
        MaintenanceOutcome::NothingMarked(_) => NOTHING_MARKED,
    });
    Ok(outcome)
}

/// Why maintenance that went on did not free anything.
pub(crate) const NOTHING_MARKED: &str = "unused contents were not collected, since not every \
     manifest can be read (see above); the rest of maintenance is done";

/// Runs maintenance that is due after a command that wrote, if this client owns it.
///
/// Lost manifests are an error even where nothing is due: whoever goes on would take the snapshots
/// that are left for all there are.
pub(crate) fn run_if_due(app: &App, session: &Session) -> Outcome {
    if !app.globals.auto_maintenance || session.repo.is_read_only() {
        return Ok(());
    }
    let manifests = session.repo.manifests();
    let ran = match run(app, session, &options(app)) {
        Err(MaintenanceError::NotOwner(owner)) => {
            app.debug(format!("maintenance owned by another user '{owner}'"));
            Ok(())
        }
        // What could not be collected is said; the command itself did what it should.
        result => result.map(drop).context("error running maintenance"),
    };
    let whole = manifests.map(drop).context("unable to load manifest contents");
    ran.and(whole).context("running auto-maintenance")
}

fn say(app: &App, event: MaintenanceEvent) {
    match event {
        MaintenanceEvent::Began(mode) => {
            app.info(format!("Running {} maintenance...", name(mode)));
        }
        MaintenanceEvent::Finished(mode) => {
            app.info(format!("Finished {} maintenance.", name(mode)));
        }
        MaintenanceEvent::Collected(stats) => say_collected(app, &stats),
        MaintenanceEvent::CleanedLogs(count) => app.info(format!("Cleaned up {count} logs.")),
        MaintenanceEvent::Unreadable(what) => {
            app.warn(format!("left alone, since it cannot be read: {what}"));
        }
        MaintenanceEvent::Task(task) => match task {
            task::COMPACT_SINGLE => app.info("Compacting an eligible uncompacted epoch..."),
            task::ADVANCE_EPOCH => app.info("Advancing epoch markers..."),
            task::GENERATE_RANGE => app.info("Attempting to compact a range of epoch indexes ..."),
            task::CLEANUP_EPOCH_MARKERS => app.info("Cleaning up unneeded epoch markers..."),
            task::DELETE_SUPERSEDED_INDEXES => {
                app.info("Cleaning up old index blobs which have already been compacted...");
            }
            task => app.debug(format!("maintenance task {task}")),
        },
        _ => {}
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Quick => "quick",
        Mode::Full => "full",
    }
}

fn say_collected(app: &App, stats: &GcStats) {
    for (verb, tally, what) in [
        ("found", stats.unused, "unused contents"),
        ("found", stats.too_recent, "unused contents that are too recent to delete"),
        ("found", stats.in_use, "in-use contents"),
        ("found", stats.system, "in-use system-contents"),
        ("undeleted", stats.recovered, "contents"),
    ] {
        let (count, size) = (tally.count, app.size(tally.bytes));
        app.info(format!("GC {verb} {count} {what} ({size})"));
    }
    if stats.held_back.count > 0 {
        let (count, size) = (stats.held_back.count, app.size(stats.held_back.bytes));
        app.warn(format!("GC left {count} contents that seem unused ({size})"));
    }
}
