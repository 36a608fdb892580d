use serde::{Deserialize, Serialize, Serializer};

use crate::{BlobError, StorageConfig, normalize_keys};

/// How fast a store may be used; zero means without limit.
///
/// The JSON names are those of a storage configuration and of `throttlingLimits` in
/// `repository.config` (kopia:repo/blob/throttling).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Reads and stats started per second.
    #[serde(rename = "readsPerSecond", skip_serializing_if = "is_zero", serialize_with = "short")]
    pub reads_per_second: f64,
    /// Writes and deletions started per second.
    #[serde(rename = "writesPerSecond", skip_serializing_if = "is_zero", serialize_with = "short")]
    pub writes_per_second: f64,
    /// Listings started per second.
    #[serde(rename = "listsPerSecond", skip_serializing_if = "is_zero", serialize_with = "short")]
    pub lists_per_second: f64,
    /// Bytes written per second.
    #[serde(
        rename = "maxUploadSpeedBytesPerSecond",
        skip_serializing_if = "is_zero",
        serialize_with = "short"
    )]
    pub upload_bytes_per_second: f64,
    /// Bytes read per second.
    #[serde(
        rename = "maxDownloadSpeedBytesPerSecond",
        skip_serializing_if = "is_zero",
        serialize_with = "short"
    )]
    pub download_bytes_per_second: f64,
    /// Reads and stats at the same time.
    #[serde(rename = "concurrentReads", skip_serializing_if = "is_none")]
    pub concurrent_reads: u32,
    /// Writes and deletions at the same time.
    #[serde(rename = "concurrentWrites", skip_serializing_if = "is_none")]
    pub concurrent_writes: u32,
}

impl Limits {
    /// The JSON keys, for reading them in any case.
    pub const KEYS: [&'static str; 7] = [
        "readsPerSecond",
        "writesPerSecond",
        "listsPerSecond",
        "maxUploadSpeedBytesPerSecond",
        "maxDownloadSpeedBytesPerSecond",
        "concurrentReads",
        "concurrentWrites",
    ];

    /// The limits among the settings of any kind of store. Keys match in any case.
    pub fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let mut config = normalize_keys(&storage.config, &Self::KEYS);
        if let Some(settings) = config.as_object_mut() {
            settings.retain(|key, value| Self::KEYS.contains(&key.as_str()) && !value.is_null());
        } else {
            return Ok(Self::default());
        }
        let invalid = |error: serde_json::Error| BlobError::InvalidConfig {
            kind: storage.kind.clone(),
            message: format!("its speed limits: {error}"),
        };
        let limits: Self = serde_json::from_value(config).map_err(invalid)?;
        limits.check()?;
        Ok(limits)
    }

    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses rates that are negative or no numbers.
    pub fn check(&self) -> Result<(), BlobError> {
        let rates = [
            self.reads_per_second,
            self.writes_per_second,
            self.lists_per_second,
            self.upload_bytes_per_second,
            self.download_bytes_per_second,
        ];
        match rates.iter().zip(Self::KEYS).find(|(rate, _)| !rate.is_finite() || **rate < 0.0) {
            None => Ok(()),
            Some((_, key)) => Err(BlobError::InvalidConfig {
                kind: "throttled".to_owned(),
                message: format!("{key}: limit cannot be negative or infinite"),
            }),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_none(value: &u32) -> bool {
    *value == 0
}

/// Writes whole numbers without a fraction, as Go does.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn short<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && (0.0..1e15).contains(value) {
        serializer.serialize_u64(*value as u64)
    } else {
        serializer.serialize_f64(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_leaves_out_what_is_unlimited() {
        assert_eq!(serde_json::to_string(&Limits::default()).unwrap(), "{}");
        let text =
            r#"{"readsPerSecond":1.5,"maxUploadSpeedBytesPerSecond":1000000,"concurrentReads":3}"#;
        let limits: Limits = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&limits).unwrap(), text);
    }

    #[test]
    fn limits_are_found_among_other_settings() {
        let config =
            serde_json::json!({"path": "/r", "READSPERSECOND": 2, "concurrentReads": null});
        let limits = Limits::from_storage(&StorageConfig::new("x", config)).unwrap();
        assert_eq!(limits, Limits { reads_per_second: 2.0, ..Limits::default() });
    }

    #[test]
    fn negative_rates_are_refused() {
        assert!(Limits { reads_per_second: -1.0, ..Limits::default() }.check().is_err());
        assert!(Limits { reads_per_second: f64::NAN, ..Limits::default() }.check().is_err());
        assert!(Limits { reads_per_second: 0.5, ..Limits::default() }.check().is_ok());
    }
}
