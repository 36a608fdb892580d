//! Doing what the plan says: one process, one connection, one load of the index.
//!
//! | module | step |
//! | --- | --- |
//! | `connect` | find the repository, or make it |
//! | `sharing` | repositories that pods of several users share |
//! | `policies` | store what files and fields state, where it differs |
//! | `effective` | say what holds then, and who said so |
//! | `hooks` | commands around a snapshot or a restore |
//! | `backup`, `restore`, `fill`, `maintenance` | the work |
//! | `verify`, `trial`, `replicate` | looking after what was saved: verification, test restores, copies |
//! | `upkeep` | maintenance after a backup, where it is asked for |
//! | `select` | which snapshot is restored |
//! | `progress` | a line now and then |
//! | `stop` | signals |
//! | `failure` | errors of all libraries as a reason and a sentence |

mod backup;
mod connect;
mod effective;
mod failure;
mod fill;
mod hooks;
mod maintenance;
mod policies;
mod progress;
mod replicate;
mod restore;
mod select;
mod sharing;
mod stop;
mod trial;
mod upkeep;
mod verify;

pub use failure::Failure;
pub use select::{Choice, choose};
pub use stop::{Finished, INTERRUPTED, Impatience, Stop, listen};

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kopist_blob::pace::Timer as _;
use kopist_format::snapshot::SnapshotSource;
use kopist_repo::{Clock, Repository, RepositoryWriter};
use kopist_snapshot::{SourceInfo, store};

use crate::env::Env;
use crate::plan::{MoverPlan, Storage, Work};
use crate::report::{CacheUse, Outcome, Reason, Report, hint};
use crate::root::ContainerRoot;
use crate::telemetry::Telemetry;

/// What a run has besides its plan.
pub struct Context {
    /// The environment that hooks inherit, less the credentials.
    pub env: Env,
    /// Where container paths lie.
    pub root: ContainerRoot,
    /// The log.
    pub report: Arc<Report>,
    /// Being told to stop.
    pub stop: Stop,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted on the way.
    pub telemetry: Telemetry,
    /// Between two lines of progress; `None` prints none.
    pub progress: Option<Duration>,
    /// What this process may use, if the container has a limit.
    pub memory_limit: Option<u64>,
}

/// Executes a plan. Whatever happens is an outcome.
pub fn run(plan: &MoverPlan, context: &Context) -> Outcome {
    let started = context.clock.now();
    let mut outcome = attempt(plan, context).unwrap_or_else(Outcome::from);
    outcome.started = Some(started);
    // A stop ends the waits for the store.
    if outcome.reason == Reason::StorageUnreachable && context.stop.requested() {
        outcome.reason = Reason::Interrupted;
        outcome.exit_code = INTERRUPTED;
    }
    if outcome.reason == Reason::Interrupted {
        let cache = cache_use(plan, context);
        if cache.percent() >= EXHAUSTED_PERCENT {
            explain_exhaustion(context, cache);
            outcome.reason = Reason::CacheFull;
            outcome.exit_code = CACHE_FULL;
        }
    }
    let said = format!("{} {}", outcome.message, outcome.detail);
    outcome.hint = hint(outcome.reason, &said, plan.operation());
    outcome
}

fn attempt(plan: &MoverPlan, context: &Context) -> Result<Outcome, Failure> {
    stagger(plan, context)?;
    prepare_cache(plan, context)?;
    perform(plan, context)
}

/// The work itself.
fn perform(plan: &MoverPlan, context: &Context) -> Result<Outcome, Failure> {
    match &plan.work {
        Work::Backup(backup) => backup::run(plan, backup, context),
        Work::Restore(restore) => restore::run(plan, restore, context),
        Work::Maintenance(work) => maintenance::run(plan, work, context),
        Work::Verify(verify) => {
            in_repository(plan, context, |repository| verify::run(verify, context, repository))
        }
        Work::TestRestore(test) => {
            in_repository(plan, context, |repository| trial::run(test, context, repository))
        }
        Work::Replicate(copy) => in_repository(plan, context, |repository| {
            replicate::run(plan, copy, context, repository)
        }),
    }
}

/// Work on a repository that must be there already; without one there is nothing to do.
fn in_repository(
    plan: &MoverPlan,
    context: &Context,
    work: impl FnOnce(&Repository) -> Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    match connect::connect(plan, context)? {
        connect::Connected::Open(connection) => {
            connected(plan, context, &connection);
            work(&connection.repository)
        }
        connect::Connected::Absent { place } => {
            context.report.info(format!("there is no repository yet: {place}"));
            Ok(Outcome::skipped(Reason::NoRepository, "there is no repository yet"))
        }
    }
}

