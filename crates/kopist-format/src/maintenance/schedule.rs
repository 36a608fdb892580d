//! The schedule blob: when maintenance runs next, and what ran before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::SafetyParameters;
use crate::json::{ZERO_TIME, time};

/// Runs kept for each task.
pub const MAX_RUNS: usize = 50;

/// Names of tasks in the history.
pub mod task {
    /// Marks contents that no snapshot needs.
    pub const SNAPSHOT_GC: &str = "snapshot-gc";
    /// Deletes unused metadata packs.
    pub const DELETE_ORPHANED_QUICK: &str = "quick-delete-blobs";
    /// Deletes unused packs.
    pub const DELETE_ORPHANED_FULL: &str = "full-delete-blobs";
    /// Moves contents out of short metadata packs.
    pub const REWRITE_QUICK: &str = "quick-rewrite-contents";
    /// Moves contents out of short packs.
    pub const REWRITE_FULL: &str = "full-rewrite-contents";
    /// Forgets old tombstones.
    pub const DROP_DELETED: &str = "full-drop-deleted-content";
    /// Merges legacy indexes.
    pub const INDEX_COMPACTION: &str = "index-compaction";
    /// Extends locks of the storage.
    pub const EXTEND_RETENTION: &str = "extend-blob-retention-time";
    /// Deletes old logs.
    pub const CLEANUP_LOGS: &str = "cleanup-logs";
    /// Begins the next epoch.
    pub const ADVANCE_EPOCH: &str = "advance-epoch";
    /// Deletes merged indexes of epochs.
    pub const DELETE_SUPERSEDED_INDEXES: &str = "delete-superseded-epoch-indexes";
    /// Deletes markers of old epochs.
    pub const CLEANUP_EPOCH_MARKERS: &str = "cleanup-epoch-markers";
    /// Merges the indexes of many epochs.
    pub const GENERATE_RANGE: &str = "generate-epoch-range-index";
    /// Merges the indexes of one epoch.
    pub const COMPACT_SINGLE: &str = "compact-single-epoch";
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// When it began.
    #[serde(with = "time", default = "zero_time")]
    pub start: Timestamp,
    /// When it ended.
    #[serde(with = "time", default = "zero_time")]
    pub end: Timestamp,
    /// Whether it did what it should.
    #[serde(default, skip_serializing_if = "is_false")]
    pub success: bool,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Figures of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub extra: Vec<Extra>,
}

/// Figures of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extra {
    /// What they are about, e.g. `snapshotGCStats`.
    #[serde(default)]
    pub kind: String,
    /// The figures.
    #[serde(default)]
    pub data: Value,
}

impl Extra {
    /// Figures as a structure.
    pub fn new(kind: &str, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { kind: kind.into(), data: serde_json::to_value(data)? })
    }
}

/// Content of `kopia.maintenance`; empty where there is no such blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Full maintenance is due from then on.
    #[serde(with = "time", default = "zero_time")]
    pub next_full_maintenance: Timestamp,
    /// Quick maintenance is due from then on.
    #[serde(with = "time", default = "zero_time")]
    pub next_quick_maintenance: Timestamp,
    /// Past runs of each task, the newest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub runs: BTreeMap<String, Vec<RunInfo>>,
    /// What a newer program wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            next_full_maintenance: ZERO_TIME,
            next_quick_maintenance: ZERO_TIME,
            runs: BTreeMap::new(),
            unknown: Map::new(),
        }
    }
}

fn zero_time() -> Timestamp {
    ZERO_TIME
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Schedule {
    /// Adds a run to the history of a task.
    pub fn report(&mut self, task: &str, run: RunInfo) {
        let runs = self.runs.entry(task.to_owned()).or_default();
        runs.insert(0, run);
        runs.truncate(MAX_RUNS);
    }

    /// Takes in what another process has stored since this was read: neither history hides the
    /// other, since the margins are measured by both. When maintenance runs next is as stored.
    pub fn absorb(&mut self, stored: Self) {
        self.next_full_maintenance = stored.next_full_maintenance;
        self.next_quick_maintenance = stored.next_quick_maintenance;
        for (task, runs) in stored.runs {
            let own = self.runs.entry(task).or_default();
            for run in runs {
                if !own.iter().any(|known| (known.start, known.end) == (run.start, run.end)) {
                    own.push(run);
                }
            }
            own.sort_by_key(|run| std::cmp::Reverse(run.start));
            own.truncate(MAX_RUNS);
        }
        self.unknown.extend(stored.unknown);
    }

    fn successful<'a>(&'a self, tasks: &'a [&str]) -> impl Iterator<Item = &'a RunInfo> {
        tasks.iter().filter_map(|task| self.runs.get(*task)).flatten().filter(|run| run.success)
    }

    /// End of the last successful run of any of some tasks.
    pub fn last_success(&self, tasks: &[&str]) -> Option<Timestamp> {
        self.successful(tasks).map(|run| run.end).max()
    }

    /// Whether contents may be rewritten. Rewriting leaves packs behind, and these must go before
    /// more are made: rewrites and deletions take turns. Quick maintenance looks at all rewrites,
    /// full maintenance at its own.
    pub fn may_rewrite(&self, mode: super::Mode, safety: &SafetyParameters) -> bool {
        let rewrites: &[&str] = match mode {
            super::Mode::Quick => &[task::REWRITE_QUICK, task::REWRITE_FULL],
            super::Mode::Full => &[task::REWRITE_FULL],
        };
        let deletions = [task::DELETE_ORPHANED_QUICK, task::DELETE_ORPHANED_FULL];
        match self.last_success(rewrites) {
            Some(_) if safety.min_rewrite_to_orphan_deletion_delay.is_zero() => true,
            Some(rewritten) => self.last_success(&deletions) >= Some(rewritten),
            None => true,
        }
    }

    /// Unused packs may be deleted from then on; `None` if there was no rewrite to wait for.
    pub fn next_pack_deletion(&self, safety: &SafetyParameters) -> Option<Timestamp> {
        let rewritten = self.last_success(&[task::REWRITE_QUICK, task::REWRITE_FULL])?;
        rewritten.checked_add(safety.min_rewrite_to_orphan_deletion_delay).ok()
    }

    /// Whether unused packs may be deleted: after a rewrite other clients still read the packs
    /// that they know of.
    pub fn may_delete_packs(&self, now: Timestamp, safety: &SafetyParameters) -> bool {
        self.next_pack_deletion(safety).is_none_or(|from| now >= from)
    }

    /// Whether the last rewrite was a full one, so that quick maintenance deletes packs of both
    /// kinds.
    pub fn had_recent_full_rewrite(&self) -> bool {
        self.last_success(&[task::REWRITE_FULL]) >= self.last_success(&[task::REWRITE_QUICK])
    }

    /// Tombstones from before this time may be dropped; `None` if none may.
    ///
    /// A collection may race with a snapshot that takes up a content just then; the next
    /// collection, after everybody has flushed, brings it back. So only what was deleted before
    /// the earlier of two collections, far enough apart, is surely garbage.
    pub fn safe_drop_time(&self, now: Timestamp, safety: &SafetyParameters) -> Option<Timestamp> {
        if !safety.require_two_gc_cycles {
            return Some(now);
        }
        let mut runs: Vec<&RunInfo> = self.successful(&[task::SNAPSHOT_GC]).collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.start));
        let (newest, earlier) = runs.split_first()?;
        earlier
            .iter()
            .find(|run| newest.start.duration_since(run.end) > safety.margin_between_snapshot_gc)?
            .start
            .checked_sub(safety.drop_content_from_index_extra_margin)
            .ok()
    }
}
