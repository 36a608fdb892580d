//! Restoring to a directory.
//!
//! ```text
//! directories ──► windows of files ──► plan: contents by pack and offset ──► runs ──► files
//! ```
//!
//! * Files are gathered until there are enough of them; then the contents of all are sorted by
//!   where they lie, neighbours are joined into few reads, and each content is written wherever
//!   it belongs. A pack is read once, not once for each content, and a content that is in ten
//!   files is fetched once for them.
//! * Attributes are applied when everything below is done, from the bottom up, also where some
//!   entries failed.
//! * Names in a repository are data from outside: a name that would lead out of its directory is
//!   refused, and every file is opened in a directory that is held open, following no symbolic
//!   link. Nothing outside of the target is touched, whatever the snapshot holds and whatever is
//!   renamed during the restore.

pub mod archive;
mod attributes;
mod directory;
mod extra;
mod fetch;
mod file;
pub mod placeholder;
mod run;
mod window;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use kopist_format::directory::DirEntry;
use kopist_format::id::ObjectId;
use kopist_repo::{RepoError, Repository};

use crate::SnapshotError;
pub use crate::upload::Cancel;

/// How to restore.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Workers.
    pub parallel: usize,
    /// Accept directories that exist and are not empty.
    pub overwrite_directories: bool,
    /// Overwrite files that exist.
    pub overwrite_files: bool,
    /// Replace symbolic links that exist.
    pub overwrite_symlinks: bool,
    /// Leave holes where a file has only zeros.
    pub sparse: bool,
    /// Write each file beside its place and rename it when it is complete.
    pub atomic: bool,
    /// Flush each file to the disk.
    pub flush_files: bool,
    /// Leave owners as they are.
    pub skip_owners: bool,
    /// User that everything restored is given to, instead of the stored one.
    pub owner: Option<u32>,
    /// Group that everything restored is given to, instead of the stored one.
    pub group: Option<u32>,
    /// Leave permissions as they are.
    pub skip_permissions: bool,
    /// Leave times as they are.
    pub skip_times: bool,
    /// Go on when owners, permissions or times may not be changed.
    pub ignore_permission_errors: bool,
    /// Go on after errors.
    pub ignore_errors: bool,
    /// Leave files that have the size and (nearly) the time of the snapshot's, and links.
    pub skip_existing: bool,
    /// Delete what the snapshot does not have.
    pub delete_extra: bool,
    /// Keep what could be read of a file that is damaged, as kopia does: with zeros for the rest,
    /// and without its attributes. Without this it is removed. With `atomic` it always is.
    pub keep_damaged: bool,
    /// Depth down to which entries are restored; what is deeper becomes a placeholder (see
    /// [`placeholder`]). The root is at 0, what is in it at 1. Without it everything is restored.
    pub shallow: Option<u32>,
    /// Files smaller than this are restored also where a placeholder would be.
    pub shallow_min_size: u64,
    /// To stop it from outside.
    pub cancel: Cancel,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            parallel: 8,
            overwrite_directories: true,
            overwrite_files: true,
            overwrite_symlinks: true,
            sparse: false,
            atomic: false,
            flush_files: false,
            skip_owners: false,
            owner: None,
            group: None,
            skip_permissions: false,
            skip_times: false,
            ignore_permission_errors: true,
            ignore_errors: false,
            skip_existing: false,
            delete_extra: false,
            keep_damaged: true,
            shallow: None,
            shallow_min_size: 0,
            cancel: Cancel::default(),
        }
    }
}

