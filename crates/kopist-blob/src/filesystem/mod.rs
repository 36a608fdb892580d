//! Blobs as files below a directory, laid out as kopia lays them out.
//!
//! What is on disk: the file [`.shards`](crate::sharded), and for each blob one file whose name
//! ends in `.f`. A blob is written to `<name>.f.tmp.<16 hex digits>` beside its place, synced,
//! renamed over it, and then the directory is synced: a reader sees the old blob or the whole
//! new one, and a put that has returned survives a power cut. The last sync is ours; kopia
//! leaves it out (kopia:repo/blob/filesystem), which can cost a machine that loses power blobs
//! whose put had been acknowledged.
//!
//! Symbolic links are treated as kopia treats them: the root and a blob's file may be links,
//! but a listing does not enter linked directories below the root.

mod config;
mod layout;
mod leftovers;
mod list;
mod read;
mod write;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use config::{FilesystemConfig, KIND};
pub use leftovers::LEFTOVER_AGE;

use crate::sharded::{DEFAULT_FOR_CONNECT, DEFAULT_FOR_CREATE};
use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Capacity, Feature, Leftovers, Operation,
    PutOptions, StorageConfig, Target,
};

/// How much a put does to survive a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Sync the file and its directory: what a repository needs.
    #[default]
    PowerCut,
    /// Sync nothing: right for caches, whose contents can be fetched again. A put is still
    /// atomic for other processes, but after a power cut a blob may hold zeros.
    Cache,
}

/// A store in a directory.
#[derive(Debug)]
pub struct FilesystemStore {
    config: FilesystemConfig,
    layout: layout::Layout,
    durability: Durability,
}

impl FilesystemStore {
    /// Opens the store in an existing directory.
    ///
    /// # Errors
    /// [`BlobError::Inaccessible`] when the directory is missing, which usually means that a
    /// volume is not mounted.
    pub fn open(config: FilesystemConfig) -> Result<Self, BlobError> {
        Self::start(config, DEFAULT_FOR_CONNECT)
    }

    /// Opens the store, making its directory if it is missing. Only the default layout of a
    /// store without `.shards` differs from [`open`](Self::open).
    pub fn create(config: FilesystemConfig) -> Result<Self, BlobError> {
        let mode = config.effective_dir_mode();
        write::make_root(&config.path, mode)
            .map_err(|source| BlobError::Inaccessible { path: config.path.clone(), source })?;
        Self::start(config, DEFAULT_FOR_CREATE)
    }

    fn start(config: FilesystemConfig, usual_shards: &[usize]) -> Result<Self, BlobError> {
        config.limits.check()?;
        let shards = config.dir_shards.as_deref().unwrap_or(usual_shards);
        let layout = layout::Layout::new(&config.path, shards);
        let store = Self { config, layout, durability: Durability::default() };
        store.open_root()?;
        Ok(store)
    }

    /// The same store with another durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Root directory of the store.
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// The file that holds a blob, or would hold it.
    pub fn file_of(&self, id: &BlobId) -> Result<PathBuf, BlobError> {
        Ok(self.config.path.join(self.layout.for_reading()?.path_of(id)?))
    }

    /// Sets the timestamp of a blob to `now` if it is older than `threshold`, and returns the
    /// timestamp it then has. Caches use it to know what was used last.
    pub fn touch(
        &self,
        id: &BlobId,
        threshold: Duration,
        now: Timestamp,
    ) -> Result<Timestamp, BlobError> {
        write::touch(&self.file_of(id)?, threshold, now)
            .map_err(|source| BlobError::from_io(Operation::Metadata, id, source))
    }

    fn open_root(&self) -> Result<rustix::fd::OwnedFd, BlobError> {
        list::open_directory(rustix::fs::CWD, &self.config.path, list::Follow::Links)
            .map_err(|source| BlobError::Inaccessible { path: self.config.path.clone(), source })
    }
}

impl BlobStore for FilesystemStore {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        read::read(&self.file_of(id)?, id, range)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        let stat = rustix::fs::stat(&self.file_of(id)?)
            .map_err(|errno| BlobError::from_io(Operation::Metadata, id, errno.into()))?;
        Ok(read::meta_of(id.clone(), &stat))
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
        let writer = write::Writer::new(&self.config, self.durability);
        let path = self.layout.for_writing(&writer)?.path_of(id)?;
        let stat = writer.write(&path, data, options).map_err(|error| match error {
            write::WriteError::NoExclusiveCreate => self.unsupported(Feature::DoNotRecreate),
            write::WriteError::RootMissing(source) => {
                BlobError::Inaccessible { path: self.config.path.clone(), source }
            }
            write::WriteError::Io(source) => BlobError::from_io(Operation::Put, id, source),
        })?;
        Ok(read::meta_of(id.clone(), &stat))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        match rustix::fs::unlink(&self.file_of(id)?) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(errno) => Err(BlobError::from_io(Operation::Delete, id, errno.into())),
        }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let root = self.open_root()?;
        list::Walk::new(&self.config.path, root, prefix, self.config.list_parallelism).run(visit)
    }

    fn storage_config(&self) -> StorageConfig {
        self.config.to_storage()
    }

    fn display_name(&self) -> String {
        format!("Filesystem: {}", self.config.path.display())
    }

    fn capacity(&self) -> Result<Capacity, BlobError> {
        let stat = rustix::fs::statvfs(&self.config.path).map_err(|errno| {
            let target = Target::Store(self.display_name());
            BlobError::from_io(Operation::Capacity, target, errno.into())
        })?;
        Ok(Capacity {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn sweep_leftovers(&self, now: Timestamp) -> Result<Leftovers, BlobError> {
        leftovers::sweep(&self.config.path, &self.open_root()?, now)
    }
}
