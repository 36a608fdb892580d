//! Expiring snapshots: retention applied to what is stored.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{ManifestView, RepositoryWriter};

use crate::error::Result;
use crate::policy::PolicySet;
use crate::retention::{Moment, reasons};
use crate::{SourceInfo, store};

/// A snapshot and why it is kept. Without reasons and pins it goes.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The snapshot.
    pub manifest: SnapshotManifest,
    /// Reasons such as `daily-3`.
    pub reasons: Vec<String>,
}

impl Judged {
    /// Whether retention deletes it.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.reasons.is_empty() && self.manifest.pins.is_empty()
    }
}

/// The snapshots of one source with their reasons, in the order given.
#[must_use]
pub fn judge(
    snapshots: Vec<SnapshotManifest>,
    source: &SourceInfo,
    policies: &PolicySet,
    zone: &TimeZone,
) -> Vec<Judged> {
    let moments: Vec<Moment> = snapshots.iter().map(Moment::from).collect();
    let retention = policies.effective(source).policy.retention;
    let reasons = reasons(&moments, &retention, zone);
    snapshots
        .into_iter()
        .zip(reasons)
        .map(|(manifest, reasons)| Judged { manifest, reasons })
        .collect()
}

/// What retention would delete of a source. Whatever the policy says, the last complete snapshot
/// stays: counts below zero would delete everything, which nobody means.
pub fn expired(
    view: &ManifestView,
    source: &SourceInfo,
    zone: &TimeZone,
) -> Result<Vec<SnapshotManifest>> {
    let policies = store::load_policies(view)?;
    let mut by_source: BTreeMap<SourceInfo, Vec<SnapshotManifest>> = BTreeMap::new();
    for manifest in store::snapshots_of(view, source) {
        by_source.entry((&manifest.source).into()).or_default().push(manifest);
    }
    let mut expired = Vec::new();
    for (source, snapshots) in by_source {
        let judged = judge(snapshots, &source, &policies, zone);
        let time = |judged: &Judged| (judged.manifest.start_time, judged.manifest.end_time);
        let is_complete = |judged: &&Judged| judged.manifest.is_complete();
        let last = judged.iter().filter(is_complete).map(time).max();
        let goes = |judged: &Judged| {
            judged.is_expired() && !(judged.manifest.is_complete() && Some(time(judged)) == last)
        };
        expired.extend(judged.into_iter().filter(goes).map(|judged| judged.manifest));
    }
    Ok(expired)
}

/// Deletes the snapshots of a source that retention does not keep and returns them.
pub fn apply_retention(
    writer: &RepositoryWriter,
    source: &SourceInfo,
    zone: &TimeZone,
) -> Result<Vec<SnapshotManifest>> {
    let expired = expired(&writer.manifests()?, source, zone)?;
    for manifest in &expired {
        writer.delete_manifest(&manifest.id.as_str().into())?;
    }
    Ok(expired)
}
