//! One upload while it runs: what all workers share, and the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kopist_format::directory::{DirEntry, DirSummary, UtcNanos};
use kopist_format::id::ObjectId;
use kopist_format::snapshot::{SnapshotManifest, SnapshotStats};
use kopist_repo::{RepoError, RepositoryWriter};
use parking_lot::Mutex;

use super::checkpoint::Checkpoints;
use super::directory::{Dir, Listed};
use super::file::Parts;

use super::{UploadError, UploadEvent, UploadOptions, UploadProgress, UploadSource, Uploader};
use crate::fs::{Kind, Metadata};
use crate::ignore::Context;
use crate::policy::PolicyTree;
use crate::queue::Queue;

/// A piece of work.
pub(super) enum Task {
    /// List a directory.
    Enter { parent: Arc<Dir>, name: Box<[u8]>, metadata: Metadata },
    /// Read files and links of a directory.
    Files { dir: Arc<Dir>, files: Vec<Listed> },
    /// Read a part of a large file.
    Part { parts: Arc<Parts>, index: usize },
}

/// What the workers share.
pub(super) struct Run<'a> {
    pub(super) writer: &'a RepositoryWriter,
    pub(super) options: &'a UploadOptions,
    pub(super) progress: &'a dyn UploadProgress,
    pub(super) queue: Queue<Task>,
    pub(super) counters: Counters,
    pub(super) manifest: SnapshotManifest,
    pub(super) checkpoints: Checkpoints,
    /// The first error that ends the run.
    fatal: Mutex<Option<UploadError>>,
    failed: AtomicBool,
    root: Mutex<Option<DirEntry>>,
    workers: usize,
    /// Where the source is for other programs; directories that an action put in the place of
    /// others keep their path.
    pub(super) local_path: Option<std::path::PathBuf>,
    /// The source is a file: its entry is the root.
    pub(super) is_file: bool,
}

/// Counters of the run.
#[derive(Default)]
pub(super) struct Counters {
    /// Bytes read from the source.
    pub(super) read: AtomicU64,
    pub(super) total_bytes: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) cached: AtomicU64,
    pub(super) non_cached: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) excluded_files: AtomicU64,
    pub(super) excluded_bytes: AtomicU64,
    pub(super) excluded_directories: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) ignored_errors: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// What one worker keeps from task to task, so that files cost no allocations.
