//! Copying snapshots from one repository to another.
//!
//! A snapshot is backed up from the other repository as if it were a source, by the policies of
//! this one, so that it gets this repository's format, splitter and compression. Facts:
//! `kopia:cli/command_snapshot_migrate.go`. Deliberately different: directories keep their own
//! times, and snapshots their tags and pins.

use std::sync::Arc;

use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{Repository, RepositoryWriter};

use crate::create::previous_among;
use crate::error::{Result, SnapshotError};
use crate::fs::{Folder, StoredFolder, stored_metadata};
use crate::upload::{Cancel, UploadOptions, UploadProgress, UploadSource, Uploader};
use crate::{SourceInfo, store};

/// A migration from another repository.
pub struct Migration<'a> {
    /// The other repository.
    pub from: &'a Repository,
    /// Where to.
    pub writer: &'a RepositoryWriter,
    /// Leave out what the policies here leave out.
    pub apply_ignore_rules: bool,
    /// Only the latest snapshot of each source.
    pub latest_only: bool,
    /// To stop it from outside.
    pub cancel: Cancel,
    /// Who listens to the uploads.
    pub progress: &'a dyn UploadProgress,
}

/// What becomes of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is not complete and stays behind.
    Incomplete,
    /// One with its start time is here.
    AlreadyHere,
    /// It is copied.
    Migrating,
}

/// What became of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyStep {
    /// There is none.
    None,
    /// There is one here, which stays.
    AlreadyHere,
    /// It was copied.
    Migrated,
}

impl Migration<'_> {
    /// Copies the snapshots of a source, the oldest first, and returns how many entries of them
    /// could not be read. What is done is told before it is done.
    pub fn source(
        &self,
        source: &SourceInfo,
        tell: &dyn Fn(&SnapshotManifest, Step),
    ) -> Result<u64> {
        let mut snapshots = store::snapshots_of(&self.from.manifests()?, source);
        snapshots.retain(|snapshot| SourceInfo::from(&snapshot.source) == *source);
        snapshots.sort_by_key(|snapshot| (snapshot.start_time, snapshot.end_time));
        if self.latest_only {
            let latest = snapshots.iter().rposition(SnapshotManifest::is_complete);
            snapshots = latest.map(|index| snapshots.swap_remove(index)).into_iter().collect();
        }
        let mut failed = 0;
        for snapshot in &snapshots {
            if self.cancel.is_canceled() {
                break;
            }
            if !snapshot.is_complete() {
                tell(snapshot, Step::Incomplete);
                continue;
            }
            let mut here = store::snapshots_of(&self.writer.manifests()?, source);
            here.retain(|other| SourceInfo::from(&other.source) == *source);
            if here.iter().any(|other| other.start_time == snapshot.start_time) {
                tell(snapshot, Step::AlreadyHere);
                continue;
            }
            tell(snapshot, Step::Migrating);
            here.retain(|other| other.start_time <= snapshot.start_time);
            failed += self.snapshot(snapshot, here)?;
        }
        Ok(failed)
    }

    fn snapshot(&self, original: &SnapshotManifest, here: Vec<SnapshotManifest>) -> Result<u64> {
        let source = SourceInfo::from(&original.source);
        let what = || format!("{source} in snapshot {}", original.id);
        let root = original.root_entry.as_ref().ok_or_else(|| SnapshotError::NoObject(what()))?;
        let folder: Arc<dyn Folder> = if root.is_dir() {
            Arc::new(StoredFolder::open(self.from, root, source.path.clone())?)
        } else {
            Arc::new(StoredFolder::of_one(self.from, root.clone(), source.path.clone()))
        };
        let tree =
            UploadSource { name: root.name.to_vec(), metadata: stored_metadata(root), folder };
        let policies = store::load_policies(&self.writer.manifests()?)?.tree(&source);
        let options = UploadOptions {
            no_ignore_rules: !self.apply_ignore_rules,
            cancel: self.cancel.clone(),
            ..UploadOptions::default()
        };
        let uploader = Uploader { writer: self.writer, options, progress: self.progress };
        let copy = uploader.upload(&tree, &source, &policies, &previous_among(here))?;
        if !copy.is_complete() {
            return Ok(0);
        }
        let failed = copy
            .root_entry
            .as_ref()
            .and_then(|root| root.summary.as_ref())
            .map_or(0, |summary| u64::try_from(summary.failed).unwrap_or(0));
        let copy = SnapshotManifest {
            start_time: original.start_time,
            end_time: original.end_time,
            description: original.description.clone(),
            tags: original.tags.clone(),
            pins: original.pins.clone(),
            ..copy
        };
        store::save_snapshot(self.writer, &copy)?;
        Ok(failed)
    }

    /// Copies the policy of a level.
    pub fn policy(&self, target: &SourceInfo, overwrite: bool) -> Result<PolicyStep> {
        let theirs = store::load_policies(&self.from.manifests()?)?;
        let Some(policy) = theirs.defined(target) else { return Ok(PolicyStep::None) };
        let ours = store::load_policies(&self.writer.manifests()?)?;
        if ours.defined(target).is_some() && !overwrite {
            return Ok(PolicyStep::AlreadyHere);
        }
        store::set_policy(self.writer, target, &policy.policy)?;
        Ok(PolicyStep::Migrated)
    }
}
