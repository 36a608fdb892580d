//! What keeps a repository small and fast, at the level of contents, packs and indexes.
//!
//! | task | deletes | what must be true before it does |
//! |---|---|---|
//! | [`rewrite_short_packs`] | nothing | – |
//! | [`drop_deleted`] | tombstones | two collections far enough apart have seen them (the caller's `before`) |
//! | [`delete_unreferenced_packs`] | packs, session markers | no entry names the pack, it is old, its session is over |
//! | [`epochs`] | indexes that are merged into others | the merged one is older than the safety margin |
//! | [`compact_legacy`] | the same without epochs | the same |
//! | [`clean_up_logs`] | `_…` blobs | too many, too large or too old |
//! | [`extend_retention`] | nothing | – |
//!
//! Ages are measured by the storage's clock: the caller passes the time at which the storage took
//! the schedule blob at the beginning of the run
//! ([`Repository::set_maintenance_schedule`](crate::Repository::set_maintenance_schedule)).
//! Every task may be killed between any two operations on the storage. When which task may run,
//! and with which margins, is decided by pure functions: `kopist_format::maintenance`.
//!
//! What is damaged stops nothing that does not depend on it: it is left where it is, named in the
//! result ([`Around`]), and the rest goes on.
//!
//! Sources: `kopia:repo/maintenance/`, `kopia:internal/epoch/`.

pub mod epochs;
mod legacy;
mod packs;
mod rewrite;
mod schedule;
mod small;
mod stats;

pub use legacy::{LegacyCompaction, compact_legacy};
pub use packs::{PackDeletion, delete_unreferenced_packs};
pub use rewrite::{RewriteOptions, rewrite_short_packs};
pub use small::{clean_up_logs, drop_deleted, extend_retention};
pub use stats::{
    AdvanceEpochStats, CleanupLogsStats, CleanupMarkersStats, CompactIndexesStats,
    CompactSingleEpochStats, DeletePacksStats, DeleteSupersededStats, ExtendRetentionStats,
    GenerateRangeStats, RewriteStats, TaskStats,
};

use crate::error::Unreadable;

/// What a task did, and what it went around.
#[derive(Debug)]
pub struct Around<T> {
    /// What was done.
    pub stats: T,
    /// What could not be read and was left alone.
    pub unreadable: Vec<Unreadable>,
}
