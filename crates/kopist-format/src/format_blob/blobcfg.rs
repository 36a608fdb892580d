//! `kopia.blobcfg`: for how long the storage must refuse to delete blobs.

use jiff::SignedDuration;
use serde::Serialize;

use super::{FormatBlob, FormatError};
use crate::{
    json::{self, FromGo, JsonError, Object, Unknown},
    kdf::FormatKey,
};

/// The retention modes that exist.
pub const RETENTION_MODES: [&str; 2] = ["COMPLIANCE", "GOVERNANCE"];

/// Retention settings of the repository's blobs. The default is none; a repository without the
/// blob has none either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobCfg {
    /// One of [`RETENTION_MODES`], or empty.
    #[serde(rename = "retentionMode", skip_serializing_if = "String::is_empty")]
    pub retention_mode: String,
    /// How long blobs are retained after they were written or extended.
    #[serde(
        rename = "retentionPeriod",
        with = "json::nanos",
        skip_serializing_if = "SignedDuration::is_zero"
    )]
    pub retention_period: SignedDuration,
    /// Keys that this program does not know.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl BlobCfg {
    /// Whether blobs are retained at all.
    pub fn is_retention_enabled(&self) -> bool {
        !self.retention_mode.is_empty() && !self.retention_period.is_zero()
    }

    /// Checks settings that are about to be stored.
    pub fn validate(&self) -> Result<(), FormatError> {
        let invalid = |text: String| Err(FormatError::InvalidParameters(text));
        if self.retention_mode.is_empty() != self.retention_period.is_zero() {
            return invalid(
                "both retention mode and period must be provided when setting blob retention \
                 properties"
                    .into(),
            );
        }
        if !self.retention_mode.is_empty()
            && !RETENTION_MODES.contains(&self.retention_mode.as_str())
        {
            return invalid(format!(
                "invalid retention mode {:?}, it must be COMPLIANCE or GOVERNANCE",
                self.retention_mode
            ));
        }
        if !self.retention_period.is_zero()
            && self.retention_period < SignedDuration::from_hours(24)
        {
            return invalid(
                "invalid retention-period, the minimum required is 1-day and there is no maximum \
                 limit"
                    .into(),
            );
        }
        Ok(())
    }

    /// Reads the plain JSON.
    pub fn from_json(plaintext: &[u8]) -> Result<Self, JsonError> {
        let text = json::lossy_text(plaintext);
        let mut cfg = Self::default();
        let mut object = Object::parse(&text)?;
        object.field("retentionMode", &mut cfg.retention_mode)?;
        object.field("retentionPeriod", &mut cfg.retention_period)?;
        cfg.unknown = object.unknown();
        Ok(cfg)
    }

    /// Opens the stored blob of a repository whose format blob and key are given.
    pub fn open(sealed: &[u8], blob: &FormatBlob, key: &FormatKey) -> Result<Self, FormatError> {
        let plaintext = blob.blob_key(key)?.open(sealed).map_err(|_| FormatError::BlobCfgKey)?;
        Self::from_json(&plaintext).map_err(FormatError::InvalidBlobCfg)
    }

    /// The blob to store.
    pub fn seal(&self, blob: &FormatBlob, key: &FormatKey) -> Result<Vec<u8>, FormatError> {
        Ok(blob.blob_key(key)?.seal(&json::to_go_json(self)?)?)
    }
}

impl FromGo for BlobCfg {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        Self::from_json(json.as_bytes())
    }
}