#[derive(Default)]
pub(super) struct Scratch {
    /// Bytes of small files, one after the other.
    pub(super) arena: Vec<u8>,
    /// A piece of a large file, or of a directory object.
    pub(super) buffer: Vec<u8>,
    /// A path.
    pub(super) path: Vec<u8>,
    /// A path as code points.
    pub(super) points: Vec<char>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        uploader: &'a Uploader<'_>,
        source: &UploadSource,
        policies: &PolicyTree,
        manifest: SnapshotManifest,
    ) -> Self {
        let processors = || std::thread::available_parallelism().map_or(2, usize::from);
        let workers = match uploader.options.parallel {
            0 => match policies.effective().upload.max_parallel_file_reads {
                Some(reads) => usize::try_from(reads).unwrap_or(1),
                None => processors(),
            },
            parallel => parallel,
        };
        let now = uploader.writer.repository().clock().now();
        Self {
            writer: uploader.writer,
            options: &uploader.options,
            progress: uploader.progress,
            queue: Queue::new(),
            counters: Counters::default(),
            checkpoints: Checkpoints::new(now, uploader.options.checkpoint_interval),
            manifest,
            fatal: Mutex::new(None),
            failed: AtomicBool::new(false),
            root: Mutex::new(None),
            workers: workers.clamp(1, 256),
            local_path: source.folder.local_path(),
            is_file: source.metadata.kind == Kind::File,
        }
    }

    /// Uploads a directory tree, with the actions before and after.
    pub(super) fn directory(
        &self,
        source: &UploadSource,
        policies: &PolicyTree,
        previous: &[ObjectId],
    ) -> Result<SnapshotManifest, UploadError> {
        let (moved, after) = self.before_snapshot(policies)?;
        let result = self.tree(moved.as_ref().unwrap_or(source), policies, previous);
        self.run_after(after);
        result
    }

    fn tree(
        &self,
        source: &UploadSource,
        policies: &PolicyTree,
        previous: &[ObjectId],
    ) -> Result<SnapshotManifest, UploadError> {
        let mut scratch = Scratch::default();
        let (moved, after) = self.before_root_folder(policies)?;
        let root = Dir::root(self, moved.as_ref().unwrap_or(source), policies);
        if let Err(error) = self.list(&mut scratch, &root, &Context::default(), previous) {
            self.run_after(after);
            return Err(UploadError::Source(error.cause));
        }
        *root.after.lock() = after;
        self.task_done(&mut scratch, root.clone());
        drop(scratch);
        self.run_workers(&root)?;
        let entry = self.root.lock().take().ok_or(UploadError::WorkerPanic)?;
        Ok(self.finish(entry))
    }

    /// Works until the root is done.
    fn run_workers(&self, root: &Arc<Dir>) -> Result<(), UploadError> {
        let panicked = std::thread::scope(|scope| {
            let checkpoints = scope.spawn(|| self.watch_checkpoints(root));
            let workers: Vec<_> =
                (1..self.workers).map(|_| scope.spawn(|| self.work(root))).collect();
            let mut panicked = false;
            // A panic here must not leave the other threads waiting for work.
            let own = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.work(root)));
            panicked |= own.is_err();
            for worker in workers {
                panicked |= worker.join().is_err();
            }
            self.checkpoints.stop();
            panicked | checkpoints.join().is_err()
        });
        if let Some(error) = self.fatal.lock().take() {
            return Err(error);
        }
        if panicked { Err(UploadError::WorkerPanic) } else { Ok(()) }
    }

    /// Uploads one file as the root of a snapshot. Previous snapshots and rules do not count. Its
    /// parts are read side by side, and checkpoints show what exists of it.
    pub(super) fn single_file(
        &self,
        source: &UploadSource,
        policies: &PolicyTree,
    ) -> Result<SnapshotManifest, UploadError> {
        let root = Dir::root(self, source, policies);
        let file = Listed { name: source.name.clone().into(), metadata: source.metadata };
        self.queue.push([Task::Files { dir: root.clone(), files: vec![file] }]);
        self.run_workers(&root)?;
        // Failures of the file ended the run.
        let file = self.root.lock().take().ok_or_else(|| UploadError::Source("canceled".into()))?;
        let summary =
            DirSummary { size: file.size, files: 1, max_time: file.mtime, ..DirSummary::default() };
        Ok(self.finish(DirEntry { summary: Some(Box::new(summary)), ..file }))
    }

    fn finish(&self, root: DirEntry) -> SnapshotManifest {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let small = |counter| i32::try_from(get(counter)).unwrap_or(i32::MAX);
        SnapshotManifest {
            end_time: UtcNanos::from(self.writer.repository().clock().now()),
            incomplete: self.incomplete_reason().to_owned(),
            root_entry: Some(root),
            stats: SnapshotStats {
                total_size: get(&counters.total_bytes) as i64,
                excluded_total_size: get(&counters.excluded_bytes) as i64,
                file_count: small(&counters.files),
                cached_files: small(&counters.cached),
                non_cached_files: small(&counters.non_cached),
                dir_count: small(&counters.directories),
                excluded_file_count: small(&counters.excluded_files),
                excluded_dir_count: small(&counters.excluded_directories),
                ignored_error_count: small(&counters.ignored_errors),
                error_count: small(&counters.errors),
                ..SnapshotStats::default()
            },
            ..self.manifest.clone()
        }
    }

    /// Takes tasks until there are none.
    fn work(&self, root: &Arc<Dir>) {
        /// Lets the others end when this thread panics.
        struct Guard<'r, 'a>(&'r Run<'a>);
        impl Drop for Guard<'_, '_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.fail(UploadError::WorkerPanic);
                    self.0.queue.finish();
                }
            }
        }
        let _guard = Guard(self);
        let mut scratch = Scratch::default();
        while let Some(task) = self.queue.pop() {
            match task {
                Task::Enter { parent, name, metadata } => {
                    self.enter(&mut scratch, parent, &name, &metadata);
                }
                Task::Files { dir, files } => {
                    self.store_files(&mut scratch, &dir, files);
                    self.task_done(&mut scratch, dir);
                }
                Task::Part { parts, index } => {
                    self.store_part(&mut scratch, &parts, index);
                    if let Some(dir) = self.part_done(&mut scratch, &parts) {
                        self.task_done(&mut scratch, dir);
                    }
                }
            }
            self.checkpoint_if_due(root);
        }
    }

    /// The root directory was stored, or the run failed.
    pub(super) fn root_done(&self, entry: Option<DirEntry>) {
        *self.root.lock() = entry;
        self.queue.finish();
    }

    /// Ends the run with an error; the first one counts.
    pub(super) fn fail(&self, error: UploadError) {
        self.fatal.lock().get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Ends the run because the repository failed.
    pub(super) fn repository_failed(&self, what: &str, source: RepoError) {
        self.fail(UploadError::Repository { what: what.to_owned(), source });
    }

    /// Whether an error ended the run.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Why the snapshot is incomplete; empty while it is not.
    pub(super) fn incomplete_reason(&self) -> &'static str {
        if self.options.cancel.is_canceled() {
            return "canceled";
        }
        let read = self.counters.read.load(Ordering::Relaxed);
        if self.options.upload_limit.is_some_and(|limit| read > limit) {
            return "limit reached";
        }
        ""
    }

    /// Whether nothing more is to be read.
    pub(super) fn stopping(&self) -> bool {
        !self.incomplete_reason().is_empty() || self.has_failed()
    }

    /// Tells whoever listens.
    pub(super) fn emit(&self, event: UploadEvent<'_>) {
        self.progress.event(&event);
    }
}
