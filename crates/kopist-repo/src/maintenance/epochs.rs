//! Indexes of repositories with epochs: begin a new epoch, merge settled ones, clean up.
//!
//! Merging never loses an entry: it reads every index of an epoch to which nobody can write any
//! more, and what it writes counts only when it is complete. Tombstones are merged too; those
//! below the watermark are hidden by readers.

use jiff::SignedDuration;
use kopist_blob::{BlobId, delete_all};
use kopist_format::{
    blob_crypto::seal_blob,
    epoch::{
        AdvanceThresholds, BlobInfo, EPOCH_MARKER_BODY, compaction_suffix, marker_name,
        range_prefix, single_prefix,
    },
    format_blob::EpochParameters,
    index::{Division, merge},
};

use super::{
    AdvanceEpochStats, CleanupMarkersStats, CompactSingleEpochStats, DeleteSupersededStats,
    GenerateRangeStats,
};
use crate::{
    error::{RepoError, Result},
    index::ListedEpochs,
    repository::Repository,
    util::random,
};

/// Entries in one merged index blob. Kopia writes up to 16 million; but whoever opens the
/// repository for the first time has each blob in memory twice while it is decrypted.
const SHARD_ENTRIES: usize = 1_000_000;

/// The state of epochs, listed at most one refresh period ago.
fn listed(repo: &Repository) -> Result<(std::sync::Arc<ListedEpochs>, EpochParameters)> {
    repo.writable()?;
    repo.check_usable()?;
    let parameters = repo.parameters().epoch.clone();
    if !parameters.enabled {
        return Err(RepoError::Maintenance("epoch manager not enabled".into()));
    }
    let (store, clock) = (repo.store().as_ref(), repo.clock().as_ref());
    let listed = repo.epochs().state(store, clock, &parameters, SignedDuration::ZERO)?;
    Ok((listed, parameters))
}

/// Merges the oldest settled epoch that is not merged yet; `None` if there is none.
pub fn compact_single(repo: &Repository) -> Result<Option<CompactSingleEpochStats>> {
    let (listed, _) = listed(repo)?;
    let Some((epoch, blobs)) = listed.state.single_candidate() else { return Ok(None) };
    let blobs: Vec<&BlobInfo> = blobs.iter().collect();
    if !blobs.is_empty() {
        compact(repo, &blobs, &single_prefix(epoch))?;
    }
    Ok(Some(CompactSingleEpochStats {
        superseded_index_blob_count: blobs.len() as u64,
        superseded_index_total_size: blobs.iter().map(|blob| blob.length).sum(),
        epoch,
    }))
}

/// Begins a new epoch if the current one is old and large enough; at most one step.
pub fn advance(repo: &Repository) -> Result<AdvanceEpochStats> {
    let (listed, parameters) = listed(repo)?;
    let at_least = |value: i64| u64::try_from(value).unwrap_or(0);
    let count = at_least(parameters.epoch_advance_on_count_threshold);
    let thresholds = AdvanceThresholds {
        min_duration: parameters.min_epoch_duration,
        count: usize::try_from(count).unwrap_or(usize::MAX),
        total_size: at_least(parameters.epoch_advance_on_total_size_bytes_threshold),
    };
    let current = listed.state.write_epoch();
    if !listed.state.should_advance(&thresholds) {
        return Ok(AdvanceEpochStats { current_epoch: current, was_advanced: false });
    }
    repo.put_blob(&BlobId::from(marker_name(current + 1)), &[EPOCH_MARKER_BODY])?;
    repo.epochs().invalidate();
    Ok(AdvanceEpochStats { current_epoch: current + 1, was_advanced: true })
}

/// Merges all settled epochs since the last such merge, if there are enough of them.
pub fn generate_range(repo: &Repository) -> Result<Option<GenerateRangeStats>> {
    let (listed, parameters) = listed(repo)?;
    let frequency = u64::try_from(parameters.full_checkpoint_frequency).unwrap_or(u64::MAX);
    let Some((first, last, blobs)) = listed.state.range_candidate(frequency) else {
        return Ok(None);
    };
    if repo.clock().now() >= listed.valid_until {
        return Err(RepoError::Maintenance(
            "not generating full checkpoint - the committed state is no longer valid".into(),
        ));
    }
    if !blobs.is_empty() {
        compact(repo, &blobs, &range_prefix(first, last))?;
    }
    Ok(Some(GenerateRangeStats { range_min_epoch: first, range_max_epoch: last }))
}

/// Deletes epoch markers and watermarks that newer ones have replaced.
pub fn clean_up_markers(repo: &Repository) -> Result<CleanupMarkersStats> {
    let (listed, parameters) = listed(repo)?;
    let markers = ids(&listed.state.obsolete_markers());
    let watermarks = ids(&listed.state.obsolete_watermarks(parameters.cleanup_safety_margin));
    delete(repo, &parameters, &markers)?;
    delete(repo, &parameters, &watermarks)?;
    Ok(CleanupMarkersStats {
        deleted_epoch_marker_blob_count: markers.len() as u64,
        deleted_watermark_blob_count: watermarks.len() as u64,
    })
}

/// Deletes indexes of epochs that were merged longer than the safety margin ago; `None` if the
/// storage's time is not known, because nothing was written recently.
pub fn delete_superseded(repo: &Repository) -> Result<Option<DeleteSupersededStats>> {
    let (listed, parameters) = listed(repo)?;
    let margin = parameters.cleanup_safety_margin;
    let Some(max_replacement_time) = listed.state.max_replacement_time(margin) else {
        return Ok(None);
    };
    let superseded = listed.state.superseded_indexes(margin);
    delete(repo, &parameters, &ids(&superseded))?;
    Ok(Some(DeleteSupersededStats {
        max_replacement_time,
        deleted_blob_count: superseded.len() as u64,
        deleted_total_size: superseded.iter().map(|blob| blob.length).sum(),
    }))
}

fn ids(blobs: &[&BlobInfo]) -> Vec<BlobId> {
    blobs.iter().map(|blob| BlobId::from(blob.name.as_str())).collect()
}

fn delete(repo: &Repository, parameters: &EpochParameters, blobs: &[BlobId]) -> Result<()> {
    if blobs.is_empty() {
        return Ok(());
    }
    let parallelism = usize::try_from(parameters.delete_parallelism).unwrap_or(1).max(1);
    delete_all(repo.store().as_ref(), blobs, parallelism)?;
    repo.epochs().invalidate();
    Ok(())
}

/// Writes the winners of these indexes as one set of index blobs, which counts when it is
/// complete. Only one of them is in memory at a time.
fn compact(repo: &Repository, blobs: &[&BlobInfo], prefix: &str) -> Result<()> {
    let fail = |e: kopist_format::index::IndexError| {
        RepoError::format(format!("merging indexes into {prefix}…"), e)
    };
    let indexes = repo.load_indexes(&ids(blobs))?;
    let version = repo.parameters().index_version;
    let division = Division::of(merge(&indexes), SHARD_ENTRIES).map_err(fail)?;
    let crypto = repo.crypto();
    let suffix = compaction_suffix(random()?, division.len());
    for number in 0..division.len() {
        let shard = division.encode(version, merge(&indexes), number).map_err(fail)?;
        let (name, body) = seal_blob(&crypto.hasher, &crypto.cipher, &shard, prefix, &suffix)
            .map_err(|e| RepoError::format(format!("index {prefix}…"), e))?;
        drop(shard);
        repo.put_blob(&BlobId::from(name), &[&body])?;
    }
    repo.epochs().invalidate();
    Ok(())
}
