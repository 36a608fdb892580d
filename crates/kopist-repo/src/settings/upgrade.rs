//! From the indexes of format version 1 to epochs, and from versions 1 and 2 to version 3.
//!
//! There are two ways. [`Repository::upgrade_to_epochs`] does it at once and relies on nobody
//! else writing. The other one locks the repository for everybody else first, as kopia does:
//!
//! ```text
//! lock_for_upgrade     keep a copy of the settings; set the lock, and version 3
//!   … until everybody has noticed the lock …
//! upgrade_indexes      write the merged index as one of epoch 0; switch epochs on
//! check_upgraded       read both indexes from the storage and compare them
//! commit_upgrade       keep old programs away; remove the lock
//! ```
//!
//! Each step can be repeated, so that an upgrade that was interrupted is taken up where it was.
//! Until the last step nothing of the old index has been removed, and
//! [`Repository::roll_back_upgrade`] puts the old settings back.
//!
//! Sources: `kopia:repo/format/upgrade_lock.go`, `kopia:cli/command_repository_upgrade.go`.

use std::collections::BTreeMap;

use kopist_blob::{BlobId, BlobStore as _, ByteRange, list_all};
use kopist_format::{
    blob_crypto::seal_blob,
    epoch::{
        compaction_suffix,
        legacy::{POISON_BODY, POISON_NAME},
        uncompacted_prefix,
    },
    format_blob::{
        EpochParameters, FORMAT_BLOB, FormatBlob, FormatVersion, RepositoryFormat, UpgradeLock,
    },
    id::ContentId,
    index::{Entry, Index, MAX_SHARD_ENTRIES, encode_shards, merge},
};

use crate::{
    error::{RepoError, Result},
    index::legacy::active_blobs,
    repository::Repository,
    util::random,
};

/// Everything that only programs with epochs read.
const EPOCHS_PREFIX: &str = "x";

