use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;
use serde_json::Value;

use crate::settings;

pub(super) const KIND: &str = "gdrive";

/// The settings of a store in Google Drive, as `repository.config` has them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    #[serde(rename = "folderID")]
    pub(super) folder_id: String,
    pub(super) credentials_file: String,
    /// The contents of such a file.
    pub(super) credentials: Value,
    /// Ask for tokens that can only read.
    pub(super) read_only: bool,
    /// Another address of the service; kopia has no such setting and ignores it.
    pub(super) endpoint: String,
}

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let keys = ["folderID", "credentialsFile", "credentials", "readOnly", "endpoint"];
        settings::parse(storage, &keys, &["folderID"])
    }
}