/// A restore that stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The repository failed. The object stands in the message because
    /// `snapshot fix remove-files --object-id` wants it, and others look for it behind these words.
    #[error("cannot read {path}: unable to open object: {object}: {source}")]
    Repository {
        /// What was to be restored.
        path: String,
        /// Its data.
        object: Box<ObjectId>,
        /// Why it failed.
        source: RepoError,
    },
    /// A directory of the snapshot cannot be read.
    #[error("cannot read directory {path}: {source}")]
    Directory {
        /// Which one.
        path: String,
        /// Why.
        source: Box<SnapshotError>,
    },
    /// The file system failed.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something exists that may not be replaced.
    #[error("{path}: {reason}")]
    Exists {
        /// Where.
        path: String,
        /// Why it stays.
        reason: &'static str,
    },
    /// A name that leads out of its directory.
    #[error("refusing to restore {name:?} in {path}: the name leads out of its directory")]
    UnsafeName {
        /// The directory.
        path: String,
        /// The name.
        name: String,
    },
    /// A file of which not everything can be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// Which one.
        path: String,
        /// Why.
        reason: String,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive: {0}")]
    Archive(#[source] std::io::Error),
    /// Neither file, directory nor link.
    #[error("invalid FS entry type of {path}")]
    UnknownType {
        /// Which one.
        path: String,
    },
    /// A placeholder that cannot be expanded.
    #[error("cannot expand placeholder {path}: {reason}")]
    Placeholder {
        /// Which one.
        path: String,
        /// Why.
        reason: String,
    },
    /// An entry without data.
    #[error("{path} has no object; verify the snapshot")]
    NoObject {
        /// Which one.
        path: String,
    },
    /// It was asked to stop.
    #[error("canceled")]
    Canceled,
    /// A worker died.
    #[error("internal error: a worker of the restore panicked; report it with the log")]
    WorkerPanic,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreStats {
    /// Files written, with their bytes.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Files and links that were there already.
    pub skipped: u64,
    /// Bytes of those.
    pub skipped_bytes: u64,
    /// Files deleted because the snapshot does not have them.
    pub deleted_files: u64,
    /// Directories deleted.
    pub deleted_directories: u64,
    /// Symbolic links deleted.
    pub deleted_symlinks: u64,
    /// Errors that were ignored.
    pub ignored_errors: u64,
    /// Entries that kept another owner or group, because this process may not give them away.
    pub unkept_owners: u64,
    /// Entries that kept other permissions.
    pub unkept_permissions: u64,
    /// Entries that kept other times.
    pub unkept_times: u64,
    /// Files found so far, written or not.
    pub enqueued_files: u64,
    /// Bytes of those.
    pub enqueued_bytes: u64,
    /// Directories found so far.
    pub enqueued_directories: u64,
    /// Links found so far.
    pub enqueued_symlinks: u64,
}

/// Listens to a restore. Called from several threads.
pub trait RestoreProgress: Send + Sync {
    /// Something was done; called often.
    fn progress(&self, stats: &RestoreStats) {
        let _ = stats;
    }

    /// An error was ignored.
    fn ignored(&self, error: &RestoreError) {
        let _ = error;
    }
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl RestoreProgress for Silent {}

#[derive(Default)]
struct Counters {
    files: AtomicU64,
    bytes: AtomicU64,
    directories: AtomicU64,
    symlinks: AtomicU64,
    skipped: AtomicU64,
    skipped_bytes: AtomicU64,
    deleted_files: AtomicU64,
    deleted_directories: AtomicU64,
    deleted_symlinks: AtomicU64,
    ignored_errors: AtomicU64,
    unkept_owners: AtomicU64,
    unkept_permissions: AtomicU64,
    unkept_times: AtomicU64,
    enqueued_files: AtomicU64,
    enqueued_bytes: AtomicU64,
    enqueued_directories: AtomicU64,
    enqueued_symlinks: AtomicU64,
}

impl Counters {
    fn stats(&self) -> RestoreStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RestoreStats {
            files: get(&self.files),
            bytes: get(&self.bytes),
            directories: get(&self.directories),
            symlinks: get(&self.symlinks),
            skipped: get(&self.skipped),
            skipped_bytes: get(&self.skipped_bytes),
            deleted_files: get(&self.deleted_files),
            deleted_directories: get(&self.deleted_directories),
            deleted_symlinks: get(&self.deleted_symlinks),
            ignored_errors: get(&self.ignored_errors),
            unkept_owners: get(&self.unkept_owners),
            unkept_permissions: get(&self.unkept_permissions),
            unkept_times: get(&self.unkept_times),
            enqueued_files: get(&self.enqueued_files),
            enqueued_bytes: get(&self.enqueued_bytes),
            enqueued_directories: get(&self.enqueued_directories),
            enqueued_symlinks: get(&self.enqueued_symlinks),
        }
    }
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Restores an entry of a snapshot to `target`: a directory to a directory, a file to a file.
pub fn restore(
    repo: &Repository,
    root: &DirEntry,
    target: &Path,
    options: &RestoreOptions,
    progress: &dyn RestoreProgress,
) -> Result<RestoreStats, RestoreError> {
    run::Run::new(repo, options, progress).restore(root, target)
}
