//! What tasks report, in the form in which the history keeps it.

use jiff::Timestamp;
use kopist_format::maintenance::Extra;
use serde::Serialize;

/// Figures of a task.
pub trait TaskStats: Serialize {
    /// Their name in the history.
    const KIND: &'static str;

    /// The form in which the history keeps them.
    fn to_extra(&self) -> Result<Extra, serde_json::Error>
    where
        Self: Sized,
    {
        Extra::new(Self::KIND, self)
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident $kind:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl TaskStats for $name {
            const KIND: &'static str = $kind;
        }
    )*};
}

stats! {
    /// See [`rewrite_short_packs`](super::rewrite_short_packs).
    RewriteStats "rewriteContentsStats" {
        /// Contents in short packs.
        to_rewrite_content_count: u64,
        /// Their stored bytes.
        to_rewrite_content_size: u64,
        /// Contents written anew.
        rewritten_content_count: u64,
        /// Their stored bytes.
        rewritten_content_size: u64,
        /// Contents left because they are too young.
        retained_content_count: u64,
        /// Their stored bytes.
        retained_content_size: u64,
    }
    /// See [`delete_unreferenced_packs`](super::delete_unreferenced_packs).
    DeletePacksStats "deleteUnreferencedPacksStats" {
        /// Packs and markers that nothing refers to.
        unreferenced_pack_count: u64,
        /// Their bytes.
        unreferenced_total_size: u64,
        /// Those that were deleted.
        deleted_pack_count: u64,
        /// Their bytes.
        deleted_total_size: u64,
        /// Those that are kept for now.
        retained_pack_count: u64,
        /// Their bytes.
        retained_total_size: u64,
    }
    /// See [`drop_deleted`](super::drop_deleted) and [`compact_legacy`](super::compact_legacy).
    CompactIndexesStats "compactIndexesStats" {
        /// Contents deleted before this time are gone.
        dropped_contents_deleted_before: Timestamp,
    }
    /// See [`compact_single`](super::epochs::compact_single).
    CompactSingleEpochStats "compactSingleEpochStats" {
        /// Index blobs that were merged.
        superseded_index_blob_count: u64,
        /// Their bytes.
        superseded_index_total_size: u64,
        /// The epoch.
        epoch: u64,
    }
    /// See [`advance`](super::epochs::advance).
    AdvanceEpochStats "advanceEpochStats" {
        /// The epoch now.
        current_epoch: u64,
        /// Whether it is a new one.
        was_advanced: bool,
    }
    /// See [`generate_range`](super::epochs::generate_range).
    GenerateRangeStats "generateRangeCheckpointStats" {
        /// First epoch that was merged.
        range_min_epoch: u64,
        /// Last epoch that was merged.
        range_max_epoch: u64,
    }
    /// See [`clean_up_markers`](super::epochs::clean_up_markers).
    CleanupMarkersStats "cleanupMarkersStats" {
        /// Epoch markers deleted.
        deleted_epoch_marker_blob_count: u64,
        /// Watermarks deleted.
        deleted_watermark_blob_count: u64,
    }
    /// See [`delete_superseded`](super::epochs::delete_superseded).
    DeleteSupersededStats "cleanupSupersededIndexesStats" {
        /// What was merged after this time is kept.
        max_replacement_time: Timestamp,
        /// Index blobs deleted.
        deleted_blob_count: u64,
        /// Their bytes.
        deleted_total_size: u64,
    }
    /// See [`clean_up_logs`](super::clean_up_logs).
    CleanupLogsStats "cleanupLogsStats" {
        /// Logs beyond the limits.
        to_delete_blob_count: u64,
        /// Their bytes.
        to_delete_blob_size: u64,
        /// Logs deleted.
        deleted_blob_count: u64,
        /// Their bytes.
        deleted_blob_size: u64,
        /// Logs kept.
        retained_blob_count: u64,
        /// Their bytes.
        retained_blob_size: u64,
    }
}

/// See [`extend_retention`](super::extend_retention).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtendRetentionStats {
    /// Blobs that carry retention.
    pub to_extend_blob_count: u64,
    /// Blobs whose retention was extended.
    pub extended_blob_count: u64,
    /// The period, as Go writes durations, e.g. `48h0m0s`.
    pub retention_period: String,
}

impl TaskStats for ExtendRetentionStats {
    const KIND: &'static str = "extendBlobRetentionStats";
}
