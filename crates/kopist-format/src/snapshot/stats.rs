//! The counters in a snapshot manifest.

use serde::{Deserialize, Serialize};

use super::ExtraMap;

/// Counters of the run that made a snapshot. Stock writers count loosely (a file uploaded in
/// eight parts is eight files), so nothing may depend on them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SnapshotStats {
    /// Bytes of all files, uploaded or reused.
    pub total_size: i64,
    /// Bytes of files left out by rules.
    pub excluded_total_size: i64,
    /// Files uploaded.
    pub file_count: i32,
    /// Files and links reused from a previous snapshot.
    pub cached_files: i32,
    /// Files read.
    pub non_cached_files: i32,
    /// Directories entered.
    pub dir_count: i32,
    /// Files left out by rules.
    pub excluded_file_count: i32,
    /// Directories left out by rules.
    pub excluded_dir_count: i32,
    /// Errors that a policy says to ignore.
    pub ignored_error_count: i32,
    /// Errors that count.
    pub error_count: i32,
    /// Unknown keys.
    #[serde(flatten)]
    pub extra: ExtraMap,
}

/// What a snapshot takes in storage, as listings compute it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StorageStats {
    /// What this snapshot added to the ones listed before it.
    pub new_data: StorageUsage,
    /// Everything listed so far.
    pub running_total: StorageUsage,
}

/// Sizes and counts of objects and contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StorageUsage {
    /// Bytes of all file objects, without regard to shared contents.
    pub object_bytes: i64,
    /// Bytes of unique contents before compression.
    pub original_content_bytes: i64,
    /// Bytes of unique contents as stored.
    pub packed_content_bytes: i64,
    /// Unique files.
    pub file_objects: i32,
    /// Unique directories.
    pub dir_objects: i32,
    /// Unique contents.
    pub contents: i32,
}
