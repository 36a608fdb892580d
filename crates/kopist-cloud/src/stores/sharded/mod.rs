//! Stores that keep blobs as files in directories of another machine, in kopia's layout
//! (`kopist_blob::sharded`): SFTP, WebDAV, and rclone through WebDAV.
//!
//! What they have in common is here; what is left to each is a [`Tree`]: seven plain operations
//! on paths.

mod layout;
mod listing;

use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::sharded::{DEFAULT_FOR_CONNECT, DEFAULT_FOR_CREATE};
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Capacity, Feature, Leftovers,
    PutOptions, StorageConfig,
};
use serde::Deserialize;

use super::Mode;
use layout::Layout;

/// Files in directories. Paths are relative to the root of the store, with `/` between names;
/// the empty one is the root.
pub(super) trait Tree: Send + Sync + std::fmt::Debug {
    /// Reads a file or exactly a part of it. `id` is for errors.
    fn read(&self, path: &str, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError>;

    /// Length and time of a file.
    fn stat(&self, path: &str, id: &BlobId) -> Result<Stat, BlobError>;

    /// Writes a file, whole or not at all, making the directories it needs.
    fn write(
        &self,
        path: &str,
        id: &BlobId,
        data: &[&[u8]],
        time: Option<Timestamp>,
    ) -> Result<Stat, BlobError>;

    /// Removes a file; a missing one is no error.
    fn remove(&self, path: &str, id: &BlobId) -> Result<(), BlobError>;

    /// What is in a directory; none if it is missing, unless it is the root.
    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, BlobError>;

    /// Whether a file can be given a time.
    fn sets_times(&self) -> bool;

    /// Called before anything is read, for trees that remember too much.
    fn refresh(&self) -> Result<(), BlobError> {
        Ok(())
    }

    /// Size and free space, if it can be known.
    fn capacity(&self) -> Result<Option<Capacity>, BlobError> {
        Ok(None)
    }

    /// Ends connections and helpers.
    fn close(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) length: u64,
    pub(super) time: Timestamp,
}

/// Something in a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Of a file; a directory has none.
    pub(super) file: Option<Stat>,
}

/// The settings that all such stores share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Sharding {
    dir_shards: Option<Vec<usize>>,
    list_parallelism: usize,
}

/// The keys of [`Sharding`].
pub(super) const KEYS: [&str; 2] = ["dirShards", "listParallelism"];

/// A store of files.
#[derive(Debug)]
pub(super) struct ShardedStore<T> {
    tree: T,
    storage: StorageConfig,
    name: String,
    layout: Layout,
    list_parallelism: usize,
    attempts: Attempts,
}

impl<T: Tree> ShardedStore<T> {
    pub(super) fn new(
        tree: T,
        storage: &StorageConfig,
        name: String,
        sharding: &Sharding,
        context: &super::Context,
    ) -> Self {
        let usual = match context.mode {
            Mode::Connect => DEFAULT_FOR_CONNECT,
            Mode::Create => DEFAULT_FOR_CREATE,
        };
        let shards = sharding.dir_shards.as_deref().unwrap_or(usual);
        Self {
            layout: Layout::new(&name, shards),
            tree,
            storage: storage.clone(),
            name,
            list_parallelism: sharding.list_parallelism,
            attempts: context.attempts.clone(),
        }
    }

    fn path_to_read(&self, id: &BlobId) -> Result<String, BlobError> {
        id.check()?;
        self.tree.refresh()?;
        self.layout.for_reading(&self.tree)?.path_of(id)
    }
}

impl<T: Tree> BlobStore for ShardedStore<T> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.tree.read(&self.path_to_read(id)?, id, range)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        let stat = self.tree.stat(&self.path_to_read(id)?, id)?;
        Ok(BlobMeta { id: id.clone(), length: stat.length, timestamp: stat.time })
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        id.check()?;
        if options.retention.is_some() {
            return Err(self.unsupported(Feature::Retention));
        }
        if options.do_not_recreate {
            return Err(self.unsupported(Feature::DoNotRecreate));
        }
        if options.set_mod_time.is_some() && !self.tree.sets_times() {
            return Err(self.unsupported(Feature::SetModTime));
        }
        let path = self.layout.for_writing(&self.tree)?.path_of(id)?;
        let stat = self.tree.write(&path, id, data, options.set_mod_time)?;
        Ok(BlobMeta { id: id.clone(), length: stat.length, timestamp: stat.time })
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        id.check()?;
        let path = self.layout.for_reading(&self.tree)?.path_of(id)?;
        self.tree.remove(&path, id)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.tree.refresh()?;
        listing::list(&self.tree, prefix, self.list_parallelism, &self.attempts, visit)
    }

    fn storage_config(&self) -> StorageConfig {
        self.storage.clone()
    }

    fn display_name(&self) -> String {
        self.name.clone()
    }

    fn capacity(&self) -> Result<Capacity, BlobError> {
        self.tree.capacity()?.ok_or_else(|| self.unsupported(Feature::Capacity))
    }

    fn sweep_leftovers(&self, now: Timestamp) -> Result<Leftovers, BlobError> {
        self.tree.refresh()?;
        listing::sweep(&self.tree, now, self.list_parallelism, &self.attempts)
    }

    fn close(&self) -> Result<(), BlobError> {
        self.tree.close()
    }
}
