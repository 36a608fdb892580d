//! A restore: connect, choose, look whether it can be read, empty, fill, compare.
//!
//! The order is the point. Nothing of the destination is touched before a snapshot is
//! chosen and its root is readable; an error while finding out is a failure and never
//! "there is nothing to restore".

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use kopist_format::directory::{DirSummary, UtcNanos};
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::WriterOptions;
use kopist_snapshot::store;

use super::backup::{LOST_AND_FOUND, overrides};
use super::connect::{Connected, Connection, connect};
use super::failure::Failure;
use super::hooks::{self, HookError, HookPlaces};
use super::select::{Choice, choose, why_none_fits};
use super::{Context, fill, policies};
use crate::plan::{MoverPlan, RestorePlan};
use crate::report::discovery::{self, Found};
use crate::report::{Figures, Outcome, Reason, bytes};

/// Runs a restore.
pub(super) fn run(
    plan: &MoverPlan,
    restore: &RestorePlan,
    context: &Context,
) -> Result<Outcome, Failure> {
    let report = &context.report;
    let connection = match connect(plan, context)? {
        Connected::Open(connection) => connection,
        Connected::Absent { place } => {
            report.info(format!("there is no repository yet: {place}"));
            let none = Nothing {
                reason: Reason::NoRepository,
                why: "there is no repository yet".to_owned(),
                wanted: plan.source(),
            };
            return Ok(nothing(restore, context, &[], none));
        }
    };
    super::connected(plan, context, &connection);
    apply_policies(plan, context, &connection)?;

    let view = connection.repository.manifests()?;
    let snapshots = store::all_snapshots(&view, &BTreeMap::new());
    // Interrupted ones cannot be restored, so nobody is offered them.
    let available = snapshots.iter().filter(|manifest| manifest.is_complete());
    let found: Vec<Found> = available.map(describe).collect();
    let chosen = match select(plan, restore, &snapshots) {
        Ok(Some(chosen)) => chosen,
        Ok(None) => {
            let starts = starts(&complete(plan, &snapshots));
            let none = Nothing {
                reason: Reason::NoSnapshot,
                why: why_none_fits(&plan.source(), &restore.selection, &starts),
                wanted: wanted(plan, &snapshots),
            };
            return Ok(nothing(restore, context, &found, none));
        }
        Err(failure) => {
            return Ok(failed(context, &found, Some(&wanted(plan, &snapshots)), failure));
        }
    };
    report.line(format!("Selected snapshot with id: {}", chosen.id));
    let summary = summary_of(chosen);
    report.info(format!(
        "it was started at {}, with {} files ({})",
        instant(chosen.start_time),
        summary.files,
        bytes(unsigned(summary.size))
    ));
    match refill(plan, restore, context, &connection, chosen) {
        Ok(outcome) => Ok(outcome),
        Err(failure) => {
            let failure = failure.during(&format!("Failed to restore snapshot: {}", chosen.id));
            Ok(failed(context, &found, None, failure))
        }
    }
}

/// Policy files count on every connection; a restore writes only if they say something
/// that is not stored.
fn apply_policies(
    plan: &MoverPlan,
    context: &Context,
    connection: &Connection,
) -> Result<(), Failure> {
    let stated = plan.policies.global.as_ref().is_some_and(|file| !file.states_nothing());
    if !stated {
        policies::report_mounted(plan, context, &mut |_| Ok(false));
        return Ok(());
    }
    let writer = connection.repository.writer(WriterOptions {
        purpose: "VolSync policies".to_owned(),
        ..WriterOptions::default()
    })?;
    policies::report_mounted(plan, context, &mut |file| {
        let written = policies::set_global(&writer, file)?;
        if written {
            writer.flush()?;
        }
        Ok(written)
    });
    Ok(())
}

fn instant(time: UtcNanos) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn describe(manifest: &SnapshotManifest) -> Found {
    Found {
        id: manifest.id.clone(),
        user: manifest.source.user_name.clone(),
        host: manifest.source.host.clone(),
        path: manifest.source.path.clone(),
        start: instant(manifest.start_time),
        end: instant(manifest.end_time),
    }
}

fn summary_of(manifest: &SnapshotManifest) -> DirSummary {
    manifest
        .root_entry
        .as_ref()
        .and_then(|root| root.summary.as_ref())
        .map(|summary| DirSummary::clone(summary))
        .unwrap_or_default()
}

/// The snapshot to restore; `None` if there is none, which may be fine.
fn select<'s>(
    plan: &MoverPlan,
    restore: &RestorePlan,
    snapshots: &'s [SnapshotManifest],
) -> Result<Option<&'s SnapshotManifest>, Failure> {
    let complete = complete(plan, snapshots);
    let interrupted = snapshots.iter().filter(|manifest| is_wanted(plan, manifest)).count();
    if complete.is_empty() && interrupted > 0 {
        return Err(Failure::new(
            Reason::NoSnapshot,
            format!(
                "{} has no complete snapshot, only {} interrupted ones, which are not restored",
                plan.source(),
                interrupted
            ),
        ));
    }
    match choose(&restore.selection, &starts(&complete)) {
        Choice::One(index) => Ok(complete.get(index).copied()),
        Choice::None => Ok(None),
        Choice::Beyond { available } => Err(Failure::new(
            Reason::NoSnapshot,
            format!(
                "KOPIA_PREVIOUS skips {} snapshots, but {} has only {available}",
                restore.selection.previous,
                plan.source()
            ),
        )),
    }
}

/// Whether a snapshot is of exactly the wanted source.
fn is_wanted(plan: &MoverPlan, manifest: &SnapshotManifest) -> bool {
    manifest.source.user_name == plan.identity.username
        && manifest.source.host == plan.identity.hostname
        && manifest.source.path == plan.source_path
}

