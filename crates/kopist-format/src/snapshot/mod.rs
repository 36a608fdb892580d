//! Snapshot manifests: what is kept about one snapshot besides its tree.
//!
//! The payload of a manifest labelled `type=snapshot` (`kopia:snapshot/manifest.go`). The tree
//! itself hangs on [`SnapshotManifest::root_entry`], whose object is a directory (or a file).
//! Everything a newer program may have added is kept and written again.
//!
//! A writer must never store a manifest that the stock program cannot parse: it would skip it,
//! and garbage collection would then take the snapshot's contents for unused.

mod stats;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use stats::{SnapshotStats, StorageStats, StorageUsage};

use crate::directory::{DirEntry, UtcNanos};
use crate::id::ObjectId;

/// A JSON map of keys that this version does not know, in the order read.
pub type ExtraMap = serde_json::Map<String, serde_json::Value>;

/// What was backed up, where and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotSource {
    /// Host name.
    #[serde(deserialize_with = "or_default")]
    pub host: String,
    /// User name.
    #[serde(rename = "userName", deserialize_with = "or_default")]
    pub user_name: String,
    /// Path with the separators of the machine it was taken on.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
    /// Unknown keys.
    #[serde(flatten)]
    pub extra: ExtraMap,
}

/// One snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotManifest {
    /// The manifest's id. Always empty in storage; whoever loads the manifest fills it in.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// Where the data came from.
    pub source: SnapshotSource,
    /// Free text.
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    /// When the run began, by the client's clock.
    #[serde(rename = "startTime")]
    pub start_time: UtcNanos,
    /// When it ended.
    #[serde(rename = "endTime")]
    pub end_time: UtcNanos,
    /// Counters of the run, not of the tree: use the root entry's summary for that.
    pub stats: SnapshotStats,
    /// Why the snapshot is not complete, such as `checkpoint`, `canceled` or `limit reached`;
    /// empty for a complete one.
    #[serde(
        rename = "incomplete",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub incomplete: String,
    /// The root of the tree.
    #[serde(rename = "rootEntry")]
    pub root_entry: Option<DirEntry>,
    /// User tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub tags: BTreeMap<String, String>,
    /// Sizes in storage; only ever in listings.
    #[serde(rename = "storageStats", skip_serializing_if = "Option::is_none")]
    pub storage_stats: Option<StorageStats>,
    /// Names of pins: a pinned snapshot is never expired.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub pins: Vec<String>,
    /// Unknown keys.
    #[serde(flatten)]
    pub extra: ExtraMap,
}

impl SnapshotManifest {
    /// Whether the run went to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }

    /// The object of the root.
    #[must_use]
    pub fn root_object(&self) -> Option<ObjectId> {
        self.root_entry.as_ref().and_then(|root| root.object)
    }

    /// Adds and removes pins; tells whether anything changed. The list stays sorted.
    pub fn update_pins(&mut self, add: &[String], remove: &[String]) -> bool {
        let before: std::collections::BTreeSet<String> = self.pins.drain(..).collect();
        let mut after = before.clone();
        after.extend(add.iter().cloned());
        for pin in remove {
            after.remove(pin);
        }
        let changed = before != after;
        self.pins = after.into_iter().collect();
        changed
    }
}

/// Reads `null` as the zero value, as Go does.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = r#"{"id":"","source":{"host":"h","userName":"u","path":"/p"},"description":"","startTime":"2024-01-01T00:00:00.5Z","endTime":"2024-01-01T00:01:00Z","stats":{"totalSize":5,"excludedTotalSize":0,"fileCount":1,"cachedFiles":0,"nonCachedFiles":1,"dirCount":1,"excludedFileCount":0,"excludedDirCount":0,"ignoredErrorCount":0,"errorCount":0},"rootEntry":{"name":"p","type":"d","mode":"0755","mtime":"2024-01-01T00:00:00Z","uid":1000,"gid":1000,"obj":"k0123456789abcdef0123456789abcdef","summ":{"size":5,"files":1,"symlinks":0,"dirs":1,"maxTime":"2024-01-01T00:00:00Z","numFailed":0}},"tags":{"tag:a":"b"},"pins":["x"]}"#;

    #[test]
    fn written_as_it_was_read() {
        let manifest: SnapshotManifest = serde_json::from_str(STORED).unwrap();
        assert!(manifest.is_complete());
        assert_eq!(serde_json::to_string(&manifest).unwrap(), STORED);
    }

    #[test]
    fn unknown_keys_survive_everywhere() {
        let newer = STORED
            .replace(r#""host":"h""#, r#""host":"h","zone":{"a":[1,2.5,null]}"#)
            .replace(r#""errorCount":0"#, r#""errorCount":0,"mood":"good""#)
            .replace(r#""numFailed":0"#, r#""numFailed":0,"more":1"#)
            .replace(r#""pins":["x"]"#, r#""pins":["x"],"future":"<&>""#);
        let manifest: SnapshotManifest = serde_json::from_str(&newer).unwrap();
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(&newer).unwrap());
    }

    #[test]
    fn a_number_too_large_for_an_integer_stays_the_same_however_often_it_is_written() {
        // Found by fuzzing: a parser that is off by one bit changes it at every rewrite.
        let newer = r#"{"vast":-9009999000200000000000,"fine":0.1e-7}"#;
        let manifest: SnapshotManifest = serde_json::from_str(newer).unwrap();
        assert_eq!(manifest.extra["vast"].as_f64(), Some(-9_009_999_000_200_000_000_000.0));
        let once = crate::json::to_go_json(&manifest).unwrap();
        let again: SnapshotManifest = serde_json::from_slice(&once).unwrap();
        assert_eq!(crate::json::to_go_json(&again).unwrap(), once);
    }

    #[test]
    fn nulls_are_zero_values() {
        let text = r#"{"id":null,"source":{"host":null},"description":null,"rootEntry":null,"tags":null,"pins":null}"#;
        let manifest: SnapshotManifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest, SnapshotManifest::default());
    }

    #[test]
    fn pins_are_a_sorted_set() {
        let mut manifest = SnapshotManifest { pins: vec!["b".into()], ..Default::default() };
        assert!(manifest.update_pins(&["c".into(), "a".into(), "b".into()], &[]));
        assert_eq!(manifest.pins, ["a", "b", "c"]);
        assert!(!manifest.update_pins(&["a".into()], &["missing".into()]));
        assert!(manifest.update_pins(&[], &["b".into()]));
        assert_eq!(manifest.pins, ["a", "c"]);
    }
}
