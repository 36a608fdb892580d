//! Index blobs of repositories without epochs (format version 1).
//!
//! All `n` blobs count, except the inputs of a compaction whose log (`m` blob) is there and all
//! of whose outputs are listed. There is no deletion watermark. The rules are pure functions in
//! `kopist_format::epoch::legacy`.
//!
//! A log that does not open is left out, so that the repository can be read: then inputs count
//! beside outputs, which say the same. Only if a compaction left out deleted contents and some of
//! its inputs are gone already, others may name packs that are gone, too. Such an index is
//! [doubtful](ActiveSet::doubtful): writers look whether a pack is there before they rely on it,
//! and nothing is merged.
//!
//! Source: `kopia:repo/content/indexblob/index_blob_manager_v0.go`.

use kopist_blob::{BlobId, BlobMeta};
use kopist_format::{
    epoch::{
        BlobInfo,
        legacy::{COMPACTION_LOG_PREFIX, CompactionLog, INDEX_PREFIX, POISON_NAME, active_set},
    },
    session::SessionId,
};
use serde::de::DeserializeOwned;

use super::{ActiveSet, IndexSource};
use crate::{
    error::{RepoError, Result, Unreadable},
    repository::Repository,
    util::parallel_map,
};

/// Logs fetched at once.
const PARALLEL: usize = 8;

/// The index blobs that count.
pub(crate) struct ActiveBlobs {
    pub(crate) blobs: Vec<BlobInfo>,
    /// Compaction logs that do not open.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Finds out which index blobs count.
pub(crate) fn active_blobs(source: &dyn IndexSource) -> Result<ActiveBlobs> {
    // Logs before indexes: the outputs of a log that is listed here are listed below.
    let Logs { logs, unreadable } = load_logs::<CompactionLog>(source, COMPACTION_LOG_PREFIX)?;
    let mut indexes = infos(source.list(INDEX_PREFIX)?);
    indexes.retain(|blob| blob.name != POISON_NAME);
    let logs: Vec<CompactionLog> = logs.into_iter().map(|(_, log)| log).collect();
    Ok(ActiveBlobs { blobs: active_set(indexes, &logs), unreadable })
}

/// Logs of one kind.
pub(crate) struct Logs<T> {
    /// Those that open, with what they hold.
    pub(crate) logs: Vec<(BlobInfo, T)>,
    /// Those that do not.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// All logs of a kind; what vanishes meanwhile is left out.
pub(crate) fn load_logs<T: DeserializeOwned + Send>(
    source: &dyn IndexSource,
    prefix: &str,
) -> Result<Logs<T>> {
    let listed = infos(source.list(prefix)?);
    let read = parallel_map(&listed, PARALLEL, |blob| {
        let read = source.fetch(&BlobId::from(blob.name.as_str())).and_then(|json| {
            serde_json::from_slice(&json)
                .map_err(|e| RepoError::format(format!("log {}", blob.name), e))
        });
        match read {
            Ok(log) => Ok(Some(Ok((blob.clone(), log)))),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) if e.is_damage() => {
                Ok(Some(Err(Unreadable::new(format!("blob {}", blob.name), e))))
            }
            Err(e) => Err(e),
        }
    })?;
    let mut found = Logs { logs: Vec::new(), unreadable: Vec::new() };
    for log in read.into_iter().flatten() {
        match log {
            Ok(log) => found.logs.push(log),
            Err(unreadable) => found.unreadable.push(unreadable),
        }
    }
    Ok(found)
}

fn infos(listed: Vec<BlobMeta>) -> Vec<BlobInfo> {
    listed
        .into_iter()
        .map(|meta| BlobInfo::new(meta.id.as_str(), meta.length, meta.timestamp))
        .collect()
}

/// The names of the indexes that count.
pub(crate) fn active(source: &dyn IndexSource) -> Result<ActiveSet> {
    let ActiveBlobs { blobs, unreadable } = active_blobs(source)?;
    for log in &unreadable {
        tracing::warn!("which indexes were replaced is not known: {log}");
    }
    Ok(ActiveSet { doubtful: !unreadable.is_empty(), ..ActiveSet::new(&blobs, None) })
}

/// Stores the index of a session.
pub(crate) fn write_session(
    repo: &Repository,
    session: &SessionId,
    shards: &[Vec<u8>],
) -> Result<Vec<BlobId>> {
    shards
        .iter()
        .map(|shard| Ok(repo.put_sealed(INDEX_PREFIX, session.as_str(), shard)?.id))
        .collect()
}
