//! A backup: look, connect, policies, command, snapshot, command.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use kopist_format::directory::UtcNanos;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{RepositoryWriter, WriterOptions};
use kopist_snapshot::create::{Created, SnapshotRequest, create};
use kopist_snapshot::fs::errno_text;
use kopist_snapshot::policy::Policy;
use kopist_snapshot::upload::{UploadOptions, UploadSource};
use kopist_snapshot::{SourceInfo, store};

use super::connect::{Connected, Connection, connect};
use super::failure::Failure;
use super::hooks::{self, HookError, HookPlaces};
use super::progress::{Ticker, UploadCounts};
use super::{Context, effective, policies, upkeep};
use crate::plan::{BackupPlan, MoverPlan, PolicyPatch, Step};
use crate::report::{Figures, Outcome, Reason, Written, bytes};

/// Below this limit the writer keeps less in memory.
const SMALL_MEMORY: u64 = 256 << 20;

/// What every ext4 volume has at its top, readable by root alone.
pub(super) const LOST_AND_FOUND: &str = "lost+found";

/// Runs a backup.
pub(super) fn run(
    plan: &MoverPlan,
    backup: &BackupPlan,
    context: &Context,
) -> Result<Outcome, Failure> {
    let directory = context.root.resolve(&backup.data_dir);
    if is_empty(&directory)? {
        context.report.line("== Directory is empty skipping backup ===");
        return Ok(Outcome::skipped(Reason::NothingToBackup, "the directory is empty"));
    }
    let Connected::Open(connection) = connect(plan, context)? else {
        return Err(Failure::new(Reason::Internal, "a backup found no repository and made none"));
    };
    super::connected(plan, context, &connection);
    let writer = connection.repository.writer(writer_options(plan.memory_limit))?;
    let result = within(plan, backup, context, &connection, &writer, &directory);
    if result.is_err() && connection.created {
        // The repository stays; it should be whole. The first failure is the one to tell.
        if let Err(error) = writer.flush() {
            context.report.warn(format!("the new repository has no policies yet: {error}"));
        }
    }
    result
}

/// Fewer packs wait for the store when memory is short: each may be 20 MiB and a content.
fn writer_options(memory_limit: Option<u64>) -> WriterOptions {
    let mut options =
        WriterOptions { purpose: "VolSync backup".to_owned(), ..WriterOptions::default() };
    if memory_limit.is_some_and(|limit| limit < SMALL_MEMORY) {
        options.packs_in_flight = 1;
        options.upload_threads = 1;
    }
    options
}

/// Whether there is nothing to save.
fn is_empty(directory: &Path) -> Result<bool, Failure> {
    let unreadable = |error: std::io::Error| {
        let message =
            format!("cannot open directory '{}': {}", directory.display(), errno_text(&error));
        Failure::new(Reason::SourceUnreadable, message).exit(2)
    };
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        if entry.map_err(unreadable)?.file_name() != LOST_AND_FOUND {
            return Ok(false);
        }
    }
    Ok(true)
}

fn within(
    plan: &MoverPlan,
    backup: &BackupPlan,
    context: &Context,
    connection: &Connection,
    writer: &RepositoryWriter,
    directory: &Path,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let report = &context.report;
    if connection.created {
        policies::initialise(plan, writer)?;
    }
    policies::apply_mounted(plan, context, writer);
    let source =
        SourceInfo::new(&plan.identity.username, &plan.identity.hostname, &plan.source_path);
    source_policy(plan, backup, context, writer, &source)?;
    effective::tell(plan, report, writer, &source)?;

    let places = HookPlaces { snapshot_path: directory, source_path: &plan.source_path };
    let hook = |which, text| hooks::perform(which, text, &backup.hooks, context, &places);
    hook("before-snapshot", backup.hooks.before.as_ref()).map_err(|error| match error {
        HookError::Stopped => Failure::interrupted(),
        other => {
            report.error(format!("before-snapshot action failed: {other}"));
            Failure::new(Reason::HookFailed, "Before-snapshot action failed")
        }
    })?;
    if context.stop.requested() {
        return Err(Failure::interrupted());
    }

    report.line(format!("Creating snapshot for {}", plan.source()));
    let before = latest_bytes(writer, &source);
    let counts = Arc::new(UploadCounts::new(context, before));
    let manual = (!connection.created).then_some(&plan.creation_policy);
    let policy = run_policy(backup, context, writer, &source, directory, manual)?;
    let request = request(backup, context, policy, &source, directory)?;
    let created = {
        let _ticker = Ticker::of_upload(context, &counts);
        let created = create(writer, request, &*counts)
            .map_err(|error| Failure::from(error).during("Failed to create snapshot"))?;
        writer.flush().map_err(|error| Failure::from(error).during("Failed to create snapshot"))?;
        created
    };
    let figures = figures(connection, writer, &created, &counts);
    for line in counts.failures() {
        report.line(line);
    }
    check(&created, context, &plan.source(), &figures)
        .map_err(|failure| failure.counting(&figures).detail(counts.failures().join(" ")))?;

    if let Err(error) = hook("after-snapshot", backup.hooks.after.as_ref()) {
        report.error(format!("after-snapshot action failed: {error}"));
        if matches!(error, HookError::Stopped) {
            return Err(Failure::interrupted());
        }
        report
            .error("WARNING: After-snapshot action failed, but snapshot was created successfully");
    }
    if let Some(interval) = backup.maintenance_after {
        upkeep::when_due(interval, context, &connection.repository);
    }
    report.info(overrides(plan));
    let message = sentence(&created, &figures);
    report.info(format!("Snapshot created successfully: {message}"));
    report.info(format!("Kopia completed in {:.1}s", started.elapsed().as_secs_f64()));
    Ok(Outcome::success(message, figures))
}

