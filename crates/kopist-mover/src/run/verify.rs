//! Whether the snapshots could be restored: every tree is walked, every content must lie where
//! the index says, and a part of the files is read and hashed. Each run reads another part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::Repository;
use kopist_snapshot::verify::{Damage, VerifyOptions, VerifyProgress, VerifyStats, verify};
use kopist_snapshot::walk::Root;
use kopist_snapshot::{SourceInfo, store};

use super::Context;
use super::failure::Failure;
use super::progress::{Ticker, pace};
use super::stop::Stop;
use crate::plan::{SourcePattern, VerifyPlan};
use crate::report::{Checked, Figures, Outcome, Reason, bytes};
use crate::telemetry::Pulse;

/// How much of what is wrong is named.
const NAMED: usize = 10;

/// Verifies an open repository.
pub(super) fn run(
    plan: &VerifyPlan,
    context: &Context,
    repository: &Repository,
) -> Result<Outcome, Failure> {
    let snapshots = snapshots_of(&plan.sources, repository)?;
    if snapshots.is_empty() {
        return Ok(Outcome::skipped(Reason::NoSnapshot, "there are no snapshots to verify"));
    }
    context.report.info(format!(
        "verifying {} snapshots, reading {} % of their files",
        snapshots.len(),
        plan.percent
    ));
    let watcher = Arc::new(Watcher::new(context, None));
    let stats = look(&snapshots, plan.percent, context, repository, &watcher)?;
    for line in watcher.damages() {
        context.report.line(line);
    }
    let checked = Checked::of(snapshots.len() as u64, &stats);
    let figures = Figures {
        repository: Some(super::hexadecimal(repository.unique_id())),
        checked: Some(checked),
        errors: stats.errors,
        ..Figures::default()
    };
    if context.stop.requested() {
        return Err(Failure::interrupted().counting(&figures));
    }
    if stats.errors > 0 {
        let message = format!("{} files or directories are missing or damaged", stats.errors);
        return Err(Failure::new(Reason::DataDamaged, message).counting(&figures));
    }
    let message = format!(
        "{} snapshots verified: {} objects are there, {} files ({}) were read",
        snapshots.len(),
        stats.objects,
        stats.read_files,
        bytes(stats.read_bytes)
    );
    context.report.info(&message);
    Ok(Outcome::success(message, figures))
}

/// Verifies snapshots. What is wrong is told to the watcher.
pub(super) fn look(
    snapshots: &[SnapshotManifest],
    percent: f64,
    context: &Context,
    repository: &Repository,
    watcher: &Arc<Watcher>,
) -> Result<VerifyStats, Failure> {
    let roots = snapshots
        .iter()
        .map(|manifest| {
            let source = SourceInfo::from(&manifest.source);
            let entry = manifest.root_entry.clone().ok_or_else(|| {
                let message = format!("snapshot {} of {source} has no root", manifest.id);
                Failure::new(Reason::DataDamaged, message)
            })?;
            Ok(Root { label: format!("{source}@{}", manifest.id), entry })
        })
        .collect::<Result<Vec<Root>, Failure>>()?;
    let options =
        VerifyOptions { files_percent: percent, hashes: true, ..VerifyOptions::default() };
    let shown = Arc::clone(watcher);
    let _ticker = Ticker::start(context, move |elapsed| {
        let stats = shown.stats();
        format!(
            "verification: {} objects, {} files read ({}), {}, {} s",
            stats.objects,
            stats.read_files,
            bytes(stats.read_bytes),
            pace(stats.read_bytes, stats.read_bytes, shown.expected, elapsed),
            elapsed.as_secs()
        )
    });
    Ok(verify(repository, &roots, &options, &**watcher)?)
}

/// All snapshots of some sources.
pub(super) fn snapshots_of(
    sources: &[SourcePattern],
    repository: &Repository,
) -> Result<Vec<SnapshotManifest>, Failure> {
    let mut snapshots = store::all_snapshots(&repository.manifests()?, &BTreeMap::new());
    snapshots.retain(|manifest| {
        let source = SourceInfo::from(&manifest.source);
        sources.is_empty() || sources.iter().any(|pattern| pattern.matches(&source))
    });
    Ok(snapshots)
}

/// Watches a verification.
pub(super) struct Watcher {
    pulse: Arc<Pulse>,
    stop: Stop,
    /// Bytes that are to be read, where that is known.
    expected: Option<u64>,
    stats: Mutex<VerifyStats>,
    damages: Mutex<Vec<String>>,
}

impl Watcher {
    pub(super) fn new(context: &Context, expected: Option<u64>) -> Self {
        Self {
            pulse: Arc::clone(&context.telemetry.pulse),
            stop: context.stop.clone(),
            expected,
            stats: Mutex::default(),
            damages: Mutex::default(),
        }
    }

    fn stats(&self) -> VerifyStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first things that are wrong, each with the reason.
    pub(super) fn damages(&self) -> Vec<String> {
        self.damages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl VerifyProgress for Watcher {
    fn progress(&self, stats: &VerifyStats) {
        self.pulse.beat();
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = *stats;
    }

    fn damaged(&self, damage: Damage) {
        let mut damages = self.damages.lock().unwrap_or_else(PoisonError::into_inner);
        if damages.len() < NAMED {
            damages.push(format!("Damaged: {:?}: {}", damage.path, damage.error));
        }
    }

    fn stop(&self) -> bool {
        self.stop.requested()
    }
}
