//! All manifests at one moment.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use kopist_format::{
    directory::UtcNanos,
    id::ContentId,
    manifest::{Labels, ManifestEntry, labels_match},
};
use serde::de::DeserializeOwned;

use crate::error::{RepoError, Result};

/// Name of a manifest: 32 hexadecimal digits in anything that is written today.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestId(Arc<str>);

impl ManifestId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ManifestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for ManifestId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for ManifestId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl FromStr for ManifestId {
    type Err = std::convert::Infallible;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Ok(id.into())
    }
}

impl AsRef<str> for ManifestId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for ManifestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A manifest without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestMeta {
    /// Its name.
    pub id: ManifestId,
    /// Its labels, `type` among them.
    pub labels: Labels,
    /// When it was put.
    pub modified: UtcNanos,
    /// Bytes of the payload's JSON.
    pub length: usize,
}

/// All manifests at one moment.
#[derive(Debug, Clone, Default)]
pub struct ManifestView {
    entries: Arc<BTreeMap<String, ManifestEntry>>,
    contents: Arc<Vec<ContentId>>,
    pending: BTreeMap<String, ManifestEntry>,
}

impl ManifestView {
    pub(crate) fn new(entries: BTreeMap<String, ManifestEntry>, contents: Vec<ContentId>) -> Self {
        Self { entries: Arc::new(entries), contents: Arc::new(contents), pending: BTreeMap::new() }
    }

    /// The same with uncommitted entries on top, deletions among them.
    pub(crate) fn overlaid(mut self, pending: BTreeMap<String, ManifestEntry>) -> Self {
        self.pending = pending;
        self
    }

    /// The contents that were read.
    pub(crate) fn contents(&self) -> &[ContentId] {
        &self.contents
    }

    /// Every manifest, in the order of ids.
    pub fn entries(&self) -> impl Iterator<Item = &ManifestEntry> {
        self.entries
            .values()
            .filter(|entry| !self.pending.contains_key(&entry.id))
            .chain(self.pending.values().filter(|entry| !entry.deleted))
    }

    /// One manifest.
    pub fn get(&self, id: &str) -> Option<&ManifestEntry> {
        match self.pending.get(id) {
            Some(entry) => (!entry.deleted).then_some(entry),
            None => self.entries.get(id),
        }
    }

    /// One manifest without its payload.
    pub fn meta(&self, id: &str) -> Option<ManifestMeta> {
        self.get(id).map(meta)
    }

    /// All manifests that have (at least) these labels, oldest first.
    pub fn find(&self, labels: &Labels) -> Vec<ManifestMeta> {
        let mut found: Vec<_> =
            self.entries().filter(|entry| labels_match(&entry.labels, labels)).map(meta).collect();
        found.sort_by(|a, b| a.modified.cmp(&b.modified).then_with(|| a.id.cmp(&b.id)));
        found
    }

    /// Of the manifests with these labels the one that counts: the latest, then the larger id.
    pub fn find_latest(&self, labels: &Labels) -> Option<ManifestMeta> {
        self.find(labels).pop()
    }

    /// The payload of a manifest as a typed value.
    pub fn payload<T: DeserializeOwned>(&self, id: &str) -> Result<T> {
        serde_json::from_str(self.payload_json(id)?)
            .map_err(|source| RepoError::ManifestInvalid { id: id.to_owned(), source })
    }

    /// The payload of a manifest as JSON text.
    pub fn payload_json(&self, id: &str) -> Result<&str> {
        let entry = self.get(id).ok_or_else(|| RepoError::ManifestNotFound(id.to_owned()))?;
        Ok(entry.data.as_ref().map_or("null", |data| data.get()))
    }
}

fn meta(entry: &ManifestEntry) -> ManifestMeta {
    ManifestMeta {
        id: entry.id.as_str().into(),
        labels: entry.labels.clone(),
        modified: entry.modified,
        length: entry.data.as_ref().map_or(0, |data| data.get().len()),
    }
}