/// Compression and retention of the source.
fn source_policy(
    plan: &MoverPlan,
    backup: &BackupPlan,
    context: &Context,
    writer: &RepositoryWriter,
    source: &SourceInfo,
) -> Result<(), Failure> {
    let report = &context.report;
    if let Some(error) = plan.objections_to(Step::SourceCompression).next() {
        report.line("=== Applying compression policy ===");
        return Err(Failure::new(
            Reason::ConfigInvalid,
            format!("Failed to apply compression policy: {error}"),
        ));
    }
    let mut patch = backup.retention.clone();
    if let Some(name) = &backup.compression {
        patch.set("compression", "compressorName", name.as_str());
    }
    if patch.is_empty() {
        return Ok(());
    }
    policies::set(writer, source, &patch)
        .map_err(|failure| failure.during("Failed to apply compression policy"))?;
    if backup.compression.is_some() {
        report.line("=== Applying compression policy ===");
        report.line("Compression policy applied successfully");
    }
    if !backup.retention.is_empty() {
        report.line("=== Applying retention policy ===");
        report.line("Retention policy applied successfully");
    }
    Ok(())
}

fn request(
    backup: &BackupPlan,
    context: &Context,
    policy: Option<Policy>,
    source: &SourceInfo,
    directory: &Path,
) -> Result<SnapshotRequest, Failure> {
    let arguments = &backup.arguments;
    let tree = UploadSource::local(directory)
        .map_err(|error| Failure::new(Reason::SourceUnreadable, error.to_string()))?;
    let defaults = UploadOptions::default();
    let upload = UploadOptions {
        parallel: backup.parallel.unwrap_or(0),
        force_hash_percent: arguments.force_hash.unwrap_or(0.0),
        upload_limit: arguments.upload_limit_mb.filter(|mb| *mb > 0).map(|mb| mb << 20),
        fail_fast: arguments.fail_fast.unwrap_or(false),
        checkpoint_interval: arguments
            .checkpoint_interval
            .and_then(|interval| SignedDuration::try_from(interval).ok())
            .unwrap_or(defaults.checkpoint_interval),
        cancel: context.stop.upload().clone(),
        ..defaults
    };
    Ok(SnapshotRequest {
        description: arguments.description.clone(),
        tags: arguments
            .tags
            .iter()
            .map(|(key, value)| (format!("tag:{key}"), value.clone()))
            .collect(),
        pins: arguments.pins.clone(),
        start_time: arguments.start_time.map(UtcNanos::from),
        end_time: arguments.end_time.map(UtcNanos::from),
        time_zone: TimeZone::system(),
        policy,
        upload,
        ..SnapshotRequest::new(source.clone(), tree)
    })
}

/// The policy of this run if it differs from the stored ones: with the settings among
/// the additional arguments, without a `lost+found` that only root may read, and with the
/// compression of the manual configuration where no policy speaks about it.
fn run_policy(
    backup: &BackupPlan,
    context: &Context,
    writer: &RepositoryWriter,
    source: &SourceInfo,
    directory: &Path,
    manual: Option<&PolicyPatch>,
) -> Result<Option<Policy>, Failure> {
    let hidden = directory.join(LOST_AND_FOUND);
    let unreadable = std::fs::read_dir(&hidden)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    let manual = manual.filter(|patch| !patch.is_empty());
    if backup.run_policy.is_empty() && !unreadable && manual.is_none() {
        return Ok(None);
    }
    let effective = store::load_policies(&writer.manifests()?)?.effective(source);
    let mut patch = PolicyPatch::default();
    for rule in &effective.policy.files.ignore {
        patch.append("files", "ignore", rule.as_str());
    }
    if unreadable {
        patch.append("files", "ignore", format!("/{LOST_AND_FOUND}"));
    }
    if let Some(manual) = manual
        && !effective::states_compression(&effective)
    {
        context.report.info(
            "no policy states a compression: that of KOPIA_MANUAL_CONFIG counts for this run",
        );
        patch.extend(manual);
    }
    patch.extend(&backup.run_policy);
    policies::changed(&effective.policy, &patch).map(Some)
}

