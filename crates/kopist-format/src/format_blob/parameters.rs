//! The parameters of a repository that may change after its creation.

use jiff::SignedDuration;
use serde::Serialize;

use super::FormatError;
use crate::json::{FromGo, JsonError, Object, nanos};

/// The versions that a repository can be created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum FormatVersion {
    /// Without epochs and password changes, with index version 1.
    V1,
    /// With epochs.
    V2,
    /// The same as version 2, but every program must respect the upgrade lock.
    #[default]
    V3,
}

impl FormatVersion {
    /// 1, 2 or 3.
    pub fn number(self) -> i64 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// The version of this number.
    pub fn from_number(number: i64) -> Result<Self, FormatError> {
        [Self::V1, Self::V2, Self::V3]
            .into_iter()
            .find(|version| version.number() == number)
            .ok_or(FormatError::UnsupportedVersion { version: number })
    }
}

const MIB: i64 = 1 << 20;
/// Pack size of a new repository, and of one that does not say.
const DEFAULT_PACK_SIZE: i64 = 20 * MIB;

/// The parameters that may change. They are stored among the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MutableParameters {
    /// Format version, 1 to 3; also written into each index entry.
    #[serde(skip_serializing_if = "is_zero")]
    pub version: i64,
    /// Length at which a pack is full, in bytes; 0 means 20 MiB.
    #[serde(rename = "maxPackSize", skip_serializing_if = "is_zero")]
    pub max_pack_size: i64,
    /// Index version, 1 or 2; 0 means 1.
    #[serde(rename = "indexVersion", skip_serializing_if = "is_zero")]
    pub index_version: i64,
    /// How indexes are kept in epochs.
    #[serde(rename = "epochParameters")]
    pub epoch: EpochParameters,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl MutableParameters {
    /// The parameters of a new repository.
    pub fn new(version: FormatVersion) -> Self {
        let (index_version, epoch) = match version {
            FormatVersion::V1 => (1, EpochParameters::disabled()),
            FormatVersion::V2 | FormatVersion::V3 => (2, EpochParameters::default()),
        };
        let version = version.number();
        Self { version, max_pack_size: DEFAULT_PACK_SIZE, index_version, epoch }
    }

    /// The pack size to use, in bytes.
    pub fn effective_pack_size(&self) -> usize {
        match usize::try_from(self.max_pack_size) {
            Ok(size) if size > 0 => size,
            _ => DEFAULT_PACK_SIZE as usize,
        }
    }

    /// The index version to use.
    pub fn effective_index_version(&self) -> i64 {
        if self.index_version == 0 { 1 } else { self.index_version }
    }

    /// Checks values that are about to be stored. (A repository that is only opened is not held
    /// to these limits.)
    pub fn validate(&self) -> Result<(), FormatError> {
        let invalid = |text: &str| Err(FormatError::InvalidParameters(text.to_owned()));
        FormatVersion::from_number(self.version)?;
        if self.max_pack_size < 10 * MIB {
            return invalid("max pack size too small, must be >= 10 MiB");
        }
        if self.max_pack_size > 120 * MIB {
            return invalid("max pack size too big, must be <= 120 MiB");
        }
        if !(0..=2).contains(&self.index_version) {
            return invalid("invalid index version, supported versions are 1 & 2");
        }
        self.epoch.validate()
    }

    /// Checks a change: new values must be valid, and index versions only go up.
    pub fn validate_change(&self, new: &Self) -> Result<(), FormatError> {
        new.validate()?;
        if new.effective_index_version() < self.effective_index_version() {
            let text = "index format version can only be upgraded".to_owned();
            return Err(FormatError::InvalidParameters(text));
        }
        Ok(())
    }
}

