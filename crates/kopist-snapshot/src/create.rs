//! Making a snapshot: upload, save, apply retention.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use kopist_format::directory::UtcNanos;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{ManifestView, RepositoryWriter};

use crate::error::Result;
use crate::policy::Policy;
use crate::upload::{UploadOptions, UploadProgress, UploadSource, Uploader};
use crate::{SourceInfo, expire, store};

/// What to make a snapshot of, and what to note about it.
pub struct SnapshotRequest {
    /// The source, as it is found again later.
    pub source: SourceInfo,
    /// What is read.
    pub tree: UploadSource,
    /// Free text.
    pub description: String,
    /// Tags by their full label, such as `tag:name`.
    pub tags: BTreeMap<String, String>,
    /// Names of pins.
    pub pins: Vec<String>,
    /// A start time to note instead of the real one.
    pub start_time: Option<UtcNanos>,
    /// An end time to note instead of the real one.
    pub end_time: Option<UtcNanos>,
    /// Mark the source as one that is backed up by hand only.
    pub manual: bool,
    /// Local time zone, for retention.
    pub time_zone: TimeZone,
    /// A policy for this run in the place of the one stored for the source.
    pub policy: Option<Policy>,
    /// How to upload.
    pub upload: UploadOptions,
}

impl SnapshotRequest {
    /// A plain snapshot of `tree`.
    #[must_use]
    pub fn new(source: SourceInfo, tree: UploadSource) -> Self {
        Self {
            source,
            tree,
            description: String::new(),
            tags: BTreeMap::new(),
            pins: Vec::new(),
            start_time: None,
            end_time: None,
            manual: false,
            time_zone: TimeZone::UTC,
            policy: None,
            upload: UploadOptions::default(),
        }
    }
}

/// What came of a snapshot.
#[derive(Clone, Debug)]
pub struct Created {
    /// The manifest. Its id is empty if it was not saved.
    pub manifest: SnapshotManifest,
    /// The snapshot that it was compared with, if any.
    pub previous: Option<SnapshotManifest>,
    /// Nothing was saved, because the tree is the one of the previous snapshot and the policy
    /// says not to keep two of the same.
    pub identical: bool,
    /// Snapshots that retention deleted.
    pub expired: Vec<SnapshotManifest>,
}

/// Makes a snapshot. Nothing but checkpoints is flushed: several snapshots share one index.
///
/// The snapshot is saved also when entries failed (`root_entry.summary.failed` counts them) and
/// when the upload was stopped (then it is incomplete).
pub fn create(
    writer: &RepositoryWriter,
    request: SnapshotRequest,
    progress: &dyn UploadProgress,
) -> Result<Created> {
    // Before hours of work rather than after them.
    store::check_savable(&request.source, &request.tags)?;
    let view = writer.manifests()?;
    let policies = store::load_policies(&view)?;
    let tree = policies.tree_with(&request.source, request.policy.as_ref());
    let previous = previous_snapshots(&view, &request.source);
    let mut options = request.upload;
    options.time_zone = request.time_zone.clone();
    let uploader = Uploader { writer, options, progress };
    let mut manifest = uploader.upload(&request.tree, &request.source, &tree, &previous)?;

    manifest.description = request.description;
    manifest.tags = request.tags;
    manifest.pins = request.pins.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    override_times(&mut manifest, request.start_time, request.end_time);

    let ignore_identical = tree.effective().retention.ignore_identical_snapshots.unwrap_or(false);
    let previous = previous.into_iter().next();
    if ignore_identical
        && previous.as_ref().is_some_and(|last| last.root_object() == manifest.root_object())
    {
        return Ok(Created { manifest, previous, identical: true, expired: Vec::new() });
    }
    manifest.id = store::save_snapshot(writer, &manifest)?.to_string();
    let expired = expire::apply_retention(writer, &request.source, &request.time_zone)?;
    if request.manual {
        store::set_manual(writer, &request.source)?;
    }
    Ok(Created { manifest, previous, identical: false, expired })
}

/// Snapshots to compare with: the last complete one, then every later incomplete one.
#[must_use]
pub fn previous_snapshots(view: &ManifestView, source: &SourceInfo) -> Vec<SnapshotManifest> {
    previous_among(store::snapshots_of(view, source))
}

/// The same of given snapshots of one source.
pub(crate) fn previous_among(mut snapshots: Vec<SnapshotManifest>) -> Vec<SnapshotManifest> {
    snapshots.sort_by_key(|manifest| (manifest.start_time, manifest.end_time));
    let complete = snapshots.iter().rposition(SnapshotManifest::is_complete);
    let last = complete.map(|index| snapshots[index].start_time);
    let (complete, incomplete): (Vec<_>, Vec<_>) = snapshots
        .into_iter()
        .enumerate()
        .filter(|(index, manifest)| {
            Some(*index) == complete
                || (!manifest.is_complete() && last.is_none_or(|last| manifest.start_time > last))
        })
        .partition(|(_, manifest)| manifest.is_complete());
    complete.into_iter().chain(incomplete).map(|(_, manifest)| manifest).collect()
}

/// Notes other times. With one of the two the other is moved, so that the duration stays.
fn override_times(manifest: &mut SnapshotManifest, start: Option<UtcNanos>, end: Option<UtcNanos>) {
    let duration = manifest.end_time.0.saturating_sub(manifest.start_time.0);
    match (start, end) {
        (None, None) => {}
        (Some(start), Some(end)) => {
            manifest.start_time = start;
            manifest.end_time = end;
        }
        (Some(start), None) => {
            manifest.start_time = start;
            manifest.end_time = UtcNanos(start.0.saturating_add(duration));
        }
        (None, Some(end)) => {
            manifest.end_time = end;
            manifest.start_time = UtcNanos(end.0.saturating_sub(duration));
        }
    }
}
