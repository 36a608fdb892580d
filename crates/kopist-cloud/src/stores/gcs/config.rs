use jiff::Timestamp;
use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;
use serde_json::Value;

use crate::settings;

pub(super) const KIND: &str = "gcs";

/// The settings of a store in Google Cloud Storage, as `repository.config` has them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) credentials_file: String,
    /// The contents of such a file.
    pub(super) credentials: Value,
    /// Ask for tokens that can only read. The store does not say that it is read-only.
    pub(super) read_only: bool,
    pub(super) point_in_time: Option<Timestamp>,
    /// Another address of the service; kopia has no such setting and ignores it.
    pub(super) endpoint: String,
}

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let keys = [
            "bucket",
            "prefix",
            "credentialsFile",
            "credentials",
            "readOnly",
            "pointInTime",
            "endpoint",
        ];
        settings::parse(storage, &keys, &["bucket"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({"bucket": "b", "credentials": {"type": "x"}, "readOnly": true});
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert!(config.read_only && config.credentials["type"] == "x");
    }
}
