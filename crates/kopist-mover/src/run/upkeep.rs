//! Maintenance after a backup, as the sources of earlier releases had it: every so many days, by
//! the backup's own identity if maintenance belongs to it.
//!
//! The backup is stored by then; whatever happens here is told and changes nothing about it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kopist_format::maintenance::{Schedule, task};
use kopist_repo::Repository;
use kopist_snapshot::maintenance::{self, Mode};

use super::Context;
use super::failure::Failure;

/// Runs full maintenance if the last one is so long ago.
pub(super) fn when_due(interval: Duration, context: &Context, repository: &Repository) {
    let report = &context.report;
    match attempt(interval, context, repository) {
        Ok(None) => report.info("maintenance after the backup is done"),
        Ok(Some(why_not)) => report.info(format!("no maintenance after the backup: {why_not}")),
        Err(failure) => {
            report.warn(format!("maintenance after the backup: {}", failure.message));
        }
    }
}

/// Does it, or says why not.
fn attempt(
    interval: Duration,
    context: &Context,
    repository: &Repository,
) -> Result<Option<String>, Failure> {
    let parameters = maintenance::parameters(&repository.manifests()?)?;
    let identity = repository.identity().to_string();
    if parameters.owner != identity {
        return Ok(Some(format!("it belongs to {}", parameters.owner)));
    }
    let last = last_full(&repository.maintenance_schedule()?);
    let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
    if let Some(last) = last.filter(|last| context.clock.now().duration_since(*last) < interval) {
        return Ok(Some(format!("the last one was at {last}")));
    }
    super::maintenance::cycle(context, repository, Mode::Full, 0.0, &Arc::default())?;
    Ok(None)
}

/// When everything unused was last looked for.
fn last_full(schedule: &Schedule) -> Option<Timestamp> {
    let runs = schedule.runs.get(task::SNAPSHOT_GC)?;
    runs.iter().filter(|run| run.success).map(|run| run.start).max()
}
