use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;

use crate::http::Trust;
use crate::settings::{self, Secret};
use crate::stores::sharded::{self, Sharding};

pub(super) const KIND: &str = "webdav";

/// The settings of a WebDAV store, as `repository.config` has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::stores) struct Config {
    /// The collection that holds the blobs.
    pub(in crate::stores) url: String,
    pub(in crate::stores) username: String,
    pub(in crate::stores) password: Secret,
    /// SHA-256 of a certificate, hex.
    pub(in crate::stores) trusted_server_certificate_fingerprint: String,
    pub(in crate::stores) atomic_writes: bool,
    #[serde(flatten)]
    pub(in crate::stores) sharding: Sharding,
}

const OWN_KEYS: [&str; 5] =
    ["url", "username", "password", "trustedServerCertificateFingerprint", "atomicWrites"];

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let keys: Vec<&str> = OWN_KEYS.into_iter().chain(sharded::KEYS).collect();
        settings::parse(storage, &keys, &["url"])
    }

    /// `WebDAV: <url>`, without a password in it.
    pub(super) fn display_name(&self) -> String {
        let shown = match self.url.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                let slash = if rest.contains('/') { "/" } else { "" };
                format!("{scheme}://{host}{slash}{path}")
            }
            None => self.url.clone(),
        };
        format!("WebDAV: {shown}")
    }

    pub(super) fn trust(&self) -> Trust {
        match self.trusted_server_certificate_fingerprint.as_str() {
            "" => Trust::System,
            fingerprint => Trust::Fingerprint(fingerprint.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({
            "url": "https://me:pw@dav.example/x/", "username": "u", "password": "p",
            "atomicWrites": true, "dirShards": [], "listParallelism": 3,
        });
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert!(config.atomic_writes && config.password.expose() == "p");
        assert_eq!(config.display_name(), "WebDAV: https://dav.example/x/");
        let error = Config::from_storage(&StorageConfig::new(KIND, json!({}))).unwrap_err();
        assert!(error.to_string().contains("url"), "{error}");
    }
}
