use std::time::Duration;

use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;

use crate::settings::{self, Secret};
use crate::stores::sharded::{self, Sharding};

pub(super) const KIND: &str = "sftp";

/// The settings of an SFTP store, as `repository.config` has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    pub(super) path: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) username: String,
    pub(super) password: Secret,
    keyfile: String,
    key_data: Secret,
    known_hosts_file: String,
    known_hosts_data: String,
    #[serde(rename = "externalSSH")]
    pub(super) external_ssh: bool,
    pub(super) ssh_command: String,
    pub(super) ssh_arguments: String,
    #[serde(flatten)]
    pub(super) sharding: Sharding,
    /// How long the server may say nothing, if not as long as usual. Only tests shorten it.
    #[serde(skip)]
    pub(super) silence: Option<Duration>,
}

const OWN_KEYS: [&str; 12] = [
    "path",
    "host",
    "port",
    "username",
    "password",
    "keyfile",
    "keyData",
    "knownHostsFile",
    "knownHostsData",
    "externalSSH",
    "sshCommand",
    "sshArguments",
];

/// The SSH port, when none is given.
const USUAL_PORT: u16 = 22;

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let keys: Vec<&str> = OWN_KEYS.into_iter().chain(sharded::KEYS).collect();
        let mut config: Self = settings::parse(storage, &keys, &["path", "host"])?;
        if config.port == 0 {
            config.port = USUAL_PORT;
        }
        if config.path.len() > 1 {
            config.path = config.path.trim_end_matches('/').to_owned();
        }
        Ok(config)
    }

    /// The private key; none if a password is to be used.
    pub(super) fn private_key(&self) -> Result<Option<Secret>, BlobError> {
        if !self.password.is_empty() {
            return Ok(None);
        }
        if !self.key_data.is_empty() {
            return Ok(Some(self.key_data.clone()));
        }
        if self.keyfile.is_empty() {
            return Err(invalid("must provide either --sftp-password, --keyfile or --key-data"));
        }
        match std::fs::read_to_string(&self.keyfile) {
            Ok(text) => Ok(Some(text.into())),
            Err(error) => Err(invalid(format!("--keyfile, {}: {error}", self.keyfile))),
        }
    }

    /// The text of the known hosts.
    pub(super) fn known_hosts(&self) -> Result<String, BlobError> {
        if !self.known_hosts_data.is_empty() {
            return Ok(self.known_hosts_data.clone());
        }
        let file = if self.known_hosts_file.is_empty() {
            let home = std::env::var("HOME").unwrap_or_default();
            format!("{home}/.ssh/known_hosts")
        } else {
            self.known_hosts_file.clone()
        };
        std::fs::read_to_string(&file)
            .map_err(|error| invalid(format!("--known-hosts, {file}: {error}")))
    }
}

/// The error for unusable settings.
pub(super) fn invalid(message: impl Into<String>) -> BlobError {
    BlobError::InvalidConfig { kind: KIND.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({
            "path": "/r/", "host": "h", "port": 9600, "username": "u", "password": "",
            "keyfile": "/k", "knownHostsFile": "/kh", "externalSSH": false,
            "sshCommand": "ssh", "dirShards": null,
        });
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert_eq!((config.path.as_str(), config.port), ("/r", 9600));
        let error = config.private_key().unwrap_err().to_string();
        assert!(error.contains("--keyfile") && error.contains("/k"), "{error}");
        let error = config.known_hosts().unwrap_err().to_string();
        assert!(error.contains("--known-hosts"), "{error}");
    }

    #[test]
    fn data_counts_more_than_files_and_a_password_most() {
        let config = json!({"path": "/r", "host": "h", "keyfile": "/none", "keyData": "K",
            "knownHostsFile": "/none", "knownHostsData": "H"});
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert_eq!(config.private_key().unwrap().unwrap().expose(), "K");
        assert_eq!(config.known_hosts().unwrap(), "H");
        assert_eq!(config.port, 22);
        let config = Config { password: "p".to_owned().into(), ..config };
        assert!(config.private_key().unwrap().is_none());
    }
}
