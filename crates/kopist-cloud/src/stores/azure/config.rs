use jiff::Timestamp;
use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;

use crate::settings::{self, Secret};

pub(super) const KIND: &str = "azureBlob";

/// The settings of a store in Azure, as `repository.config` has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    pub(super) container: String,
    pub(super) prefix: String,
    pub(super) storage_account: String,
    pub(super) storage_key: Secret,
    pub(super) sas_token: Secret,
    #[serde(rename = "TenantID")]
    pub(super) tenant_id: String,
    #[serde(rename = "ClientID")]
    pub(super) client_id: String,
    #[serde(rename = "ClientSecret")]
    pub(super) client_secret: Secret,
    pub(super) client_certificate: Secret,
    pub(super) azure_federated_token_file: String,
    pub(super) storage_domain: String,
    #[serde(rename = "doNotUseTLS")]
    pub(super) do_not_use_tls: bool,
    pub(super) point_in_time: Option<Timestamp>,
}

const KEYS: [&str; 13] = [
    "container",
    "prefix",
    "storageAccount",
    "storageKey",
    "sasToken",
    "TenantID",
    "ClientID",
    "ClientSecret",
    "clientCertificate",
    "azureFederatedTokenFile",
    "storageDomain",
    "doNotUseTLS",
    "pointInTime",
];

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        settings::parse(storage, &KEYS, &["container", "storageAccount"])
    }

    /// Scheme and host of the account.
    pub(super) fn endpoint(&self) -> String {
        let scheme = if self.do_not_use_tls { "http" } else { "https" };
        let domain = match self.storage_domain.as_str() {
            "" => "blob.core.windows.net",
            domain => domain,
        };
        format!("{scheme}://{}.{domain}", self.storage_account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({
            "container": "c", "storageAccount": "a", "storageKey": "k", "TenantID": "t",
            "ClientSecret": "s", "storageDomain": "blob.localhost:9300", "doNotUseTLS": true,
        });
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert_eq!(config.endpoint(), "http://a.blob.localhost:9300");
        assert_eq!((config.tenant_id.as_str(), config.client_secret.expose()), ("t", "s"));
        assert!(!format!("{config:?}").contains("\"k\""));
    }
}
