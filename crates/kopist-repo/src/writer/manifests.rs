//! Manifests that are not committed yet.

use std::collections::BTreeMap;

use kopist_format::{
    compression::Compressor,
    directory::UtcNanos,
    id::IdPrefix,
    manifest::{Labels, ManifestEntry, encode},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::RepositoryWriter;
use crate::{
    error::{RepoError, Result},
    manifest::{COMPACT_AT, ManifestId, ManifestView, TYPE_LABEL},
    util::random,
};

/// Entries put or deleted that are not committed, by id.
#[derive(Default)]
pub(super) struct PendingManifests {
    /// Not written.
    new: BTreeMap<String, ManifestEntry>,
    /// In a content that no index has yet.
    written: BTreeMap<String, ManifestEntry>,
}

impl PendingManifests {
    fn all(&self) -> BTreeMap<String, ManifestEntry> {
        let mut all = self.written.clone();
        all.extend(self.new.clone());
        all
    }
}

impl RepositoryWriter {
    /// All manifests as this session sees them.
    pub fn manifests(&self) -> Result<ManifestView> {
        let committed = self.shared.repo.manifests()?;
        Ok(committed.overlaid(self.shared.manifests.lock().all()))
    }

    /// Adds a manifest; `type` must be among the labels.
    pub fn put_manifest(
        &self,
        labels: &Labels,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<ManifestId> {
        if labels.get(TYPE_LABEL).is_none_or(String::is_empty) {
            return Err(RepoError::ManifestWithoutType);
        }
        let id = hex::encode(random::<16>()?);
        let data = serde_json::to_string(payload)
            .and_then(RawValue::from_string)
            .map_err(|source| RepoError::ManifestInvalid { id: id.clone(), source })?;
        let mut pending = self.shared.manifests.lock();
        let entry = ManifestEntry {
            id: id.clone(),
            labels: labels.clone(),
            modified: self.now().into(),
            deleted: false,
            data: Some(data),
        };
        pending.new.insert(id.clone(), entry);
        Ok(id.into())
    }

    /// Replaces all manifests that have (at least) these labels by one.
    ///
    /// The new one is later than those it replaces, so that every client prefers it even if it
    /// sees some of the old ones.
    pub fn replace_manifests(
        &self,
        labels: &Labels,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<ManifestId> {
        let old = self.manifests()?.find(labels);
        for manifest in &old {
            self.delete_manifest(&manifest.id)?;
        }
        let id = self.put_manifest(labels, payload)?;
        if let Some(latest) = old.iter().map(|manifest| manifest.modified).max()
            && let Some(entry) = self.shared.manifests.lock().new.get_mut(id.as_str())
            && entry.modified <= latest
        {
            entry.modified = after(latest);
        }
        Ok(id)
    }

    /// Deletes a manifest; an unknown one is no error.
    pub fn delete_manifest(&self, id: &ManifestId) -> Result<()> {
        let committed = self.shared.repo.manifests()?;
        let mut pending = self.shared.manifests.lock();
        let written = pending.written.get(id.as_str()).or_else(|| committed.get(id.as_str()));
        let Some(written) = written.filter(|entry| !entry.deleted) else {
            pending.new.remove(id.as_str());
            return Ok(());
        };
        let now = UtcNanos::from(self.now());
        let tombstone = ManifestEntry {
            id: id.to_string(),
            labels: Labels::new(),
            // A tombstone wins only by being later.
            modified: now.max(after(written.modified)),
            deleted: true,
            data: None,
        };
        pending.new.insert(id.to_string(), tombstone);
        Ok(())
    }

    /// Writes pending manifests into one content. If there would be many such contents, all
    /// manifests go into one and the old contents are deleted, in the same index.
    pub(super) fn flush_manifests(&self) -> Result<()> {
        // Taken for the whole time: what is put meanwhile belongs to the next flush.
        let mut pending = self.shared.manifests.lock();
        if pending.new.is_empty() {
            return Ok(());
        }
        let mut replaced = Vec::new();
        let mut entries: Vec<ManifestEntry> = pending.new.values().cloned().collect();
        if self.shared.options.compact_manifests
            && self.shared.repo.manifests()?.contents().len() >= COMPACT_AT - 1
        {
            // A deletion by another client that is not seen here would be undone.
            self.shared.repo.refresh()?;
            let committed = self.shared.repo.manifests()?;
            replaced = committed.contents().to_vec();
            entries = committed.overlaid(pending.all()).entries().cloned().collect();
        }
        let data = encode(&entries).map_err(|e| RepoError::format("manifests", e))?;
        let compressor = (self.shared.repo.parameters().index_version >= 2)
            .then(|| Compressor::by_name("zstd-fastest"))
            .flatten();
        let id = self.write_content(&data, Some(IdPrefix::MANIFEST), compressor)?;
        for old in replaced.iter().filter(|old| **old != id) {
            self.delete_content(old)?;
        }
        let written = std::mem::take(&mut pending.new);
        pending.written.extend(written);
        Ok(())
    }

    /// The index that has the manifests' contents is written.
    pub(super) fn manifests_are_committed(&self) {
        self.shared.manifests.lock().written.clear();
    }
}

fn after(time: UtcNanos) -> UtcNanos {
    UtcNanos(time.0.saturating_add(1))
}
