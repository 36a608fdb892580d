use std::time::Duration;

use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;

use crate::settings::{self, Secret, go_duration};
use crate::stores::sharded::{self, Sharding};

pub(super) const KIND: &str = "rclone";

/// How long rclone may take to start when nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(15);

/// The settings of a store behind rclone, as `repository.config` has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    /// `remote:path`, or a plain path.
    pub(super) remote_path: String,
    pub(super) rclone_exe: String,
    pub(super) rclone_args: Vec<String>,
    /// `NAME=value`; if there is any, rclone gets no other variables.
    pub(super) rclone_env: Vec<Secret>,
    #[serde(deserialize_with = "go_duration")]
    pub(super) startup_timeout: Duration,
    pub(super) debug: bool,
    /// The text of an `rclone.conf`.
    #[serde(rename = "embeddedConfig")]
    pub(super) embedded: Secret,
    pub(super) atomic_writes: bool,
    #[serde(flatten)]
    pub(super) sharding: Sharding,
}

const OWN_KEYS: [&str; 9] = [
    "remotePath",
    "rcloneExe",
    "rcloneArgs",
    "rcloneEnv",
    "startupTimeout",
    "debug",
    "noWaitForTransfers",
    "embeddedConfig",
    "atomicWrites",
];

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let keys: Vec<&str> = OWN_KEYS.into_iter().chain(sharded::KEYS).collect();
        let mut config: Self = settings::parse(storage, &keys, &["remotePath"])?;
        if config.startup_timeout.is_zero() {
            config.startup_timeout = USUAL_TIMEOUT;
        }
        Ok(config)
    }

    pub(super) fn program(&self) -> &str {
        if self.rclone_exe.is_empty() { "rclone" } else { &self.rclone_exe }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({
            "remotePath": "r:p", "rcloneArgs": ["-v"], "startupTimeout": "20s",
            "rcloneEnv": ["KEY=hunter2"],
            "embeddedConfig": "[r]\npass = hunter2", "atomicWrites": true, "dirShards": null,
        });
        let config = Config::from_storage(&StorageConfig::new(KIND, config)).unwrap();
        assert_eq!((config.program(), config.startup_timeout.as_secs()), ("rclone", 20));
        assert!(!format!("{config:?}").contains("hunter2"));
        let config = StorageConfig::new(KIND, json!({"remotePath": "r:p"}));
        assert_eq!(Config::from_storage(&config).unwrap().startup_timeout, USUAL_TIMEOUT);
    }
}