fn figures(
    connection: &Connection,
    writer: &RepositoryWriter,
    created: &Created,
    counts: &UploadCounts,
) -> Figures {
    let manifest = &created.manifest;
    let summary = manifest.root_entry.as_ref().and_then(|root| root.summary.as_ref());
    let count = |get: fn(&kopist_format::directory::DirSummary) -> i64| {
        summary.map_or(0, |summary| u64::try_from(get(summary)).unwrap_or(0))
    };
    let stats = writer.stats();
    Figures {
        snapshot: (!manifest.id.is_empty()).then(|| manifest.id.clone()),
        repository: Some(super::hexadecimal(connection.repository.unique_id())),
        files: count(|summary| summary.files),
        dirs: count(|summary| summary.dirs),
        bytes: count(|summary| summary.size),
        bytes_hashed: counts.hashed_bytes(),
        bytes_uploaded: stats.pack_bytes,
        files_unchanged: counts.cached_files(),
        errors: count(|summary| summary.failed),
        ignored_errors: count(|summary| summary.ignored_errors),
        retention: Some((super::kept(writer, &manifest.source), created.expired.len() as u64)),
        written: Some(Written {
            new_bytes: stats.new_bytes,
            packs: stats.packs,
            index_blobs: stats.index_blobs,
        }),
        ..Figures::default()
    }
}

/// Bytes of the newest complete snapshot of a source.
fn latest_bytes(writer: &RepositoryWriter, source: &SourceInfo) -> Option<u64> {
    let snapshots = store::snapshots_of(&writer.manifests().ok()?, source);
    let latest = snapshots
        .iter()
        .filter(|manifest| manifest.is_complete())
        .max_by_key(|manifest| manifest.start_time)?;
    let summary = latest.root_entry.as_ref()?.summary.as_ref()?;
    u64::try_from(summary.size).ok()
}

/// Whether the snapshot is what was asked for.
fn check(
    created: &Created,
    context: &Context,
    source: &str,
    figures: &Figures,
) -> Result<(), Failure> {
    let manifest: &SnapshotManifest = &created.manifest;
    if context.stop.requested() {
        if !manifest.is_complete() {
            context.report.info(
                "what was read is stored as an incomplete snapshot, from which the next run goes on",
            );
        }
        return Err(Failure::interrupted());
    }
    if figures.errors > 0 {
        context
            .report
            .line(format!("Found {} fatal error(s) while snapshotting {source}.", figures.errors));
        let stored = figures.snapshot.as_deref().unwrap_or("none");
        return Err(Failure::new(
            Reason::SourceErrors,
            format!(
                "Failed to create snapshot: {} entries could not be read; the others are stored \
                 in snapshot {stored}",
                figures.errors
            ),
        ));
    }
    Ok(())
}

/// Which of the identity the operator gave, as its tests look for it.
pub(super) fn overrides(plan: &MoverPlan) -> String {
    let parts = [
        ("username", &plan.identity.username, plan.identity.username_given),
        ("hostname", &plan.identity.hostname, plan.identity.hostname_given),
        ("source path", &plan.source_path, plan.source_path_given),
    ];
    let given = parts.iter().filter(|(_, _, given)| *given);
    let sentences: Vec<String> =
        given.map(|(what, value, _)| format!("Using {what} override: {value}.")).collect();
    sentences.join(" ")
}

fn sentence(created: &Created, figures: &Figures) -> String {
    let what = match (&figures.snapshot, created.identical) {
        (Some(id), _) => format!("snapshot {id} created"),
        (None, true) => "snapshot not created, it would be identical to the last one".to_owned(),
        (None, false) => "snapshot created".to_owned(),
    };
    format!(
        "{what}, processed {} files ({}), {} entries unchanged, uploaded {}",
        figures.files,
        bytes(figures.bytes),
        figures.files_unchanged,
        bytes(figures.bytes_uploaded)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_container_has_fewer_packs_in_memory() {
        let usual = WriterOptions::default();
        let options = |limit| writer_options(limit);
        assert_eq!(options(None).packs_in_flight, usual.packs_in_flight);
        assert_eq!(options(Some(1 << 30)).upload_threads, usual.upload_threads);
        let small = options(Some(128 << 20));
        assert_eq!((small.packs_in_flight, small.upload_threads), (1, 1));
    }
}
