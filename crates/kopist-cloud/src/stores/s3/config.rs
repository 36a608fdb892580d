use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kopist_blob::{BlobError, StorageConfig};
use serde::Deserialize;

use crate::http::Trust;
use crate::settings::{self, Secret, go_duration};

pub(super) const KIND: &str = "s3";

/// The settings of an S3 store, as `repository.config` has them (kopia:repo/blob/s3).
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub(super) struct Config {
    pub(super) bucket: String,
    pub(super) prefix: String,
    /// Host and perhaps port, without a scheme.
    pub(super) endpoint: String,
    #[serde(rename = "doNotUseTLS")]
    pub(super) do_not_use_tls: bool,
    #[serde(rename = "doNotVerifyTLS")]
    pub(super) do_not_verify_tls: bool,
    /// PEM in base64.
    #[serde(rename = "rootCA")]
    root_ca: String,
    #[serde(rename = "accessKeyID")]
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Secret,
    pub(super) session_token: Secret,
    #[serde(rename = "roleARN")]
    pub(super) role_arn: String,
    pub(super) session_name: String,
    #[serde(deserialize_with = "go_duration")]
    pub(super) duration: Duration,
    pub(super) role_endpoint: String,
    pub(super) role_region: String,
    pub(super) region: String,
    pub(super) point_in_time: Option<Timestamp>,
}

const KEYS: [&str; 16] = [
    "bucket",
    "prefix",
    "endpoint",
    "doNotUseTLS",
    "doNotVerifyTLS",
    "rootCA",
    "accessKeyID",
    "secretAccessKey",
    "sessionToken",
    "roleARN",
    "sessionName",
    "duration",
    "roleEndpoint",
    "roleRegion",
    "region",
    "pointInTime",
];

impl Config {
    pub(super) fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        settings::parse(storage, &KEYS, &["bucket", "endpoint"])
    }

    pub(super) fn trust(&self) -> Result<Trust, BlobError> {
        if self.do_not_verify_tls {
            return Ok(Trust::Anyone);
        }
        if self.root_ca.is_empty() {
            return Ok(Trust::System);
        }
        STANDARD.decode(&self.root_ca).map(Trust::Roots).map_err(|error| BlobError::InvalidConfig {
            kind: KIND.to_owned(),
            message: format!("rootCA is not base64: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kopia_writes_is_read() {
        let config = json!({
            "bucket": "b", "endpoint": "localhost:9421", "rootCA": "cGVt", "accessKeyID": "AK",
            "secretAccessKey": "SK", "sessionToken": "", "roleARN": "", "sessionName": "",
            "duration": "1h0m0s", "roleEndpoint": "", "roleRegion": "",
            "pointInTime": "2026-01-02T03:04:05Z", "maxUploadSpeedBytesPerSecond": 1,
        });
        let config = Config::from_storage(&StorageConfig::new("s3", config)).unwrap();
        assert_eq!((config.bucket.as_str(), config.access_key_id.as_str()), ("b", "AK"));
        assert_eq!(config.duration, Duration::from_hours(1));
        assert!(matches!(config.trust(), Ok(Trust::Roots(pem)) if pem == b"pem"));
        assert!(config.point_in_time.is_some());
        assert!(!format!("{config:?}").contains("SK"));
    }
}
