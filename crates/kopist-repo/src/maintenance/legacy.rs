//! Indexes of repositories without epochs: merge, and clean up in two delayed steps.

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobId, delete_all};
use kopist_format::{
    epoch::{
        BlobInfo,
        legacy::{
            CLEANUP_PREFIX, COMPACTION_LOG_PREFIX, CleanupLog, CompactionLog, CompactionOptions,
            INDEX_PREFIX, SETTLE_TIME, after_compaction, compaction_candidates, due_cleanups,
            is_dropped,
        },
    },
    id::ContentId,
    index::IndexBuilder,
    json::to_go_json,
};

use super::Around;
use crate::{
    error::{RepoError, Result, Unreadable},
    index::legacy::{ActiveBlobs, active_blobs, load_logs},
    repository::Repository,
    util::random,
};

/// How indexes are compacted.
#[derive(Debug, Clone)]
pub struct LegacyCompaction {
    /// Do nothing with fewer index blobs than this.
    pub max_small_blobs: usize,
    /// Compact large indexes too.
    pub all_indexes: bool,
    /// Contents deleted before this time are left out; only with all indexes.
    pub drop_deleted_before: Option<Timestamp>,
    /// Contents left out; only with all indexes.
    pub drop_contents: Vec<ContentId>,
    /// How long replaced blobs stay for clients with old listings.
    pub settle: SignedDuration,
}

impl LegacyCompaction {
    /// What quick maintenance does: merge when there are 8 small indexes.
    pub fn quick() -> Self {
        Self {
            max_small_blobs: 8,
            all_indexes: false,
            drop_deleted_before: None,
            drop_contents: Vec::new(),
            settle: SETTLE_TIME,
        }
    }

    /// What full maintenance does: rewrite everything without what was deleted before a time.
    pub fn dropping(before: Timestamp, settle: SignedDuration) -> Self {
        Self {
            max_small_blobs: 1,
            all_indexes: true,
            drop_deleted_before: Some(before),
            settle,
            ..Self::quick()
        }
    }
}

/// Merges index blobs, deletes those that were replaced long enough ago, then the logs that say
/// so, in this order. Whether something was merged.
///
/// As long as there is a log of an earlier compaction that does not open, nothing is merged: what
/// it has replaced is not known.
pub fn compact_legacy(repo: &Repository, options: &LegacyCompaction) -> Result<Around<bool>> {
    repo.writable()?;
    repo.check_usable()?;
    let drops = options.drop_deleted_before.is_some() || !options.drop_contents.is_empty();
    if repo.parameters().epoch.enabled {
        return Err(RepoError::Maintenance("this repository has epochs".into()));
    }
    if drops && !options.all_indexes {
        // An older entry in an index that is left out would come back.
        return Err(RepoError::InvalidOption(
            "contents can only be dropped from all indexes at once".into(),
        ));
    }
    let ActiveBlobs { mut blobs, mut unreadable } = active_blobs(repo.index_source())?;
    if !unreadable.is_empty() {
        blobs.clear();
    }
    let candidates = compaction_candidates(
        &blobs,
        repo.parameters().max_pack_size as u64,
        &CompactionOptions {
            max_small_blobs: options.max_small_blobs,
            all_indexes: options.all_indexes,
            drops_entries: drops,
        },
    );
    let compacted = !candidates.is_empty() && (candidates.len() > 1 || drops);
    if compacted {
        let log = merge(repo, candidates, options)?;
        clean_up_indexes(repo, &log, options.settle)?;
    }
    unreadable.extend(clean_up_logs(repo, options.settle)?);
    repo.refresh()?;
    Ok(Around { stats: compacted, unreadable })
}

/// Writes the merged indexes, then the log that makes them replace the others.
fn merge(repo: &Repository, inputs: Vec<BlobInfo>, options: &LegacyCompaction) -> Result<BlobInfo> {
    let ids: Vec<BlobId> = inputs.iter().map(|b| BlobId::from(b.name.as_str())).collect();
    let mut builder = IndexBuilder::new();
    for index in repo.load_indexes(&ids)? {
        for entry in index.iter() {
            builder.add_ref(&entry.map_err(|e| RepoError::format("index compaction", e))?);
        }
    }
    // Only after everything is merged: the winner decides.
    let mut dropped = options.drop_contents.clone();
    let before = options.drop_deleted_before;
    dropped.extend(builder.iter().filter(|e| is_dropped(e, before)).map(|e| e.id));
    for id in &dropped {
        builder.remove(id);
    }
    let shards = builder
        .build_unstable(repo.parameters().index_version, random()?)
        .map_err(|e| RepoError::format("index compaction", e))?;
    let mut log = CompactionLog { input_metadata: inputs, output_metadata: Vec::new() };
    for shard in shards {
        let output = repo.put_sealed(INDEX_PREFIX, "", &shard)?;
        let output = BlobInfo::new(output.id.as_str(), output.length, output.timestamp);
        log.output_metadata.push(output);
    }
    let json = to_go_json(&log).map_err(|e| RepoError::format("compaction log", e))?;
    let stored = repo.put_sealed(COMPACTION_LOG_PREFIX, "", &json)?;
    repo.forget_own_indexes(&ids);
    Ok(BlobInfo::new(stored.id.as_str(), stored.length, stored.timestamp))
}

/// Deletes indexes whose replacement has settled, then schedules the logs for deletion.
fn clean_up_indexes(repo: &Repository, newest: &BlobInfo, settle: SignedDuration) -> Result<()> {
    let mut logs = load_logs::<CompactionLog>(repo.index_source(), COMPACTION_LOG_PREFIX)?.logs;
    // Oldest first and one after the other: as long as an output of a compaction is listed, its
    // inputs do not come back; outputs are inputs of later compactions.
    logs.sort_by_key(|(blob, _)| blob.timestamp);
    let cleanup = after_compaction(&logs, newest.timestamp, settle);
    delete(repo, &cleanup.indexes)?;
    if let Some(schedule) = cleanup.schedule {
        let json = to_go_json(&schedule).map_err(|e| RepoError::format("cleanup log", e))?;
        repo.put_sealed(CLEANUP_PREFIX, "", &json)?;
    }
    Ok(())
}

/// Deletes logs whose indexes have been gone long enough. A schedule that does not open stays, and
/// so do the logs that it names.
fn clean_up_logs(repo: &Repository, settle: SignedDuration) -> Result<Vec<Unreadable>> {
    let scheduled = load_logs::<CleanupLog>(repo.index_source(), CLEANUP_PREFIX)?;
    let (logs, schedules) = due_cleanups(&scheduled.logs, settle);
    delete(repo, &logs)?;
    delete(repo, &schedules)?;
    Ok(scheduled.unreadable)
}

fn delete(repo: &Repository, names: &[String]) -> Result<()> {
    let ids: Vec<BlobId> = names.iter().map(|name| BlobId::from(name.as_str())).collect();
    Ok(delete_all(repo.store().as_ref(), &ids, 1)?)
}
