//! SFTP: files on a machine that has an SSH server.
//!
//! One connection carries all operations, many requests of each at a time. It is made when it is
//! first needed, and again when it is lost.
//!
//! * [`config`]: the settings;
//! * [`known_hosts`]: which key the server must have;
//! * [`connection`]: from settings to a session, by our own SSH or by a command;
//! * [`session`]: requests, answers, and how long these may take;
//! * [`tree`]: files as requests.
//!
//! Facts: kopia:repo/blob/sftp. What differs: a file is synced before it gets its name, if the
//! server can; only kinds of host keys that are known for the host are asked for, so that a
//! server with several keys is recognised by any of them; connecting never makes the directory.

mod config;
mod connection;
mod known_hosts;
mod session;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use kopist_blob::{BlobError, BlobStore, StorageConfig};

use super::sharded::ShardedStore;
use super::{Context, Mode};
use config::Config;

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    let name = format!("SFTP {}@{}", config.username, config.host);
    let sharding = config.sharding.clone();
    let tree = tree::SftpTree::new(config, name.clone())?;
    context.attempts.run(|| tree.open_root(context.mode == Mode::Create))?;
    Ok(Arc::new(ShardedStore::new(tree, storage, name, &sharding, context)))
}
