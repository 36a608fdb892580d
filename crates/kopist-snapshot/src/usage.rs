//! What each snapshot of a list adds to the storage.
//!
//! The trees are walked one after the other, each object and each content once: what an earlier
//! snapshot of the list has counts for that one. Counted are all contents, but bytes of files
//! only. Facts: `kopia:snapshot/snapshotfs/snapshot_storage_stats.go`.

use std::sync::Arc;

use kopist_format::directory::DirEntry;
use kopist_format::id::{ContentId, ObjectId};
use kopist_format::snapshot::{SnapshotManifest, StorageStats, StorageUsage};
use kopist_repo::{ContentSet, IndexView, RepoError, Repository};
use parking_lot::Mutex;

use crate::error::{Result, SnapshotError};
use crate::walk::{Root, Visitor, walk_unseen};

/// Counts snapshots one after the other.
pub struct UsageCounter<'a> {
    repo: &'a Repository,
    view: Arc<IndexView>,
    parallel: usize,
    /// Objects that were walked.
    objects: Mutex<ContentSet>,
    /// Contents that were counted.
    contents: Mutex<ContentSet>,
    total: StorageUsage,
}

impl<'a> UsageCounter<'a> {
    /// A counter that has seen nothing; `parallel` is the number of threads.
    pub fn new(repo: &'a Repository, parallel: usize) -> Result<Self> {
        let view = repo.fresh_index()?;
        Ok(Self {
            repo,
            parallel,
            objects: Mutex::new(ContentSet::new(&view)),
            contents: Mutex::new(ContentSet::new(&view)),
            view,
            total: StorageUsage::default(),
        })
    }

    /// What a snapshot adds to those that were counted before, and all of them together.
    ///
    /// An error if a part of it cannot be read.
    pub fn add(&mut self, manifest: &SnapshotManifest) -> Result<StorageStats> {
        let entry = manifest.root_entry.clone();
        let entry = entry.ok_or_else(|| SnapshotError::NoObject(manifest.id.clone()))?;
        let root = Root { label: manifest.id.clone(), entry };
        let counting = Counting { counter: self, found: Mutex::default(), error: Mutex::default() };
        walk_unseen(self.repo, &self.view, &self.objects, &[root], self.parallel, &counting);
        let (found, error) = (counting.found.into_inner(), counting.error.into_inner());
        if let Some(error) = error {
            return Err(error);
        }
        sum(&mut self.total, &found);
        Ok(StorageStats { new_data: found, running_total: self.total.clone() })
    }
}

fn sum(total: &mut StorageUsage, more: &StorageUsage) {
    total.object_bytes += more.object_bytes;
    total.original_content_bytes += more.original_content_bytes;
    total.packed_content_bytes += more.packed_content_bytes;
    total.file_objects = total.file_objects.saturating_add(more.file_objects);
    total.dir_objects = total.dir_objects.saturating_add(more.dir_objects);
    total.contents = total.contents.saturating_add(more.contents);
}

/// One snapshot.
struct Counting<'a> {
    counter: &'a UsageCounter<'a>,
    found: Mutex<StorageUsage>,
    error: Mutex<Option<SnapshotError>>,
}

impl Visitor for Counting<'_> {
    fn object(&self, path: &str, entry: &DirEntry, object: &ObjectId) {
        let mut contents = Vec::new();
        let listed = self.counter.repo.object_contents(object, &mut |id| contents.push(id));
        if let Err(error) = listed.and_then(|()| self.count(entry, &contents)) {
            self.failed(path, error.into());
        }
    }

    fn failed(&self, path: &str, error: SnapshotError) {
        self.error.lock().get_or_insert(SnapshotError::Uncounted {
            path: path.to_owned(),
            source: Box::new(error),
        });
    }

    fn stop(&self) -> bool {
        self.error.lock().is_some()
    }
}

impl Counting<'_> {
    fn count(&self, entry: &DirEntry, contents: &[ContentId]) -> Result<(), RepoError> {
        let mut usage = StorageUsage::default();
        if entry.is_dir() {
            usage.dir_objects = 1;
        } else {
            usage.file_objects = 1;
            usage.object_bytes = entry.size;
        }
        for id in contents {
            let found = self.counter.view.find(id)?;
            let (ordinal, info) = found.ok_or(RepoError::ContentNotFound(*id))?;
            if !self.counter.contents.lock().insert(ordinal) {
                continue;
            }
            usage.contents += 1;
            if !entry.is_dir() {
                usage.original_content_bytes += i64::from(info.original_length);
                usage.packed_content_bytes += i64::from(info.packed_length);
            }
        }
        sum(&mut self.found.lock(), &usage);
        Ok(())
    }
}
