//! Snapshots and policies in the repository: loading, finding, saving, deleting.
//!
//! Both are manifests, see `kopia:snapshot/manager.go` and
//! `kopia:snapshot/policy/policy_manager.go`.

use std::collections::BTreeMap;

use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{ManifestId, ManifestView, RepositoryWriter};

use crate::SourceInfo;
use crate::error::{Result, SnapshotError};
use crate::policy::{self, Labels, Policy, PolicySet, StoredPolicy};

/// Labels of snapshots that tags must leave alone.
const RESERVED: [&str; 4] = ["type", "hostname", "username", "path"];

/// Labels that find the snapshots of a source, or of a part of one.
#[must_use]
pub fn snapshot_labels(source: &SourceInfo) -> Labels {
    let mut labels: Labels = labels([("type", "snapshot"), ("hostname", &source.host)]);
    if !source.user_name.is_empty() {
        labels.insert("username".to_owned(), source.user_name.clone());
    }
    if !source.path.is_empty() {
        labels.insert("path".to_owned(), source.path.clone());
    }
    labels
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// All snapshots that have these tags, in any order. One that cannot be parsed is left out and
/// logged, as kopia does.
#[must_use]
pub fn all_snapshots(
    view: &ManifestView,
    tags: &BTreeMap<String, String>,
) -> Vec<SnapshotManifest> {
    let mut wanted = labels([("type", "snapshot")]);
    wanted.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    find(view, &wanted)
}

/// All snapshots of a source (or of a user or host), in any order.
#[must_use]
pub fn snapshots_of(view: &ManifestView, source: &SourceInfo) -> Vec<SnapshotManifest> {
    find(view, &snapshot_labels(source))
}

fn find(view: &ManifestView, labels: &Labels) -> Vec<SnapshotManifest> {
    let mut found = Vec::new();
    for meta in view.find(labels) {
        match load_snapshot(view, meta.id.as_str()) {
            Ok(manifest) => found.push(manifest),
            Err(error) => tracing::warn!("cannot read snapshot manifest {}: {error}", meta.id),
        }
    }
    found
}

/// One snapshot by the id of its manifest.
pub fn load_snapshot(view: &ManifestView, id: &str) -> Result<SnapshotManifest> {
    let mut manifest: SnapshotManifest = view.payload(id)?;
    let kind = view.meta(id).and_then(|meta| meta.labels.get("type").cloned());
    if kind.as_deref() != Some("snapshot") {
        return Err(SnapshotError::NotASnapshot(id.to_owned()));
    }
    id.clone_into(&mut manifest.id);
    Ok(manifest)
}

/// Sources that have snapshots, sorted by their text.
#[must_use]
pub fn sources(view: &ManifestView) -> Vec<SourceInfo> {
    let mut sources: Vec<SourceInfo> = view
        .find(&labels([("type", "snapshot")]))
        .iter()
        .map(|meta| policy::target_of(&meta.labels))
        .collect();
    sources.sort_by_cached_key(ToString::to_string);
    sources.dedup();
    sources
}

/// Saves a snapshot as a new manifest. It becomes visible when the writer is flushed.
pub fn save_snapshot(writer: &RepositoryWriter, manifest: &SnapshotManifest) -> Result<ManifestId> {
    check_savable(&(&manifest.source).into(), &manifest.tags)?;
    let mut labels = snapshot_labels(&(&manifest.source).into());
    labels.extend(manifest.tags.clone());
    let stored = SnapshotManifest { id: String::new(), ..manifest.clone() };
    Ok(writer.put_manifest(&labels, &stored)?)
}

/// Whether a snapshot of this source with these tags can be saved.
pub fn check_savable(source: &SourceInfo, tags: &BTreeMap<String, String>) -> Result<()> {
    for (part, name) in
        [(&source.host, "host"), (&source.user_name, "username"), (&source.path, "path")]
    {
        if part.is_empty() {
            return Err(SnapshotError::IncompleteSource(name));
        }
    }
    match tags.keys().find(|key| RESERVED.contains(&key.as_str())) {
        Some(key) => Err(SnapshotError::ReservedTag(key.clone())),
        None => Ok(()),
    }
}

/// Saves a changed snapshot: as a new manifest, after which the old one is deleted.
pub fn update_snapshot(writer: &RepositoryWriter, manifest: &mut SnapshotManifest) -> Result<()> {
    let old = std::mem::take(&mut manifest.id);
    manifest.id = save_snapshot(writer, manifest)?.to_string();
    if !old.is_empty() {
        writer.delete_manifest(&old.into())?;
    }
    Ok(())
}

/// Deletes the manifest of a snapshot. Its data goes when nothing else needs it and maintenance
/// has run.
pub fn delete_snapshot(writer: &RepositoryWriter, id: &str) -> Result<()> {
    load_snapshot(&writer.manifests()?, id)?;
    Ok(writer.delete_manifest(&id.into())?)
}

/// All policies of the repository. One that cannot be read is an error: guessing what is to be
/// kept or left out is worse than stopping.
pub fn load_policies(view: &ManifestView) -> Result<PolicySet> {
    let mut policies = Vec::new();
    for meta in view.find(&labels([("type", "policy")])) {
        let id = meta.id.to_string();
        let policy: Policy = view
            .payload(&id)
            .map_err(|source| SnapshotError::StoredPolicy { id: id.clone(), source })?;
        policies.push(StoredPolicy { id, target: policy::target_of(&meta.labels), policy });
    }
    Ok(PolicySet::new(policies))
}

/// Stores a policy in the place of any other one for the same level.
pub fn set_policy(
    writer: &RepositoryWriter,
    target: &SourceInfo,
    policy: &Policy,
) -> Result<ManifestId> {
    policy::validate(target, policy)?;
    Ok(writer.replace_manifests(&policy::labels(target), policy)?)
}

/// Stores a policy unless the level has exactly this one. Tells whether anything was written.
pub fn set_policy_if_changed(
    writer: &RepositoryWriter,
    target: &SourceInfo,
    policy: &Policy,
) -> Result<bool> {
    let policies = load_policies(&writer.manifests()?)?;
    if policies.defined(target).is_some_and(|stored| stored.policy == *policy) {
        return Ok(false);
    }
    set_policy(writer, target, policy)?;
    Ok(true)
}

/// Removes the policy of a level. Tells whether there was one.
pub fn remove_policy(writer: &RepositoryWriter, target: &SourceInfo) -> Result<bool> {
    let found = writer.manifests()?.find(&policy::labels(target));
    for meta in &found {
        writer.delete_manifest(&meta.id)?;
    }
    Ok(!found.is_empty())
}

/// Marks a source as one that is backed up by hand only. Tells whether anything was written.
pub fn set_manual(writer: &RepositoryWriter, source: &SourceInfo) -> Result<bool> {
    let policies = load_policies(&writer.manifests()?)?;
    let mut policy =
        policies.defined(source).map(|stored| stored.policy.clone()).unwrap_or_default();
    if policy.scheduling.manual {
        return Ok(false);
    }
    policy.scheduling.manual = true;
    set_policy(writer, source, &policy)?;
    Ok(true)
}
