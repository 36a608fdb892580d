//! WebDAV: files behind a web server.
//!
//! The collection at the URL must exist, we never make it. Below it, files lie as in a directory
//! (`stores::sharded`). With `atomicWrites` a file is put under its own name; otherwise, because
//! most servers show a file while it is still being sent, it is put beside its place as
//! `<name>-<number>` and moved there.
//!
//! * [`config`]: the settings;
//! * [`tree`]: files as requests;
//! * [`multistatus`]: what servers tell of files;
//! * [`auth`]: Basic, sent at once, and Digest, when the server asks for it;
//! * [`behind`]: what a server has to say of what lies behind it.
//!
//! Facts: kopia:repo/blob/webdav. Unlike kopia, we send our name and password with the first
//! request.

mod auth;
mod behind;
mod config;
mod multistatus;
mod tree;

use std::sync::Arc;

use kopist_blob::{BlobError, BlobStore, StorageConfig};

use super::Context;
use super::sharded::ShardedStore;
use crate::site::Site;
#[cfg(feature = "rclone")]
pub(super) use behind::Behind;
pub(super) use config::Config;
pub(super) use tree::DavTree;

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    let name = config.display_name();
    let site = Site {
        kind: config::KIND,
        name: name.clone(),
        settings: tree::SETTINGS,
        roots: context.roots.clone(),
    };
    let tree = DavTree::new(&config, site)?;
    Ok(Arc::new(ShardedStore::new(tree, storage, name, &config.sharding, context)))
}
