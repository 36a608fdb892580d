//! Manifest entries: small labelled JSON documents, and the contents that carry them.
//!
//! A content with prefix `m` holds gzip of `{"entries":[…]}` and a newline
//! (`kopia:repo/manifest/serialized_manifest.go`). An entry is never changed in place: a newer
//! entry of the same id replaces it, and a tombstone removes it. [`merge`] applies that rule to
//! everything that was read.

mod codec;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use codec::{ManifestError, decode, encode};

use crate::directory::UtcNanos;

/// Labels of a manifest; `type` says what it is.
pub type Labels = BTreeMap<String, String>;

/// A manifest or its tombstone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// 16 random bytes in hex.
    pub id: String,
    /// Empty labels of a tombstone are written as `null`.
    #[serde(default, serialize_with = "null_if_empty", deserialize_with = "null_is_empty")]
    pub labels: Labels,
    /// When it was written; decides which of several entries counts.
    #[serde(default)]
    pub modified: UtcNanos,
    /// Whether this is a tombstone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The payload, kept as the text that was read; `None` in a tombstone.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}

/// Reduces entries to the current ones by id, in the order of reading.
///
/// A strictly later `modified` replaces; of equal ones the first stays. Ids whose last entry is
/// a tombstone are dropped.
#[must_use]
pub fn merge(entries: impl IntoIterator<Item = ManifestEntry>) -> BTreeMap<String, ManifestEntry> {
    let mut current: BTreeMap<String, ManifestEntry> = BTreeMap::new();
    for entry in entries {
        match current.entry(entry.id.clone()) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
            Slot::Occupied(mut slot) => {
                if entry.modified > slot.get().modified {
                    slot.insert(entry);
                }
            }
        }
    }
    current.retain(|_, entry| !entry.deleted);
    current
}

/// Whether `labels` has every pair of `wanted`.
#[must_use]
pub fn labels_match(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn null_if_empty<S: serde::Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
    if labels.is_empty() { serializer.serialize_none() } else { labels.serialize(serializer) }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