/// Schedules start many runs in the same second. Each waits its own part of the time that it may
/// wait, always the same part, so that the times between its runs stay as they are.
fn stagger(plan: &MoverPlan, context: &Context) -> Result<(), Failure> {
    let Some(limit) = plan.jitter else { return Ok(()) };
    let places: Vec<String> = plan.storage.iter().map(Storage::describe).collect();
    let wait = part_of(limit, &format!("{} {}", plan.source(), places.join(" ")));
    context.report.info(format!(
        "waiting {:.1} s before the start, of at most {:.1} s",
        wait.as_secs_f64(),
        limit.as_secs_f64()
    ));
    let _waiting = context.telemetry.pulse.wait();
    if context.stop.timer().wait(wait) { Ok(()) } else { Err(Failure::interrupted()) }
}

/// A part of a time that depends on a name alone (FNV-1a).
fn part_of(limit: Duration, name: &str) -> Duration {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    limit.mul_f64((hash >> 40) as f64 / (1_u64 << 24) as f64)
}

/// Exit status of a run that was stopped because its cache volume is full.
const CACHE_FULL: u8 = 137;
/// From here on the cache is taken for the reason of an eviction.
const EXHAUSTED_PERCENT: u64 = 90;

/// How full the cache is.
pub fn cache_use(plan: &MoverPlan, context: &Context) -> CacheUse {
    let used = directory_bytes(&context.root.resolve(&plan.cache.dir));
    CacheUse { used, capacity: plan.cache.capacity }
}

fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => directory_bytes(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
            _ => 0,
        })
        .sum()
}

fn explain_exhaustion(context: &Context, cache: CacheUse) {
    let report = &context.report;
    report.error("CACHE EXHAUSTION DETECTED");
    report.line(format!(
        "Cache usage: {} / {} ({}%)",
        crate::report::bytes(cache.used),
        crate::report::bytes(cache.capacity),
        cache.percent()
    ));
    report.line(
        "The pod is stopped because its cache volume is full. Give it more room with \
         spec.kopia.cacheCapacity, or a volume of its own with spec.kopia.cacheStorageClassName.",
    );
}

/// Makes the cache directory, and empties it if that is asked for. Everything in it can
/// be fetched again.
fn prepare_cache(plan: &MoverPlan, context: &Context) -> Result<(), Failure> {
    let directory = context.root.resolve(&plan.cache.dir);
    let unusable = |error: std::io::Error| {
        let message =
            format!("Cache directory {} is not writable: {error}", plan.cache.dir.display());
        Failure::new(Reason::ConfigInvalid, message)
    };
    std::fs::create_dir_all(&directory).map_err(unusable)?;
    if !plan.cache.rebuild {
        return Ok(());
    }
    context.report.warn("KOPIA_FORCE_CACHE_REBUILD is set, clearing cache before connection...");
    for entry in std::fs::read_dir(&directory).map_err(unusable)?.flatten() {
        if let Err(error) = remove(&entry.path()) {
            // `lost+found` of a volume, for example: not ours, not in the way.
            context.report.warn(format!("{} stays: {error}", entry.path().display()));
        }
    }
    Ok(())
}

/// Removes a file, a link or a directory with everything in it.
fn remove(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}

/// Says where the run is connected to, once.
fn connected(plan: &MoverPlan, context: &Context, connection: &connect::Connection) {
    context.report.info(format!(
        "Repository connected: {}, format {}, as {}@{}",
        connection.place,
        connection.repository.format().mutable.version,
        plan.identity.username,
        plan.identity.hostname
    ));
}

/// How many complete snapshots a source has.
fn kept(writer: &RepositoryWriter, source: &SnapshotSource) -> u64 {
    let source: SourceInfo = source.into();
    let Ok(view) = writer.manifests() else { return 0 };
    store::snapshots_of(&view, &source).iter().filter(|manifest| manifest.is_complete()).count()
        as u64
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_waits_its_own_part() {
        let limit = Duration::from_secs(30);
        let waits: Vec<Duration> =
            (0..100).map(|index| part_of(limit, &format!("app{index}@ns1:/data"))).collect();
        assert!(waits.iter().all(|wait| *wait < limit));
        assert_eq!(waits[7], part_of(limit, "app7@ns1:/data"));
        // Spread over the whole time: some in each third.
        for third in 0..3 {
            let (from, to) = (limit * third / 3, limit * (third + 1) / 3);
            let inside = waits.iter().filter(|wait| (from..to).contains(*wait)).count();
            assert!(inside > 15, "{third}: {inside}");
        }
    }
}