/// How index blobs are kept in epochs. The default is that of a new repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EpochParameters {
    /// Whether there are epochs at all.
    pub enabled: bool,
    /// How long a client may go on with what it knows of the indexes.
    #[serde(with = "nanos")]
    pub epoch_refresh_frequency: SignedDuration,
    /// A range checkpoint is made each time this many epochs are complete.
    pub full_checkpoint_frequency: i64,
    /// How long index blobs that were replaced stay.
    #[serde(with = "nanos")]
    pub cleanup_safety_margin: SignedDuration,
    /// An epoch lasts at least this long.
    #[serde(with = "nanos")]
    pub min_epoch_duration: SignedDuration,
    /// An epoch ends when it has this many index blobs,
    pub epoch_advance_on_count_threshold: i64,
    /// or index blobs of this many bytes together.
    pub epoch_advance_on_total_size_bytes_threshold: i64,
    /// Blobs deleted at the same time.
    pub delete_parallelism: i64,
}

impl Default for EpochParameters {
    fn default() -> Self {
        Self {
            enabled: true,
            epoch_refresh_frequency: SignedDuration::from_mins(20),
            full_checkpoint_frequency: 7,
            cleanup_safety_margin: SignedDuration::from_hours(4),
            min_epoch_duration: SignedDuration::from_hours(24),
            epoch_advance_on_count_threshold: 20,
            epoch_advance_on_total_size_bytes_threshold: 10 * MIB,
            delete_parallelism: 4,
        }
    }
}

impl EpochParameters {
    /// No epochs: everything zero.
    pub fn disabled() -> Self {
        Self {
            enabled: false,
            epoch_refresh_frequency: SignedDuration::ZERO,
            full_checkpoint_frequency: 0,
            cleanup_safety_margin: SignedDuration::ZERO,
            min_epoch_duration: SignedDuration::ZERO,
            epoch_advance_on_count_threshold: 0,
            epoch_advance_on_total_size_bytes_threshold: 0,
            delete_parallelism: 0,
        }
    }

    /// Checks values that are about to be stored.
    pub fn validate(&self) -> Result<(), FormatError> {
        if !self.enabled {
            return Ok(());
        }
        let three_refreshes = self.epoch_refresh_frequency.saturating_mul(3);
        for (wrong, text) in [
            (
                self.min_epoch_duration < SignedDuration::from_mins(10),
                "minimum epoch duration too low, must be at least 10 minutes",
            ),
            (
                three_refreshes > self.min_epoch_duration,
                "epoch refresh period is too long, must be 1/3 of minimal epoch duration or shorter",
            ),
            (self.full_checkpoint_frequency <= 0, "invalid epoch range compaction period"),
            (
                self.cleanup_safety_margin < three_refreshes,
                "invalid cleanup safety margin, must be at least 3x epoch refresh frequency",
            ),
            (
                self.epoch_advance_on_count_threshold < 10,
                "epoch advance on count too low, must be at least 10",
            ),
            (
                self.epoch_advance_on_total_size_bytes_threshold < MIB,
                "epoch advance on size too low, must be at least 1 MiB",
            ),
        ] {
            if wrong {
                let text = format!("invalid epoch parameters: {text}");
                return Err(FormatError::InvalidParameters(text));
            }
        }
        Ok(())
    }
}

impl FromGo for EpochParameters {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        let mut object = Object::parse(json)?;
        let mut epoch = Self::disabled();
        object.field("Enabled", &mut epoch.enabled)?;
        object.field("EpochRefreshFrequency", &mut epoch.epoch_refresh_frequency)?;
        object.field("FullCheckpointFrequency", &mut epoch.full_checkpoint_frequency)?;
        object.field("CleanupSafetyMargin", &mut epoch.cleanup_safety_margin)?;
        object.field("MinEpochDuration", &mut epoch.min_epoch_duration)?;
        object
            .field("EpochAdvanceOnCountThreshold", &mut epoch.epoch_advance_on_count_threshold)?;
        object.field(
            "EpochAdvanceOnTotalSizeBytesThreshold",
            &mut epoch.epoch_advance_on_total_size_bytes_threshold,
        )?;
        object.field("DeleteParallelism", &mut epoch.delete_parallelism)?;
        Ok(epoch)
    }
}
