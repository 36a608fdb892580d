//! The table of stores.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "b2")]
mod b2;
#[cfg(any(feature = "azure", feature = "b2", feature = "gcs", feature = "s3"))]
mod bucket;
mod filesystem;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "gdrive")]
mod gdrive;
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
mod past;
#[cfg(feature = "rclone")]
mod rclone;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "sftp")]
mod sftp;
#[cfg(feature = "sharded")]
mod sharded;
#[cfg(feature = "webdav")]
mod webdav;

use std::sync::Arc;

use kopist_blob::{Attempts, BlobError, BlobStore, StorageConfig};

use crate::ExtraRoots;

/// Whether a store is to be used or to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Connect,
    Create,
}

/// What a store is opened with besides its settings.
pub(crate) struct Context {
    pub(crate) mode: Mode,
    /// For operations of many requests, which only remote stores have.
    pub(crate) attempts: Attempts,
    /// For stores that speak TLS.
    pub(crate) roots: ExtraRoots,
}

pub(crate) type Open = fn(&StorageConfig, &Context) -> Result<Arc<dyn BlobStore>, BlobError>;

/// How a kind of store is opened.
#[derive(Clone, Copy)]
pub(crate) enum Opening {
    By(Open),
    /// This build has been made without it, or it is no storage.
    NotIncluded,
}

/// The function that opens a store if its feature is on.
macro_rules! included {
    ($feature:literal, $open:path) => {{
        #[cfg(feature = $feature)]
        {
            Opening::By($open)
        }
        #[cfg(not(feature = $feature))]
        {
            Opening::NotIncluded
        }
    }};
}

pub(crate) struct Kind {
    /// `type` in a storage configuration.
    name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) opening: Opening,
}

impl Kind {
    const fn new(name: &'static str, title: &'static str, opening: Opening) -> Self {
        Self { name, title, opening }
    }
}

/// All kinds that a `repository.config` may name (kopia:repo/blob), and `server`, which is no
/// storage but is asked for in the same place.
const KINDS: &[Kind] = &[
    Kind::new("filesystem", "a directory", Opening::By(filesystem::open)),
    Kind::new("s3", "Amazon S3 or compatible", included!("s3", s3::open)),
    Kind::new("gcs", "Google Cloud Storage", included!("gcs", gcs::open)),
    Kind::new("azureBlob", "Azure Blob Storage", included!("azure", azure::open)),
    Kind::new("b2", "Backblaze B2", included!("b2", b2::open)),
    Kind::new("webdav", "WebDAV", included!("webdav", webdav::open)),
    Kind::new("sftp", "SFTP", included!("sftp", sftp::open)),
    Kind::new("rclone", "any remote of rclone", included!("rclone", rclone::open)),
    Kind::new("gdrive", "Google Drive", included!("gdrive", gdrive::open)),
    Kind::new("server", "a Kopia repository server", Opening::NotIncluded),
];

pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

pub(crate) fn names() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// A kind of store, for help texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// `type` in a storage configuration.
    pub name: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// Whether this build can open it.
    pub included: bool,
}

/// Every kind of store that has a name, whether this build includes it or not.
pub fn kinds() -> impl Iterator<Item = KindInfo> {
    KINDS.iter().map(|kind| KindInfo {
        name: kind.name,
        title: kind.title,
        included: matches!(kind.opening, Opening::By(_)),
    })
}
