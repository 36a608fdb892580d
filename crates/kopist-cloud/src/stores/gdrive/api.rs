//! Google Drive, and everything needed to ask it.

use std::ops::Deref;

use kopist_blob::BlobError;

use super::config::{Config, KIND};
use crate::ExtraRoots;
use crate::google::{Identity, Service};
use crate::site::{Settings, Site};

const SETTINGS: Settings = Settings {
    address: "the address of Google Drive",
    trust: "SSL_CERT_FILE",
    credentials: "--credentials-file (or the default credentials)",
    place: "--folder-id",
};

const USUAL_ENDPOINT: &str = "https://www.googleapis.com";

/// Only files that we have made.
const OWN_FILES: &str = "https://www.googleapis.com/auth/drive.file";
const READ_ONLY: &str = "https://www.googleapis.com/auth/drive.readonly";

/// Google Drive.
#[derive(Debug)]
pub(super) struct Api(Service);

impl Deref for Api {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.0
    }
}

impl Api {
    pub(super) fn new(config: &Config, roots: ExtraRoots) -> Result<Self, BlobError> {
        let name = format!("Google Drive: {}", config.folder_id);
        let site = Site { kind: KIND, name, settings: SETTINGS, roots };
        let scope = if config.read_only { READ_ONLY } else { OWN_FILES };
        let file = &config.credentials_file;
        let identity = Identity::find(&config.credentials, file, scope, site.clone())?;
        let endpoint = match config.endpoint.as_str() {
            "" => USUAL_ENDPOINT,
            endpoint => endpoint,
        };
        Service::new(endpoint, identity, site).map(Self)
    }
}
