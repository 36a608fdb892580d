//! The short tasks.

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobId, Retention, list_all, list_prefixes};
use kopist_format::{
    epoch::{DELETION_WATERMARK_BODY, watermark_name},
    format_blob::{BLOBCFG_BLOB, FORMAT_BLOB},
    maintenance::LogRetention,
};

use super::{
    Around, CleanupLogsStats, CompactIndexesStats, ExtendRetentionStats, LegacyCompaction,
    compact_legacy,
};
use crate::{error::Result, repository::Repository, util::parallel_map};

/// Makes contents that were deleted before a time disappear from the index.
///
/// With epochs this moves the deletion watermark, never back; before epochs all indexes are
/// rewritten, unless [one of their logs does not open](compact_legacy). Which time is safe is the
/// caller's knowledge: `Schedule::safe_drop_time`.
pub fn drop_deleted(
    repo: &Repository,
    before: Timestamp,
    settle: SignedDuration,
) -> Result<Around<CompactIndexesStats>> {
    repo.writable()?;
    let mut unreadable = Vec::new();
    if repo.parameters().epoch.enabled {
        repo.refresh()?;
        let seconds = before.as_second();
        if repo.index().watermark().is_none_or(|current| seconds > current) {
            repo.check_usable()?;
            let blob = BlobId::from(watermark_name(seconds));
            repo.put_blob(&blob, &[DELETION_WATERMARK_BODY])?;
            repo.refresh()?;
        }
    } else {
        unreadable = compact_legacy(repo, &LegacyCompaction::dropping(before, settle))?.unreadable;
    }
    let stats = CompactIndexesStats { dropped_contents_deleted_before: before };
    Ok(Around { stats, unreadable })
}

/// Deletes log blobs beyond the limits, the oldest first.
pub fn clean_up_logs(
    repo: &Repository,
    retention: &LogRetention,
    now: Timestamp,
    dry_run: bool,
) -> Result<CleanupLogsStats> {
    repo.writable()?;
    let mut logs = list_all(repo.store().as_ref(), "_")?;
    logs.sort_by_key(|log| std::cmp::Reverse(log.timestamp));
    let limit = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
    let (max_size, max_count) = (limit(retention.max_total_size), limit(retention.max_count));
    let mut kept_size = 0;
    let mut kept = 0;
    for log in &logs {
        let too_large = max_size.is_some_and(|max| kept_size + log.length > max);
        let too_many = max_count.is_some_and(|max| kept as u64 >= max);
        let too_old =
            !retention.max_age.is_zero() && now.duration_since(log.timestamp) > retention.max_age;
        if too_large || too_many || too_old {
            break;
        }
        kept_size += log.length;
        kept += 1;
    }
    let doomed = logs.get(kept..).unwrap_or_default();
    let (count, size) = (doomed.len() as u64, doomed.iter().map(|log| log.length).sum());
    if !dry_run {
        let ids: Vec<BlobId> = doomed.iter().map(|log| log.id.clone()).collect();
        kopist_blob::delete_all(repo.store().as_ref(), &ids, 4)?;
    }
    Ok(CleanupLogsStats {
        to_delete_blob_count: count,
        to_delete_blob_size: size,
        deleted_blob_count: if dry_run { 0 } else { count },
        deleted_blob_size: if dry_run { 0 } else { size },
        retained_blob_count: kept as u64,
        retained_blob_size: kept_size,
    })
}

/// Extends the storage's lock on everything that holds the repository together, if the
/// repository's settings ask for retention; `None` if they do not.
pub fn extend_retention(
    repo: &Repository,
    parallelism: usize,
) -> Result<Option<ExtendRetentionStats>> {
    repo.writable()?;
    let cfg = repo.blob_cfg();
    let Ok(period) = std::time::Duration::try_from(cfg.retention_period) else { return Ok(None) };
    if !cfg.is_retention_enabled() {
        return Ok(None);
    }
    let retention = Retention { mode: cfg.retention_mode, period };
    let prefixes = ["n", "x", FORMAT_BLOB, BLOBCFG_BLOB, "p", "q"];
    let blobs = list_prefixes(repo.store().as_ref(), &prefixes, parallelism)?;
    parallel_map(&blobs, parallelism, |blob| {
        Ok(repo.store().extend_retention(&blob.id, &retention)?)
    })?;
    let count = blobs.len() as u64;
    Ok(Some(ExtendRetentionStats {
        to_extend_blob_count: count,
        extended_blob_count: count,
        retention_period: go_duration(cfg.retention_period),
    }))
}

/// Go's text of a duration of whole seconds.
fn go_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours != 0 {
        format!("{hours}h{minutes}m{seconds}s")
    } else if minutes != 0 {
        format!("{minutes}m{seconds}s")
    } else {
        format!("{seconds}s")
    }
}
