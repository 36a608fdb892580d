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
