//! One restore while it runs: what the workers share, and the workers.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kopist_format::directory::{DirEntry, EntryType};
use kopist_repo::{PackRun, Repository};
use parking_lot::Mutex;

use super::attributes::Wish;
use super::directory::Dir;
use super::fetch::Fetch;
use super::file::Job;
use super::window::Window;
use super::{
    Counters, RestoreError, RestoreOptions, RestoreProgress, RestoreStats, count, placeholder,
};
use crate::fs::handle::{DirHandle, share_of_descriptors};
use crate::queue::Queue;

/// A piece of work.
pub(super) enum Task {
    /// Make a directory and see what is in it.
    Enter { parent: Arc<Dir>, entry: DirEntry },
    /// Find out where the contents of some files lie.
    Plan(Vec<Arc<Job>>),
    /// Read one range of a pack.
    Read { window: Arc<Window>, run: PackRun },
}

/// What the workers share.
pub(super) struct Run<'a> {
    pub(super) repo: &'a Repository,
    pub(super) options: &'a RestoreOptions,
    progress: &'a dyn RestoreProgress,
    pub(super) queue: Queue<Task>,
    pub(super) counters: Counters,
    gathering: Mutex<Gathering>,
    /// Directories that were found and not listed yet: more files may come.
    pub(super) unlisted: AtomicUsize,
    /// How many files are open, and how many may stay open while nothing is written to them.
    pub(super) open_files: Arc<AtomicUsize>,
    pub(super) most_open_files: usize,
    pub(super) fetch: Fetch<'a>,
    failed: AtomicBool,
    error: Mutex<Option<RestoreError>>,
}

/// Files that wait for a window.
#[derive(Default)]
struct Gathering {
    jobs: Vec<Arc<Job>>,
    bytes: u64,
}

/// A window is planned when it has this many files,
const WINDOW_FILES: usize = 4096;
/// or this many bytes.
const WINDOW_BYTES: u64 = 256 << 20;

impl<'a> Run<'a> {
    pub(super) fn new(
        repo: &'a Repository,
        options: &'a RestoreOptions,
        progress: &'a dyn RestoreProgress,
    ) -> Self {
        Self {
            repo,
            options,
            progress,
            queue: Queue::new(),
            counters: Counters::default(),
            gathering: Mutex::default(),
            unlisted: AtomicUsize::new(0),
            open_files: Arc::default(),
            most_open_files: share_of_descriptors(),
            fetch: Fetch::new(repo),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// The attributes that entries are to have.
    pub(super) fn wish(&self) -> Wish<'_> {
        Wish { options: self.options, counters: &self.counters }
    }

    pub(super) fn restore(
        self,
        root: &DirEntry,
        target: &Path,
    ) -> Result<RestoreStats, RestoreError> {
        let (top, beside) = if root.kind == EntryType::Directory {
            (self.restore_directory(root, target)?, placeholder::beside(target)?)
        } else {
            (self.restore_single(root, target)?, None)
        };
        std::thread::scope(|scope| {
            let workers = self.options.parallel.clamp(1, 256);
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| self.work())).collect();
            for worker in workers {
                if worker.join().is_err() {
                    self.stop(RestoreError::WorkerPanic);
                }
            }
        });
        match self.error.into_inner() {
            Some(error) => return Err(error),
            None if top.is_complete() => beside.map_or(Ok(()), |beside| beside.remove())?,
            None => {}
        }
        Ok(self.counters.stats())
    }

    fn restore_directory(&self, root: &DirEntry, target: &Path) -> Result<Arc<Dir>, RestoreError> {
        let io =
            |what, source| RestoreError::Io { what, path: target.display().to_string(), source };
        let existed = target.is_dir();
        create_directories(target).map_err(|error| io("create", error))?;
        let handle = DirHandle::open(target).map_err(|error| io("open", error))?;
        let dir = Dir::top(handle, root.clone());
        count(&self.counters.enqueued_directories, 1);
        self.unlisted.fetch_add(1, Ordering::Relaxed);
        self.list(&dir, existed)?;
        self.task_done(&dir);
        Ok(dir)
    }

    /// Restores a file or a link under the name of the target.
    fn restore_single(&self, entry: &DirEntry, target: &Path) -> Result<Arc<Dir>, RestoreError> {
        let path = || target.display().to_string();
        let io = |what, source| RestoreError::Io { what, path: path(), source };
        let Some(name) = target.file_name() else {
            let reason = "a file cannot take the place of a root directory";
            return Err(RestoreError::Exists { path: path(), reason });
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        create_directories(parent).map_err(|error| io("create the directory of", error))?;
        let handle = DirHandle::open(parent).map_err(|error| io("open the directory of", error))?;
        let dir = Dir::bystander(handle);
        let name: &[u8] = std::os::unix::ffi::OsStrExt::as_bytes(name);
        dir.has_placeholder(name);
        self.unlisted.fetch_add(1, Ordering::Relaxed);
        self.add(&dir, DirEntry { name: name.into(), ..entry.clone() });
        self.listed();
        self.task_done(&dir);
        Ok(dir)
    }

    /// Takes tasks until there are none.
    fn work(&self) {
        /// Lets the others end when this thread panics.
        struct Guard<'r, 'a>(&'r Run<'a>);
        impl Drop for Guard<'_, '_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.stop(RestoreError::WorkerPanic);
                    self.0.queue.finish();
                }
            }
        }
        let _guard = Guard(self);
        while let Some(task) = self.queue.pop() {
            if self.options.cancel.is_canceled() {
                self.stop(RestoreError::Canceled);
            }
            match task {
                Task::Enter { parent, entry } => self.enter(&parent, entry),
                Task::Plan(jobs) => self.plan(jobs),
                Task::Read { window, run } => self.read(&window, &run),
            }
            self.progress.progress(&self.counters.stats());
        }
    }

    /// Adds a file to the next window.
    pub(super) fn gather(&self, job: Arc<Job>, bytes: u64) {
        let mut gathering = self.gathering.lock();
        gathering.bytes += bytes;
        gathering.jobs.push(job);
        if gathering.jobs.len() >= WINDOW_FILES || gathering.bytes >= WINDOW_BYTES {
            let Gathering { jobs, .. } = std::mem::take(&mut *gathering);
            drop(gathering);
            self.queue.push([Task::Plan(jobs)]);
        }
    }

    /// A directory was listed. After the last one, what was gathered is all there is.
    pub(super) fn listed(&self) {
        if self.unlisted.fetch_sub(1, Ordering::AcqRel) == 1 {
            let Gathering { jobs, .. } = std::mem::take(&mut *self.gathering.lock());
            if !jobs.is_empty() {
                self.queue.push([Task::Plan(jobs)]);
            }
        }
    }

    /// Something in a directory could not be restored: the end, or one more ignored error.
    pub(super) fn report(&self, dir: &Dir, error: RestoreError) {
        dir.lacks_something();
        if self.options.ignore_errors {
            count(&self.counters.ignored_errors, 1);
            self.progress.ignored(&error);
        } else {
            self.stop(error);
        }
    }

    /// Ends the run; the first error counts.
    fn stop(&self, error: RestoreError) {
        self.error.lock().get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more is to be done.
    pub(super) fn stopped(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Creates a directory and those above it, for nobody else to look into until it has its own
/// permissions.
fn create_directories(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
