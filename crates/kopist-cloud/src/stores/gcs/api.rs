//! The bucket, and everything needed to ask it.

use std::ops::Deref;

use kopist_blob::BlobError;

use super::config::{Config, KIND};
use crate::ExtraRoots;
use crate::google::{Identity, Service};
use crate::http::encode_segment;
use crate::site::{Settings, Site};

const SETTINGS: Settings = Settings {
    address: "STORAGE_EMULATOR_HOST, if it is set",
    trust: "SSL_CERT_FILE",
    credentials: "--credentials-file (or the default credentials)",
    place: "--bucket",
};

const USUAL_ENDPOINT: &str = "https://storage.googleapis.com";

const FULL_CONTROL: &str = "https://www.googleapis.com/auth/devstorage.full_control";
const READ_ONLY: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// A bucket.
#[derive(Debug)]
pub(super) struct Api {
    service: Service,
    bucket: String,
}

impl Deref for Api {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Api {
    pub(super) fn new(config: &Config, roots: ExtraRoots) -> Result<Self, BlobError> {
        let name = format!("GCS: {}", config.bucket);
        let site = Site { kind: KIND, name, settings: SETTINGS, roots };
        let emulator = std::env::var("STORAGE_EMULATOR_HOST").ok().filter(|h| !h.is_empty());
        let (endpoint, identity) = if let Some(host) = emulator {
            let endpoint = if host.contains("://") { host } else { format!("http://{host}") };
            (endpoint, Identity::nobody(site.clone()))
        } else if !config.endpoint.is_empty()
            && config.credentials.is_null()
            && config.credentials_file.is_empty()
        {
            (config.endpoint.clone(), Identity::nobody(site.clone()))
        } else {
            let scope = if config.read_only { READ_ONLY } else { FULL_CONTROL };
            let file = &config.credentials_file;
            let identity = Identity::find(&config.credentials, file, scope, site.clone())?;
            let endpoint = match config.endpoint.as_str() {
                "" => USUAL_ENDPOINT.to_owned(),
                endpoint => endpoint.to_owned(),
            };
            (endpoint, identity)
        };
        let service = Service::new(&endpoint, identity, site)?;
        Ok(Self { service, bucket: encode_segment(&config.bucket) })
    }

    pub(super) fn bucket_url(&self) -> String {
        self.url(&format!("/storage/v1/b/{}", self.bucket))
    }

    pub(super) fn upload_url(&self) -> String {
        self.url(&format!("/upload/storage/v1/b/{}", self.bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use kopist_blob::{Operation, StorageConfig};
    use kopist_testkit::proxy::Stub;
    use serde_json::{Value, json};

    /// The scope for which a service account asks.
    fn scope(read_only: bool) -> Value {
        let stub = Stub::start(|_| (200, json!({"access_token": "t"}).to_string()));
        let account = json!({
            "type": "service_account", "client_email": "e", "token_uri": stub.url(),
            "private_key": crate::jwt::new_key(),
        });
        let config = json!({
            "bucket": "b", "credentials": account, "endpoint": stub.url(), "readOnly": read_only,
        });
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        let api = Api::new(&config, ExtraRoots::default()).unwrap();
        let target = api.site().target();
        let _: Value = api.json("GET", &api.bucket_url(), None, Operation::Open, &target).unwrap();
        let body = &stub.asked()[0].body;
        let assertion = body.split("assertion=").nth(1).unwrap();
        let claim = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&claim).unwrap()["scope"].clone()
    }

    #[test]
    fn who_only_reads_asks_for_no_more() {
        assert_eq!(scope(false), FULL_CONTROL);
        assert_eq!(scope(true), READ_ONLY);
    }
}
