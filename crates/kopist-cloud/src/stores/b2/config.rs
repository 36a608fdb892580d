use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;

use crate::settings::{self, Secret};

pub(super) const KIND: &str = "b2";

/// Where everybody's B2 is.
const USUAL_ENDPOINT: &str = "https://api.backblazeb2.com";

/// The settings of a B2 store, as `repository.config` has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) bucket: String,
    pub(super) prefix: String,
    #[serde(rename = "keyID")]
    pub(super) key_id: String,
    pub(super) key: Secret,
    /// Another address of the service; kopia has no such setting and ignores it.
    pub(super) endpoint: String,
}

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let keys = ["bucket", "prefix", "keyID", "key", "endpoint"];
        let mut config: Self = settings::parse(storage, &keys, &["bucket", "keyID", "key"])?;
        if config.endpoint.is_empty() {
            USUAL_ENDPOINT.clone_into(&mut config.endpoint);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({"bucket": "b", "prefix": "p/", "keyID": "k", "key": "s"});
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert_eq!((config.prefix.as_str(), config.key.expose()), ("p/", "s"));
        assert_eq!(config.endpoint, USUAL_ENDPOINT);
    }
}
