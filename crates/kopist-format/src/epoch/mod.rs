//! Epochs: which index blobs count.
//!
//! Every write session adds index blobs, and every client must read all of them, so they have to
//! be merged now and then, without locks and with clients that list at different moments. Time is
//! cut into *epochs*: sessions write `xn<E>_…` blobs of the current epoch E, maintenance begins a
//! new one when the last has grown old and large enough (marker blob `xe<E>`), and an epoch is
//! *settled*, that is never written to again, as soon as two newer ones have begun. Settled epochs
//! may be merged: one of them into `xs<E>_…`, many into `xr<A>_<B>_…`.
//!
//! Everything here is computed from a listing ([`EpochState::from_blobs`]); nothing lists, reads
//! or writes. [`legacy`] is the same for repositories from before epochs.
//!
//! ```
//! use kopist_format::epoch::{BlobInfo, EpochState};
//! let blob = |name: &str| BlobInfo::new(name, 100, "2026-11-21T12:00:00Z".parse().unwrap());
//! let state = EpochState::from_blobs([blob("xe1"), blob("xn0_ab-s1-c1"), blob("xn1_cd-s2-c1")]);
//! assert_eq!(state.write_epoch(), 1);
//! assert_eq!(state.active_set().len(), 2);
//! ```
//!
//! Sources: `kopia:internal/epoch/`, `kopia:internal/completeset/`.

pub mod legacy;
mod names;
mod sets;
mod state;
#[cfg(test)]
mod tests;

pub use names::{
    DELETION_WATERMARK_BODY, EPOCH_MARKER_BODY, EPOCH_PREFIX, MARKER_PREFIX, RANGE_PREFIX,
    SINGLE_PREFIX, UNCOMPACTED_PREFIX, WATERMARK_PREFIX, compaction_suffix, epoch_of, marker_name,
    range_of, range_prefix, session_suffix, single_prefix, uncompacted_prefix, watermark_name,
    watermark_of,
};
pub use sets::{choose_ranges, complete_sets};
pub use state::{AdvanceThresholds, EpochState, RangeSet, should_advance};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Number of an epoch.
pub type Epoch = u64;

/// A blob as a listing shows it; also the form in which legacy compaction logs keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInfo {
    /// Name of the blob.
    #[serde(rename = "id")]
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// When the storage says it was written.
    #[serde(with = "crate::json::time")]
    pub timestamp: Timestamp,
}

impl BlobInfo {
    /// A blob of a listing.
    pub fn new(name: impl Into<String>, length: u64, timestamp: Timestamp) -> Self {
        Self { name: name.into(), length, timestamp }
    }
}
