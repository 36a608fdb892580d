//! From the indexes of format version 1 to epochs.

use kopist_blob::BlobId;
use kopist_format::{
    blob_crypto::seal_blob,
    epoch::{
        compaction_suffix,
        legacy::{POISON_BODY, POISON_NAME},
        uncompacted_prefix,
    },
    format_blob::{EpochParameters, RepositoryFormat},
    index::{MAX_SHARD_ENTRIES, encode_shards, merge},
};

use crate::{
    error::{RepoError, Result},
    index::legacy::active_blobs,
    repository::Repository,
    util::random,
};

impl Repository {
    /// Gives a repository of format version 1 epochs and index version 2; `false` if it has them.
    ///
    /// Nobody else may write meanwhile: what a client with the old settings writes after this is
    /// not seen any more. The old index blobs stay, and a blob that no old program can read keeps
    /// those away. The order makes every interruption harmless: merged index, settings, blocker.
    pub fn upgrade_to_epochs(&self) -> Result<bool> {
        self.writable()?;
        self.settings().reload()?;
        self.check_usable()?;
        let format = self.format();
        if format.mutable.epoch.enabled {
            return Ok(false);
        }
        let active = active_blobs(self.index_source())?;
        if let Some(log) = active.unreadable.first() {
            return Err(RepoError::Maintenance(format!("which indexes count is not known: {log}")));
        }
        let ids: Vec<BlobId> = active.blobs.iter().map(|blob| blob.name.as_str().into()).collect();
        let indexes = self.load_indexes(&ids)?;
        let shards =
            encode_shards(self.parameters().index_version, merge(&indexes), MAX_SHARD_ENTRIES)
                .map_err(|e| RepoError::format("upgraded index", e))?;
        drop(indexes);
        let crypto = self.crypto();
        let (prefix, suffix) = (uncompacted_prefix(0), compaction_suffix(random()?, shards.len()));
        for shard in shards {
            let (name, body) = seal_blob(&crypto.hasher, &crypto.cipher, &shard, &prefix, &suffix)
                .map_err(|e| RepoError::format("upgraded index", e))?;
            self.put_blob(&BlobId::from(name), &[&body])?;
        }

        let mut upgraded = RepositoryFormat::clone(&format);
        upgraded.mutable.epoch = EpochParameters::default();
        upgraded.mutable.index_version = 2;
        upgraded.mutable.version = upgraded.mutable.version.max(2);
        self.settings().store_format(self.format_blob(), &upgraded, &self.blob_cfg())?;
        self.put_blob(&BlobId::from(POISON_NAME), &[POISON_BODY])?;
        self.refresh()?;
        Ok(true)
    }
}
