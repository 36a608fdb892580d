//! Index blobs of repositories without epochs (format version 1).
//!
//! Sessions and compactions write `n` blobs. A compaction also writes a log, `m`, that names its
//! inputs and outputs; inputs do not count any more once all outputs are listed. Much later the
//! inputs are deleted, and then the log: whoever deletes a log schedules that in an `l` blob
//! first, so that a reader whose listing is behind does not see old inputs without their log.
//!
//! Source: `kopia:repo/content/indexblob/index_blob_manager_v0.go`.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use super::BlobInfo;
use crate::index::EntryRef;

/// Index blobs.
pub const INDEX_PREFIX: &str = "n";
/// Compaction logs.
pub const COMPACTION_LOG_PREFIX: &str = "m";
/// Scheduled deletions of compaction logs.
pub const CLEANUP_PREFIX: &str = "l";

/// Plain text under the name of an index, left behind by an upgrade to epochs, so that programs
/// that know no epochs fail. Never to be decrypted.
pub const POISON_NAME: &str = "n00000000000000000000000000000000-repository_unreadable_by_this_kopia_version_upgrade_required";

/// What [`POISON_NAME`] holds.
pub const POISON_BODY: &[u8] =
    b"The format of this repository has been upgraded and cannot be read by old clients";

/// How long a listing may be behind: 1 hour, or nothing with maintenance safety `none`.
pub const SETTLE_TIME: SignedDuration = SignedDuration::from_hours(1);

/// An `m` blob, as JSON in a whole-blob encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactionLog {
    /// What was merged.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub input_metadata: Vec<BlobInfo>,
    /// What came out.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub output_metadata: Vec<BlobInfo>,
}

/// An `l` blob, as JSON in a whole-blob encryption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupLog {
    /// Compaction logs to delete.
    #[serde(rename = "blobIDs", default, deserialize_with = "null_is_empty")]
    pub blob_ids: Vec<String>,
    /// Storage time of the newest compaction log when this was written.
    #[serde(rename = "cleanupScheduleTime", with = "crate::json::time")]
    pub cleanup_schedule_time: Timestamp,
}

fn null_is_empty<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The `n` blobs that count: all listed ones, without the inputs of compactions whose outputs are
/// all listed. A log with an output missing is ignored as a whole.
pub fn active_set(listed: Vec<BlobInfo>, logs: &[CompactionLog]) -> Vec<BlobInfo> {
    let names: HashSet<&str> = listed.iter().map(|blob| blob.name.as_str()).collect();
    let has_all_outputs = |log: &&CompactionLog| {
        log.output_metadata.iter().all(|output| names.contains(output.name.as_str()))
    };
    let replaced: HashSet<&str> = logs
        .iter()
        .filter(has_all_outputs)
        .flat_map(|log| &log.input_metadata)
        .map(|input| input.name.as_str())
        .collect();
    let counts = |name: &str| !replaced.contains(name) && name != POISON_NAME;
    let kept: Vec<bool> = listed.iter().map(|blob| counts(&blob.name)).collect();
    listed.into_iter().zip(kept).filter_map(|(blob, kept)| kept.then_some(blob)).collect()
}

/// What a compaction is asked to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionOptions {
    /// With fewer candidates than this nothing happens; quick maintenance says 8.
    pub max_small_blobs: usize,
    /// Also take blobs longer than a pack.
    pub all_indexes: bool,
    /// Entries will be dropped, so that a single index is worth rewriting, too.
    pub drops_entries: bool,
}

/// Chooses the index blobs to merge; an empty list means that there is nothing to do.
pub fn compaction_candidates(
    active: &[BlobInfo],
    max_pack_size: u64,
    options: &CompactionOptions,
) -> Vec<BlobInfo> {
    let candidates: Vec<&BlobInfo> =
        active.iter().filter(|blob| options.all_indexes || blob.length <= max_pack_size).collect();
    if candidates.len() < options.max_small_blobs {
        return Vec::new();
    }
    let very_small: Vec<&BlobInfo> =
        candidates.iter().copied().filter(|blob| blob.length < max_pack_size / 20).collect();
    let medium = candidates.len() - very_small.len();
    let only_very_small =
        very_small.len() > candidates.len() / 2 && medium + 1 < options.max_small_blobs;
    let chosen = if only_very_small { very_small } else { candidates };
    if chosen.len() <= 1 && !options.drops_entries {
        return Vec::new();
    }
    chosen.into_iter().cloned().collect()
}

/// Whether a merged entry is left out: a tombstone from before `drop_deleted_before`.
///
/// Only to be asked of the winner of all entries of a content, else the deleted content is back.
pub fn is_dropped(winner: &EntryRef<'_>, drop_deleted_before: Option<Timestamp>) -> bool {
    let Some(limit) = drop_deleted_before else { return false };
    winner.deleted
        && Timestamp::from_second(winner.timestamp).is_ok_and(|timestamp| timestamp < limit)
}

/// What may be deleted after a compaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactionCleanup {
    /// `n` blobs to delete, before anything else happens.
    pub indexes: Vec<String>,
    /// The `l` blob to write then, if any logs are old enough.
    pub schedule: Option<CleanupLog>,
}

/// Finds the inputs of compactions that every listing shows by now.
///
/// `logs` are all `m` blobs with what they hold; `latest` is the storage time of the log just
/// written; `settle` is [`SETTLE_TIME`] or zero.
pub fn after_compaction(
    logs: &[(BlobInfo, CompactionLog)],
    latest: Timestamp,
    settle: SignedDuration,
) -> CompactionCleanup {
    let settled: Vec<&(BlobInfo, CompactionLog)> =
        logs.iter().filter(|(blob, _)| latest.duration_since(blob.timestamp) >= settle).collect();
    let mut seen = HashSet::new();
    let indexes = settled
        .iter()
        .flat_map(|(_, log)| &log.input_metadata)
        .filter(|input| seen.insert(input.name.as_str()))
        .map(|input| input.name.clone())
        .collect();
    let blob_ids: Vec<String> = settled.iter().map(|(blob, _)| blob.name.clone()).collect();
    let schedule =
        (!blob_ids.is_empty()).then_some(CleanupLog { blob_ids, cleanup_schedule_time: latest });
    CompactionCleanup { indexes, schedule }
}

/// Finds the blobs that scheduled cleanups delete now: first the compaction logs, then the `l`
/// blobs themselves.
pub fn due_cleanups(
    scheduled: &[(BlobInfo, CleanupLog)],
    settle: SignedDuration,
) -> (Vec<String>, Vec<String>) {
    let Some(latest) = scheduled.iter().map(|(blob, _)| blob.timestamp).max() else {
        return Default::default();
    };
    let due = || {
        scheduled
            .iter()
            .filter(|(_, log)| latest.duration_since(log.cleanup_schedule_time) >= settle)
    };
    let logs = due().flat_map(|(_, log)| log.blob_ids.clone()).collect();
    (logs, due().map(|(blob, _)| blob.name.clone()).collect())
}
