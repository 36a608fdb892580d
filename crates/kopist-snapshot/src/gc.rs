//! Snapshot garbage collection: which contents snapshots use, and what is done about the rest.
//!
//! Deleting here means a mark in the index; the data goes much later, by maintenance of
//! contents, under its own margins. Facts: `kopia:snapshot/snapshotgc/gc.go`.
//!
//! Nothing is deleted unless every snapshot could be walked completely. A directory or a content
//! that cannot be read ends the collection before its first change. A manifest that cannot be
//! read may be any snapshot: then nothing is marked, but what others use is recovered.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kopist_format::directory::DirEntry;
use kopist_format::id::ObjectId;
use kopist_repo::{
    ContentSet, IndexView, KeyRange, ManifestView, RepoError, Repository, RepositoryWriter,
    Unreadable,
};
use parking_lot::Mutex;

use crate::error::{Result, SnapshotError};
use crate::store;
use crate::walk::{Root, Visitor, walk};

/// Contents younger than this are left alone: they may belong to a snapshot that is being made.
pub const MIN_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Marks are flushed after this many.
const FLUSH_EVERY: u64 = 100_000;

/// Contents, and their bytes as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u32) {
        self.count += 1;
        self.bytes += u64::from(bytes);
    }
}

/// What a collection found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Unused and old enough: marked as deleted.
    pub unused: Tally,
    /// Unused but too young.
    pub too_recent: Tally,
    /// Used by snapshots.
    pub in_use: Tally,
    /// Manifests.
    pub system: Tally,
    /// Used although they were marked as deleted: written anew.
    pub recovered: Tally,
    /// Unused and old enough as far as is known, but left alone because not every manifest could
    /// be read.
    pub held_back: Tally,
}

/// The end of a collection.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// What was found and done.
    pub stats: GcStats,
    /// Manifests that cannot be read; if there is any, nothing was marked.
    pub unreadable: Vec<Unreadable>,
}

/// How to collect.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// The moment that ages are counted from: when maintenance started, by the storage's clock.
    pub start: Timestamp,
    /// Younger contents are left alone.
    pub min_age: SignedDuration,
    /// Threads of the walk.
    pub parallel: usize,
    /// Only find out.
    pub dry_run: bool,
}

/// Marks contents that no snapshot uses as deleted, and recovers those that one does use.
///
/// `stop` is asked now and then during the walk; a collection that is stopped is an error and has
/// changed nothing.
pub fn collect(
    writer: &RepositoryWriter,
    options: &GcOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Collected> {
    let repo = writer.repository();
    repo.refresh()?;
    // The index first: a snapshot that is saved after it brings contents that are newer.
    let view = repo.fresh_index()?;
    let (manifests, mut unreadable) = match writer.manifests() {
        Err(error) if error.is_damage() => repo.readable_manifests()?,
        manifests => (manifests?, Vec::new()),
    };
    let used = used_contents(repo, &view, &manifests, options.parallel, stop)?;
    unreadable.extend(used.unreadable);
    let used = used.contents;
    let mut stats = GcStats::default();
    let mut changes = 0;
    for entry in view.entries(&KeyRange::all()) {
        let (ordinal, entry) = entry?;
        let size = entry.packed_length;
        if entry.id.prefix() == Some('m') {
            stats.system.add(size);
        } else if used.contains(ordinal) {
            stats.in_use.add(size);
            if entry.deleted {
                stats.recovered.add(size);
                if !options.dry_run {
                    writer.undelete_content(&entry.id)?;
                    changes += 1;
                }
            }
        } else if entry.deleted {
            continue;
        } else if age(entry.timestamp, options.start) < options.min_age {
            stats.too_recent.add(size);
        } else if !unreadable.is_empty() {
            stats.held_back.add(size);
        } else {
            stats.unused.add(size);
            if !options.dry_run {
                writer.delete_content(&entry.id)?;
                changes += 1;
            }
        }
        if changes >= FLUSH_EVERY {
            writer.flush()?;
            changes = 0;
        }
    }
    if changes > 0 {
        writer.flush()?;
    }
    Ok(Collected { stats, unreadable })
}

fn age(timestamp: i64, now: Timestamp) -> SignedDuration {
    SignedDuration::from_secs(now.as_second().saturating_sub(timestamp))
}

/// The contents that the snapshots use whose manifests can be read.
#[derive(Debug)]
pub struct Used {
    /// These.
    pub contents: ContentSet,
    /// Manifests of snapshots that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// The contents that snapshots use, complete or not: directories, files, lists of chunks.
///
/// A part of a snapshot that cannot be read is an error, because what it uses is not known.
pub fn used_contents(
    repo: &Repository,
    view: &Arc<IndexView>,
    manifests: &ManifestView,
    parallel: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Used> {
    let (mut roots, mut unreadable) = (Vec::new(), Vec::new());
    let snapshots = [("type".to_owned(), "snapshot".to_owned())].into();
    for meta in manifests.find(&snapshots) {
        // Not like a listing, which leaves out what it cannot read.
        match store::load_snapshot(manifests, meta.id.as_str()) {
            Ok(manifest) => roots.extend(
                manifest
                    .root_entry
                    .map(|entry| Root { label: format!("snapshot {}", meta.id), entry }),
            ),
            Err(error) => unreadable.push(Unreadable::new("snapshot", error)),
        }
    }
    let used = Mutex::new(ContentSet::new(view));
    let marking = Marking { repo, view, stop, used, error: Mutex::new(None) };
    walk(repo, view, &roots, parallel, &marking);
    if stop() {
        return Err(SnapshotError::Stopped);
    }
    match marking.error.into_inner() {
        Some(error) => Err(error),
        None => Ok(Used { contents: marking.used.into_inner(), unreadable }),
    }
}

struct Marking<'a> {
    repo: &'a Repository,
    view: &'a IndexView,
    stop: &'a (dyn Fn() -> bool + Sync),
    used: Mutex<ContentSet>,
    error: Mutex<Option<SnapshotError>>,
}

impl Visitor for Marking<'_> {
    fn object(&self, path: &str, _entry: &DirEntry, object: &ObjectId) {
        if let Err(error) = self.mark(object) {
            self.failed(path, error.into());
        }
    }

    fn failed(&self, path: &str, error: SnapshotError) {
        self.error.lock().get_or_insert(SnapshotError::Unreadable {
            path: path.to_owned(),
            source: Box::new(error),
        });
    }

    fn stop(&self) -> bool {
        self.error.lock().is_some() || (self.stop)()
    }
}

impl Marking<'_> {
    fn mark(&self, object: &ObjectId) -> Result<(), RepoError> {
        let mut contents = Vec::new();
        self.repo.object_contents(object, &mut |content| contents.push(content))?;
        let mut ordinals = Vec::with_capacity(contents.len());
        for content in contents {
            if let Some((ordinal, _)) = self.view.find(&content)? {
                ordinals.push(ordinal);
            } else if self.repo.content_info(&content)?.is_none() {
                // Not merely newer than the view, which is all that is deleted from.
                return Err(RepoError::ContentNotFound(content));
            }
        }
        let mut used = self.used.lock();
        for ordinal in ordinals {
            used.insert(ordinal);
        }
        Ok(())
    }
}
