//! From a storage configuration to a blob store: the one place that knows which stores exist.
//!
//! ```
//! use kopist_blob::{BlobStore, StorageConfig, list_all};
//! use kopist_cloud::{ConnectOptions, connect, create};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("backups");
//! let config = StorageConfig::new("filesystem", serde_json::json!({ "path": path }));
//! create(&config, &ConnectOptions::default())?;
//! let store = connect(&config, &ConnectOptions::default())?;
//! assert!(list_all(&store, "")?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A store is a row of the table in `stores/mod.rs` and a file or folder beside it. To add one,
//! implement [`BlobStore`] there, behind a cargo feature of the store's
//! name, run `kopist_blob::testing::conformance` against it, and point its row to the function that opens
//! it. Nothing outside this crate changes.

// A store alone needs a part of what they share. With all of them nothing may be left over.
#![cfg_attr(
    not(all(
        feature = "s3",
        feature = "gcs",
        feature = "azure",
        feature = "b2",
        feature = "webdav",
        feature = "sftp",
        feature = "rclone",
        feature = "gdrive"
    )),
    allow(dead_code, unused_imports)
)]

#[cfg(any(feature = "http", feature = "sftp"))]
mod clock;
#[cfg(feature = "google")]
mod google;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "http")]
mod renewed;
mod roots;
#[cfg(any(feature = "http", feature = "sftp"))]
mod settings;
#[cfg(any(feature = "http", feature = "sftp"))]
mod site;
mod stores;
#[cfg(feature = "http")]
pub mod web;
#[cfg(feature = "xml")]
mod xml;

use std::sync::Arc;

use kopist_blob::pace::SystemTimer;
use kopist_blob::{
    Attempts, BlobError, BlobStore, Limits, ReadOnly, Retry, RetryPolicy, StorageConfig, Throttle,
    Traced,
};
use thiserror::Error;

pub use roots::ExtraRoots;
use stores::{Context, Mode, Opening};
pub use stores::{KindInfo, kinds};

/// How a connection behaves, whatever the store.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Refuse every change.
    pub read_only: bool,
    /// Speed limits; `Some` replaces all of those in the storage configuration.
    pub limits: Option<Limits>,
    /// How failed calls are repeated.
    pub retry: RetryPolicy,
    /// What waits between attempts and for speed limits; stopping it ends these waits.
    pub timer: SystemTimer,
    /// Whom to believe besides the authorities that the system knows.
    pub extra_roots: ExtraRoots,
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A kind of store that kopia has and this build lacks.
    #[error("this build of kopist does not include the storage type {kind:?} ({title})")]
    NotIncluded {
        /// `type` of the storage.
        kind: String,
        /// The kind in words.
        title: &'static str,
    },
    /// No kind of store that we have heard of.
    #[error("storage type {kind:?} is unknown; known are {known}", known = stores::names())]
    UnknownKind {
        /// `type` of the storage.
        kind: String,
    },
    /// The store itself.
    #[error(transparent)]
    Store(#[from] BlobError),
}

/// Opens a store that exists.
pub fn connect(
    storage: &StorageConfig,
    options: &ConnectOptions,
) -> Result<Arc<dyn BlobStore>, ConnectError> {
    open(storage, options, Mode::Connect)
}

/// Opens a store for a new repository, making its directory or the like if it is missing. It
/// may exist, and whether it is empty is for the caller to check.
pub fn create(
    storage: &StorageConfig,
    options: &ConnectOptions,
) -> Result<Arc<dyn BlobStore>, ConnectError> {
    open(storage, options, Mode::Create)
}

fn open(
    storage: &StorageConfig,
    options: &ConnectOptions,
    mode: Mode,
) -> Result<Arc<dyn BlobStore>, ConnectError> {
    let kind = stores::find(&storage.kind)
        .ok_or_else(|| ConnectError::UnknownKind { kind: storage.kind.clone() })?;
    let store = match kind.opening {
        Opening::By(open) => {
            let attempts = Attempts::new(options.retry, Arc::new(options.timer.clone()));
            let roots = options.extra_roots.clone();
            open(storage, &Context { mode, attempts, roots })?
        }
        Opening::NotIncluded => {
            return Err(ConnectError::NotIncluded {
                kind: storage.kind.clone(),
                title: kind.title,
            });
        }
    };
    wrap(store, storage, options)
}

/// From the inside out: retries are not throttled again (as in kopia:repo/open.go), and what a
/// read-only connection refuses is neither repeated nor does it wait.
fn wrap(
    store: Arc<dyn BlobStore>,
    storage: &StorageConfig,
    options: &ConnectOptions,
) -> Result<Arc<dyn BlobStore>, ConnectError> {
    let timer = Arc::new(options.timer.clone());
    let mut store: Arc<dyn BlobStore> =
        Arc::new(Traced::new(Retry::with(store, options.retry, timer.clone())));
    let limits = match options.limits {
        Some(limits) => limits,
        None => Limits::from_storage(storage)?,
    };
    if !limits.is_unlimited() {
        store = Arc::new(Throttle::with_timer(store, &limits, timer)?);
    }
    if options.read_only {
        store = Arc::new(ReadOnly::new(store));
    }
    Ok(store)
}
