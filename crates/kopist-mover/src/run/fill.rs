//! Writing a tree into the destination.
//!
//! Not in this build: a restore chooses its snapshot, checks that its root is readable, and
//! then says so. The destination is left as it was.

use std::path::Path;

use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::Repository;

use super::{Context, Failure};
use crate::plan::{MoverPlan, RestorePlan};
use crate::report::Reason;

/// What was written.
pub(super) struct Restored {
    pub(super) files: u64,
    pub(super) dirs: u64,
    pub(super) bytes: u64,
    pub(super) errors: u64,
    /// Whether entries were left out on purpose.
    pub(super) selective: bool,
}

/// Whether trees can be written; asked before anything of the destination is touched.
pub(super) fn ready() -> Result<(), Failure> {
    Err(Failure::new(Reason::NotImplemented, "this build cannot write restored files"))
}

/// Writes the tree of a snapshot.
pub(super) fn fill(
    _: &MoverPlan,
    _: &RestorePlan,
    _: &Context,
    _: &Repository,
    _: &SnapshotManifest,
    _: &Path,
) -> Result<Restored, Failure> {
    Err(Failure::new(Reason::NotImplemented, "this build cannot write restored files"))
}