/// Copies of the settings from before an upgrade are named by this and the upgrade's owner.
const BACKUP_PREFIX: &str = "kopia.repository.backup.";

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
        if !self.migrate_indexes()? {
            return Ok(false);
        }
        self.put_blob(&BlobId::from(POISON_NAME), &[POISON_BODY])?;
        self.refresh()?;
        Ok(true)
    }

    /// The upgrade lock, if there is one, as it is stored now.
    pub fn upgrade_lock(&self) -> Result<Option<UpgradeLock>> {
        self.settings().reload()?;
        Ok(self.format().upgrade_lock.clone())
    }

    /// Locks the repository for everybody but the lock's owner, and returns the lock that counts:
    /// this one, or that of an upgrade which the same owner has begun. `None` if the repository
    /// has the newest version and no lock.
    ///
    /// The repository must have been opened with the lock's owner as
    /// [`upgrade_owner`](crate::OpenOptions::upgrade_owner).
    pub fn lock_for_upgrade(&self, lock: &UpgradeLock) -> Result<Option<UpgradeLock>> {
        self.writable()?;
        lock.validate().map_err(super::format_error)?;
        let present = self.upgrade_lock()?;
        let mut format = RepositoryFormat::clone(&self.format());
        let newest = FormatVersion::V3.number();
        let new = match &present {
            Some(present) => present.update(lock).map_err(super::format_error)?,
            None if format.mutable.version >= newest => return Ok(None),
            None => {
                let backup = BlobId::from(format!("{BACKUP_PREFIX}{}", lock.owner_id));
                self.put_blob(&backup, &[&self.settings().stored()])?;
                lock.clone()
            }
        };
        // Programs that do not know the lock do not know this version either.
        format.mutable.version = newest;
        format.upgrade_lock = Some(new.clone());
        self.settings().store_format(self.format_blob(), &format, &self.blob_cfg())?;
        Ok(Some(new))
    }

    /// Gives a locked repository epochs; `false` if it has them.
    ///
    /// Fails while somebody may still use the repository.
    pub fn upgrade_indexes(&self) -> Result<bool> {
        self.writable()?;
        let lock = self.upgrade_lock()?.ok_or(RepoError::NoUpgrade)?;
        self.check_usable()?;
        if self.parameters().epoch.enabled {
            return Ok(false);
        }
        if !lock.writers_drained(self.clock().now()) {
            return Err(RepoError::UpgradeTooEarly { time: lock.upgrade_time() });
        }
        let migrated = self.migrate_indexes()?;
        self.refresh()?;
        Ok(migrated)
    }

    /// Writes the merged old index as one of epoch 0, and switches epochs on.
    fn migrate_indexes(&self) -> Result<bool> {
        let format = self.format();
        if format.mutable.epoch.enabled {
            return Ok(false);
        }
        // What an upgrade that was interrupted or rolled back left behind says nothing about the
        // repository as it is now, and would be believed as soon as epochs are on.
        self.remove_epochs()?;
        let indexes = self.load_indexes(&self.old_index_blobs()?)?;
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
        Ok(true)
    }

    /// Removes every index blob of epochs, of a repository that does not use them.
    fn remove_epochs(&self) -> Result<()> {
        for blob in list_all(self.store().as_ref(), EPOCHS_PREFIX)? {
            self.store().delete(&blob.id)?;
        }
        Ok(())
    }

    /// The index blobs that count for programs without epochs.
    fn old_index_blobs(&self) -> Result<Vec<BlobId>> {
        let active = active_blobs(self.index_source())?;
        if let Some(log) = active.unreadable.first() {
            return Err(RepoError::Maintenance(format!("which indexes count is not known: {log}")));
        }
        Ok(active.blobs.iter().map(|blob| blob.name.as_str().into()).collect())
    }

    /// Reads the old and the new index from the storage, past every cache, and returns what the
    /// new one lacks or has otherwise, a line for each content. `None` if there is no old index.
    pub fn check_upgraded(&self) -> Result<Option<Vec<String>>> {
        let old = self.old_index_blobs()?;
        let (new, _) = self.active_index_blobs()?;
        if old.is_empty() && !new.is_empty() {
            return Ok(None);
        }
        let old = self.read_entries(&old).map_err(|e| in_index("old", e))?;
        let new = self.read_entries(&new).map_err(|e| in_index("new", e))?;
        let mut wrong = Vec::new();
        for (id, entry) in &old {
            match new.get(id) {
                None => wrong.push(format!("content {id} of {} is missing", entry.pack)),
                Some(new) if new != entry => {
                    wrong.push(format!("content {id} differs: {entry:?} became {new:?}"));
                }
                Some(_) => {}
            }
        }
        let extra = new.iter().filter(|(id, _)| !old.contains_key(id));
        wrong.extend(extra.map(|(id, entry)| format!("content {id} of {} is new", entry.pack)));
        Ok(Some(wrong))
    }

    fn read_entries(&self, blobs: &[BlobId]) -> Result<BTreeMap<ContentId, Entry>> {
        let source = self.index_source();
        let mut indexes = Vec::new();
        for blob in blobs {
            let what = || format!("failed to load index blob with BlobID {blob}");
            let bytes = source.fetch(blob).map_err(|e| RepoError::format(what(), e))?;
            let index = Index::parse(bytes, source.overhead());
            indexes.push(index.map_err(|e| RepoError::format(what(), e))?);
        }
        let mut entries = BTreeMap::new();
        for entry in merge(&indexes) {
            let entry = entry.map_err(|e| RepoError::format("index", e))?;
            entries.insert(entry.id, entry.to_entry());
        }
        Ok(entries)
    }

    /// Opens a repository whose indexes were upgraded for everybody again.
    pub fn commit_upgrade(&self) -> Result<()> {
        self.writable()?;
        let lock = self.upgrade_lock()?;
        self.check_usable()?;
        if lock.is_none() {
            return Err(RepoError::NoUpgrade);
        }
        let mut format = RepositoryFormat::clone(&self.format());
        if !format.mutable.epoch.enabled {
            return Err(RepoError::InvalidOption("the indexes are not upgraded yet".into()));
        }
        self.put_blob(&BlobId::from(POISON_NAME), &[POISON_BODY])?;
        format.upgrade_lock = None;
        self.settings().store_format(self.format_blob(), &format, &self.blob_cfg())
    }

    /// Ends an upgrade that was not committed: the settings from before it are put back. Of
    /// several copies, the oldest counts.
    pub fn roll_back_upgrade(&self) -> Result<()> {
        self.writable()?;
        if self.upgrade_lock()?.is_none() {
            return Err(RepoError::NoUpgrade);
        }
        let mut backups = list_all(self.store().as_ref(), BACKUP_PREFIX)?;
        backups.sort_by(|a, b| a.timestamp.cmp(&b.timestamp).then_with(|| a.id.cmp(&b.id)));
        let Some(oldest) = backups.first() else {
            return Err(RepoError::InvalidOption(format!(
                "there is no copy of the settings from before the upgrade ({BACKUP_PREFIX}…); \
                 finish the upgrade instead"
            )));
        };
        let settings = self.store().get(&oldest.id, ByteRange::Full)?;
        // What does not open must not take the place of what does.
        let blob = FormatBlob::parse(&settings).map_err(super::format_error)?;
        let opened = self.settings().with_key(|_, key| blob.open(key));
        let before = opened.map_err(super::format_error)?;
        self.put_blob(&BlobId::from(FORMAT_BLOB), &[&settings])?;
        self.settings().reload()?;
        if !before.mutable.epoch.enabled {
            self.remove_epochs()?;
        }
        for backup in backups {
            self.store().delete(&backup.id)?;
        }
        self.refresh()
    }
}

fn in_index(which: &str, error: RepoError) -> RepoError {
    RepoError::format(format!("failed to load index entries for {which} index"), error)
}
