//! Any remote that rclone knows: we start `rclone serve webdav` on this machine and use it as
//! WebDAV.
//!
//! The server speaks TLS with a certificate and a password that are made for it, so that other
//! users of the machine can neither read nor write through it. If it ends, it is started again;
//! when the store is closed or dropped, it is killed, and also when we are.
//!
//! * [`config`]: the settings;
//! * [`folder`]: where rclone finds what it must not be told on its command line;
//! * [`process`]: starting, watching, ending rclone.
//!
//! Facts: kopia:repo/blob/rclone.

mod config;
mod folder;
mod process;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange, StorageConfig};
use parking_lot::Mutex;

use super::Context;
use super::sharded::{Entry, ShardedStore, Stat, Tree};
use crate::ExtraRoots;
use config::Config;
use process::Process;

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    tracing::debug!("kopia no longer maintains its own support of rclone");
    let name = format!("RClone {}", config.remote_path);
    let sharding = config.sharding.clone();
    let roots = context.roots.clone();
    let tree = RcloneTree { config, name: name.clone(), roots, process: Mutex::default() };
    // What is wrong with the program or the remote shows now.
    context.attempts.run(|| tree.process())?;
    Ok(Arc::new(ShardedStore::new(tree, storage, name, &sharding, context)))
}

/// Files of a remote.
#[derive(Debug)]
struct RcloneTree {
    config: Config,
    name: String,
    /// Whom rclone is to believe besides the usual.
    roots: ExtraRoots,
    process: Mutex<Option<Arc<Process>>>,
}

impl RcloneTree {
    /// The server, started if it does not run.
    fn process(&self) -> Result<Arc<Process>, BlobError> {
        let mut held = self.process.lock();
        if let Some(process) = &*held
            && process.runs()
        {
            return Ok(Arc::clone(process));
        }
        let process = Arc::new(Process::start(&self.config, &self.name, &self.roots)?);
        *held = Some(Arc::clone(&process));
        Ok(process)
    }
}

impl Tree for RcloneTree {
    fn read(&self, path: &str, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.process()?.files.read(path, id, range)
    }

    fn stat(&self, path: &str, id: &BlobId) -> Result<Stat, BlobError> {
        self.process()?.files.stat(path, id)
    }

    fn write(
        &self,
        path: &str,
        id: &BlobId,
        data: &[&[u8]],
        time: Option<Timestamp>,
    ) -> Result<Stat, BlobError> {
        self.process()?.files.write(path, id, data, time)
    }

    fn remove(&self, path: &str, id: &BlobId) -> Result<(), BlobError> {
        self.process()?.files.remove(path, id)
    }

    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, BlobError> {
        self.process()?.files.entries(path)
    }

    fn sets_times(&self) -> bool {
        false
    }

    /// rclone remembers directories for minutes; other clients write meanwhile.
    fn refresh(&self) -> Result<(), BlobError> {
        self.process()?.forget()
    }

    fn close(&self) -> Result<(), BlobError> {
        *self.process.lock() = None;
        Ok(())
    }
}
