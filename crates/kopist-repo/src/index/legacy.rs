//! Index blobs of repositories without epochs (format version 1).
//!
//! All `n` blobs count, except the inputs of a compaction whose log (`m` blob) is there and all
//! of whose outputs are listed. There is no deletion watermark. The rules are pure functions in
//! `kopist_format::epoch::legacy`.
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
    error::{RepoError, Result},
    repository::Repository,
    util::parallel_map,
};

/// Logs fetched at once.
const PARALLEL: usize = 8;

/// The index blobs that count.
pub(crate) fn active_blobs(source: &dyn IndexSource) -> Result<Vec<BlobInfo>> {
    // Logs before indexes: the outputs of a log that is listed here are listed below.
    let logs = load_logs::<CompactionLog>(source, COMPACTION_LOG_PREFIX)?;
    let mut indexes = infos(source.list(INDEX_PREFIX)?);
    indexes.retain(|blob| blob.name != POISON_NAME);
    let logs: Vec<CompactionLog> = logs.into_iter().map(|(_, log)| log).collect();
    Ok(active_set(indexes, &logs))
}

/// All logs of a kind with their contents; what vanishes meanwhile is left out.
pub(crate) fn load_logs<T: DeserializeOwned + Send>(
    source: &dyn IndexSource,
    prefix: &str,
) -> Result<Vec<(BlobInfo, T)>> {
    let listed = infos(source.list(prefix)?);
    let logs = parallel_map(&listed, PARALLEL, |blob| {
        match source.fetch(&BlobId::from(blob.name.as_str())) {
            Ok(json) => {
                let log = serde_json::from_slice(&json)
                    .map_err(|e| RepoError::format(format!("log {}", blob.name), e))?;
                Ok(Some((blob.clone(), log)))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    })?;
    Ok(logs.into_iter().flatten().collect())
}

fn infos(listed: Vec<BlobMeta>) -> Vec<BlobInfo> {
    listed
        .into_iter()
        .map(|meta| BlobInfo::new(meta.id.as_str(), meta.length, meta.timestamp))
        .collect()
}

/// The names of the indexes that count.
pub(crate) fn active(source: &dyn IndexSource) -> Result<ActiveSet> {
    Ok(ActiveSet::new(&active_blobs(source)?, None))
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
