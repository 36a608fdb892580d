//! A restore for the sake of it: the newest snapshot of each source, to nowhere or to a scratch
//! directory, and what came back is compared with the snapshot.
//!
//! Nothing comes from a cache: what counts is what the store has. To nowhere, every byte is
//! fetched, decrypted, unpacked and hashed, and the tree is counted against the snapshot's own
//! figures. In a scratch directory, the files are read again from the disk, and their hashes,
//! kinds, permissions and times are compared.

mod compare;
mod scratch;

use std::collections::BTreeMap;
use std::sync::Arc;

use kopist_format::directory::{DirEntry, DirSummary, EntryType};
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::Repository;
use kopist_snapshot::{SourceInfo, browse};

use super::Context;
use super::failure::Failure;
use super::verify::{Watcher, look, snapshots_of};
use crate::plan::TestRestorePlan;
use crate::report::{Checked, Figures, Outcome, Reason, bytes};

/// How many differences of a snapshot are named.
const NAMED: usize = 10;

/// What came of one snapshot.
#[derive(Default)]
pub(super) struct Trial {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// What is not as in the snapshot.
    pub(super) differences: Vec<String>,
}

impl Trial {
    pub(super) fn differs(&mut self, what: impl Into<String>) {
        self.differences.push(what.into());
    }
}

/// Restores the newest snapshots of an open repository.
pub(super) fn run(
    plan: &TestRestorePlan,
    context: &Context,
    repository: &Repository,
) -> Result<Outcome, Failure> {
    let report = &context.report;
    let newest = newest_of_each(snapshots_of(&plan.sources, repository)?);
    if newest.is_empty() {
        return Ok(Outcome::skipped(Reason::NoSnapshot, "there are no snapshots to restore"));
    }
    let mut figures = Figures {
        repository: Some(super::hexadecimal(repository.unique_id())),
        ..Figures::default()
    };
    let mut checked = Checked::default();
    let mut damaged = Vec::new();
    for manifest in &newest {
        let source = SourceInfo::from(&manifest.source);
        report.info(format!("test restore of {source}: snapshot {}", manifest.id));
        let trial = match &plan.scratch {
            None => to_nowhere(manifest, plan.percent, context, repository)?,
            Some(place) => {
                let place = context.root.resolve(place);
                scratch::restore(manifest, plan.percent, context, repository, &place)?
            }
        };
        if context.stop.requested() {
            return Err(Failure::interrupted().counting(&figures));
        }
        checked.snapshots += 1;
        checked.read_files += trial.files;
        checked.read_bytes += trial.bytes;
        checked.failed += trial.differences.len() as u64;
        let (files, size) = (trial.files, bytes(trial.bytes));
        if trial.differences.is_empty() {
            report.info(format!("{source}: {files} files ({size}) are as in the snapshot"));
        } else {
            for line in trial.differences.iter().take(NAMED) {
                report.line(format!("Damaged: {source}: {line}"));
            }
            damaged.push(source.to_string());
        }
    }
    figures.files = checked.read_files;
    figures.bytes = checked.read_bytes;
    figures.errors = checked.failed;
    figures.checked = Some(checked);
    if damaged.is_empty() {
        let message = format!(
            "test restore of {} snapshots: {} files ({}) are as they were saved",
            newest.len(),
            checked.read_files,
            bytes(checked.read_bytes)
        );
        report.info(&message);
        return Ok(Outcome::success(message, figures));
    }
    let message = format!(
        "test restore: {} of {} snapshots did not come back as they were saved: {}",
        damaged.len(),
        newest.len(),
        damaged.join(", ")
    );
    Err(Failure::new(Reason::DataDamaged, message).counting(&figures))
}

/// The newest complete snapshot of each source.
fn newest_of_each(snapshots: Vec<SnapshotManifest>) -> Vec<SnapshotManifest> {
    let mut newest: BTreeMap<SourceInfo, SnapshotManifest> = BTreeMap::new();
    for manifest in snapshots.into_iter().filter(SnapshotManifest::is_complete) {
        let source = SourceInfo::from(&manifest.source);
        match newest.get(&source) {
            Some(known) if known.start_time >= manifest.start_time => {}
            _ => drop(newest.insert(source, manifest)),
        }
    }
    newest.into_values().collect()
}

fn to_nowhere(
    manifest: &SnapshotManifest,
    percent: f64,
    context: &Context,
    repository: &Repository,
) -> Result<Trial, Failure> {
    let summary = summary_of(manifest);
    let expected = u64::try_from(summary.size).ok().filter(|_| percent >= 100.0);
    let watcher = Arc::new(Watcher::new(context, expected));
    let snapshots = std::slice::from_ref(manifest);
    let stats = look(snapshots, percent, context, repository, &watcher)?;
    let mut trial = Trial { files: stats.read_files, bytes: stats.read_bytes, ..Trial::default() };
    for damage in watcher.damages() {
        trial.differs(damage.trim_start_matches("Damaged: "));
    }
    if trial.differences.is_empty() && !context.stop.requested() {
        count(manifest, &summary, context, repository, &mut trial);
    }
    Ok(trial)
}

/// Counts the tree against the figures that the snapshot has of itself.
fn count(
    manifest: &SnapshotManifest,
    summary: &DirSummary,
    context: &Context,
    repository: &Repository,
    trial: &mut Trial,
) {
    let Some(root) = manifest.root_entry.clone().filter(DirEntry::is_dir) else { return };
    let (mut files, mut dirs, mut size) = (0_i64, 1_i64, 0_i64);
    let mut stack = vec![root];
    while let Some(directory) = stack.pop() {
        if context.stop.requested() {
            return;
        }
        context.telemetry.pulse.beat();
        let children = match browse::children(repository, &directory) {
            Ok(children) => children,
            Err(error) => return trial.differs(error.to_string()),
        };
        for child in children {
            if child.is_dir() {
                dirs += 1;
                stack.push(child);
            } else if child.kind == EntryType::File {
                files += 1;
                size += child.size;
            }
        }
    }
    for (what, found, expected) in [
        ("files", files, summary.files),
        ("directories", dirs, summary.dirs),
        ("bytes", size, summary.size),
    ] {
        if found != expected {
            trial.differs(format!("the tree has {found} {what}, the snapshot says {expected}"));
        }
    }
}

fn summary_of(manifest: &SnapshotManifest) -> DirSummary {
    let summary = manifest.root_entry.as_ref().and_then(|root| root.summary.as_ref());
    summary.map(|summary| DirSummary::clone(summary)).unwrap_or_default()
}
