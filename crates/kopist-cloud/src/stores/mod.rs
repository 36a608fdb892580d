//! The table of stores.

mod filesystem;

use std::sync::Arc;

use kopist_blob::{BlobError, BlobStore, StorageConfig};

/// Whether a store is to be used or to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Connect,
    Create,
}

pub(crate) type Open = fn(&StorageConfig, Mode) -> Result<Arc<dyn BlobStore>, BlobError>;

/// How a kind of store is opened.
#[derive(Clone, Copy)]
pub(crate) enum Opening {
    By(Open),
    NotIncluded,
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
    Kind::new("s3", "Amazon S3 or compatible", Opening::NotIncluded),
    Kind::new("gcs", "Google Cloud Storage", Opening::NotIncluded),
    Kind::new("azureBlob", "Azure Blob Storage", Opening::NotIncluded),
    Kind::new("b2", "Backblaze B2", Opening::NotIncluded),
    Kind::new("webdav", "WebDAV", Opening::NotIncluded),
    Kind::new("sftp", "SFTP", Opening::NotIncluded),
    Kind::new("rclone", "any remote of rclone", Opening::NotIncluded),
    Kind::new("gdrive", "Google Drive", Opening::NotIncluded),
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
