//! Walking the trees of snapshots, each object once.
//!
//! What was seen is a bitmap over the ordinals of the index: snapshots of one source share
//! nearly everything, and a hundred million objects take megabytes. An object is known by the
//! content that its id names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopist_format::directory::DirEntry;
use kopist_format::id::ObjectId;
use kopist_repo::{ContentSet, IndexView, RepoError, Repository};
use parking_lot::Mutex;

use crate::browse;
use crate::error::SnapshotError;
use crate::queue::Queue;

/// The top of a tree.
#[derive(Clone, Debug)]
pub struct Root {
    /// What it is called in messages, such as the id of the snapshot.
    pub label: String,
    /// Its entry.
    pub entry: DirEntry,
}

/// Sees the objects of trees; called from several threads at once.
pub trait Visitor: Sync {
    /// An object that was not seen before. Directories are shown before what is in them.
    fn object(&self, path: &str, entry: &DirEntry, object: &ObjectId);

    /// An entry whose object cannot be found or read.
    fn failed(&self, path: &str, error: SnapshotError);

    /// Whether to stop.
    fn stop(&self) -> bool {
        false
    }
}

struct Walk<'a> {
    repo: &'a Repository,
    view: &'a IndexView,
    seen: &'a Mutex<ContentSet>,
    queue: Queue<(Arc<str>, DirEntry)>,
    pending: AtomicUsize,
    visitor: &'a dyn Visitor,
}

/// Shows every object below the roots once, with the path where it was found first.
///
/// `view` must be of the repository and not older than what the roots refer to.
pub fn walk(
    repo: &Repository,
    view: &IndexView,
    roots: &[Root],
    parallel: usize,
    visitor: &dyn Visitor,
) {
    walk_unseen(repo, view, &Mutex::new(ContentSet::new(view)), roots, parallel, visitor);
}

/// The same, leaving out the objects that earlier walks with the same `seen` have shown.
pub(crate) fn walk_unseen(
    repo: &Repository,
    view: &IndexView,
    seen: &Mutex<ContentSet>,
    roots: &[Root],
    parallel: usize,
    visitor: &dyn Visitor,
) {
    let walk = Walk {
        repo,
        view,
        seen,
        queue: Queue::new(),
        // One for this function, so that the walk does not end before all roots are in.
        pending: AtomicUsize::new(1),
        visitor,
    };
    std::thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, 256) {
            scope.spawn(|| walk.work());
        }
        for root in roots {
            walk.visit(&root.label, &root.entry);
        }
        walk.done();
    });
}

impl Walk<'_> {
    fn work(&self) {
        /// Lets the others end when this thread panics.
        struct Guard<'g, 'a>(&'g Walk<'a>);
        impl Drop for Guard<'_, '_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.queue.finish();
                }
            }
        }
        let _guard = Guard(self);
        while let Some((path, directory)) = self.queue.pop() {
            if !self.visitor.stop() {
                match browse::children(self.repo, &directory) {
                    Ok(children) => {
                        for child in children {
                            if self.visitor.stop() {
                                break;
                            }
                            let name = child.name_text();
                            self.visit(&format!("{path}/{name}"), &child);
                        }
                    }
                    Err(error) => self.visitor.failed(&path, error),
                }
            }
            self.done();
        }
    }

    fn done(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.queue.finish();
        }
    }

    fn visit(&self, path: &str, entry: &DirEntry) {
        let Some(object) = entry.object else {
            return self.visitor.failed(path, SnapshotError::NoObject(path.to_owned()));
        };
        match self.is_new(&object) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.visitor.failed(path, error.into()),
        }
        self.visitor.object(path, entry, &object);
        if entry.is_dir() {
            self.pending.fetch_add(1, Ordering::Relaxed);
            self.queue.push([(Arc::from(path), entry.clone())]);
        }
    }

    fn is_new(&self, object: &ObjectId) -> Result<bool, RepoError> {
        let content = object.content();
        if let Some((ordinal, _)) = self.view.find(&content)? {
            return Ok(self.seen.lock().insert(ordinal));
        }
        // Written after the view was taken: shown each time that it is met.
        match self.repo.content_info(&content)? {
            Some(_) => Ok(true),
            None => Err(RepoError::ContentNotFound(content)),
        }
    }
}