/// The complete snapshots of exactly the wanted source.
fn complete<'s>(plan: &MoverPlan, snapshots: &'s [SnapshotManifest]) -> Vec<&'s SnapshotManifest> {
    snapshots.iter().filter(|m| m.is_complete() && is_wanted(plan, m)).collect()
}

fn starts(snapshots: &[&SnapshotManifest]) -> Vec<Timestamp> {
    snapshots.iter().map(|manifest| instant(manifest.start_time)).collect()
}

/// What there is no snapshot of, for the operator's parser: it reads user and host, and counts how
/// many snapshots of them are listed. What follows the path is for people.
fn wanted(plan: &MoverPlan, snapshots: &[SnapshotManifest]) -> String {
    let source = plan.source();
    if complete(plan, snapshots).is_empty() { source } else { format!("{source} that fit") }
}

/// Why there is nothing to restore.
struct Nothing {
    reason: Reason,
    /// A sentence.
    why: String,
    /// What there is no snapshot of.
    wanted: String,
}

/// Nothing fits: fine, unless the operator's user says otherwise.
fn nothing(
    restore: &RestorePlan,
    context: &Context,
    found: &[Found],
    Nothing { reason, why, wanted }: Nothing,
) -> Outcome {
    let report = &context.report;
    report.line("No eligible snapshots found");
    if restore.required {
        let failure = Failure::new(reason, format!("nothing to restore: {why}"));
        return failed(context, found, Some(&wanted), failure);
    }
    if restore.discover {
        report.line(format!("No snapshots found for {wanted}"));
        for line in discovery::block(found) {
            report.line(line);
        }
    }
    // Once more, since a list of many has pushed it out of what the operator keeps.
    report.line(format!("No eligible snapshots found: {why}"));
    report.line("=== No data will be restored ===");
    Outcome::skipped(reason, why)
}

/// A failure after the snapshots are known: says which there are, in the last lines.
fn failed(context: &Context, found: &[Found], wanted: Option<&str>, failure: Failure) -> Outcome {
    let report = &context.report;
    for line in discovery::of_failure(found, wanted, &failure.message) {
        report.line(line);
    }
    let mut outcome = Outcome::from(failure);
    outcome.told = true;
    outcome
}

fn refill(
    plan: &MoverPlan,
    restore: &RestorePlan,
    context: &Context,
    connection: &Connection,
    chosen: &SnapshotManifest,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let report = &context.report;
    let repository = &connection.repository;
    let no_root =
        || Failure::new(Reason::DataDamaged, "the snapshot has no root: its manifest is damaged");
    let root = chosen.root_entry.as_ref().ok_or_else(no_root)?;
    repository.read_object(&root.object.ok_or_else(no_root)?)?;

    let directory = context.root.resolve(&restore.data_dir);
    let places = HookPlaces { snapshot_path: &directory, source_path: &plan.source_path };
    let hook = |which, text| {
        hooks::perform(which, text, &restore.hooks, context, &places).map_err(|error| match error {
            HookError::Stopped => Failure::interrupted(),
            other => Failure::new(Reason::HookFailed, format!("{which} action failed: {other}")),
        })
    };
    hook("before-restore", restore.hooks.before.as_ref())?;
    if restore.delete_first {
        report.line("File deletion enabled - cleaning destination directory before restore");
        empty(&directory)?;
    }
    if context.stop.requested() {
        return Err(Failure::interrupted());
    }
    let restored = fill::fill(restore, context, repository, root, &directory)?;
    let summary = summary_of(chosen);
    restored.check(&summary)?;
    hook("after-restore", restore.hooks.after.as_ref())?;
    let figures = Figures {
        snapshot: Some(chosen.id.clone()),
        repository: Some(super::hexadecimal(repository.unique_id())),
        files: restored.files(),
        dirs: restored.stats.directories,
        bytes: restored.bytes(),
        ignored_errors: restored.stats.ignored_errors + restored.unkept(),
        ..Figures::default()
    };
    let message = format!(
        "restoring {} files ({}) of snapshot {} from {} done.",
        restored.files(),
        bytes(restored.bytes()),
        chosen.id,
        instant(chosen.start_time)
    );
    // One line: only lines like this one reach the status of a destination.
    let line = format!(
        "Snapshot restore completed successfully: {message} {} Kopia completed in {:.1}s",
        overrides(plan),
        started.elapsed().as_secs_f64()
    );
    report.info(line);
    Ok(Outcome::success(message, figures))
}

/// Empties a directory, except for `lost+found`.
fn empty(directory: &Path) -> Result<(), Failure> {
    let stuck = |path: &Path, error: std::io::Error| {
        let message = format!("cannot remove {}: {error}", path.display());
        Failure::new(Reason::TargetUnwritable, message)
    };
    for entry in std::fs::read_dir(directory).map_err(|error| stuck(directory, error))? {
        let entry = entry.map_err(|error| stuck(directory, error))?;
        if entry.file_name() != LOST_AND_FOUND {
            super::remove(&entry.path()).map_err(|error| stuck(&entry.path(), error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emptying_spares_what_the_file_system_needs() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("sub/deep")).unwrap();
        std::fs::create_dir(at(LOST_AND_FOUND)).unwrap();
        std::fs::write(at("lost+found/z"), "z").unwrap();
        std::fs::write(at(".hidden"), "h").unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "k").unwrap();
        std::os::unix::fs::symlink(outside.path(), at("link")).unwrap();
        std::os::unix::fs::symlink("/no", at("dangling")).unwrap();
        empty(dir.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert!(at("lost+found/z").exists() && outside.path().join("kept").exists());
    }
}
