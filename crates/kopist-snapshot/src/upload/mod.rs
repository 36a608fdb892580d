//! Uploading a tree.
//!
//! ```text
//! stack of tasks ──► workers: enter a directory │ read a batch of files │ read a part of a file
//!                      │            │ list, rules, compare with previous directories
//!                      │            └─► tasks for its directories and for files that changed
//!                      └─ the last task of a directory stores it and reports to its parent
//! ```
//!
//! * One `stat` for each entry and one read of each directory find what changed. An unchanged
//!   file costs nothing more: its object is the one of a previous snapshot.
//! * Small files are read into one buffer and hashed together; a file is one `open`, one `fstat`
//!   and its reads. A worker's buffers live as long as the worker.
//! * The stack makes the walk depth-first, so memory follows the depth of the tree and the
//!   largest directories in progress, not the size of the tree.
//! * What is stored does not depend on the order of the work: the same tree and policies give
//!   the same objects, and the same as kopia's (`kopia:snapshot/upload/upload.go`).
//! * A source that cannot be read is recorded and the walk goes on; a repository that cannot be
//!   written to ends it.

mod around;
mod checkpoint;
mod directory;
mod file;
mod log;
mod previous;
mod progress;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use kopist_format::directory::{DirEntry, DirSummary, ExtraKeys, UtcNanos};
use kopist_format::id::ObjectId;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{RepoError, RepositoryWriter};

pub(crate) use directory::{is_cache_directory, rules_of};
pub use progress::{Silent, UploadEvent, UploadProgress};

use crate::SourceInfo;
use crate::actions::ActionOptions;
use crate::fs::{Folder, Kind, LocalSource, Metadata, StreamFolder};
use crate::policy::PolicyTree;

/// The longest time between two checkpoints. Garbage collection of any client relies on it:
/// contents that no manifest refers to may be taken for unused after some hours.
pub const MAX_CHECKPOINT_INTERVAL: SignedDuration = SignedDuration::from_mins(45);

/// Asks a running upload to stop. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops the upload: what was stored is saved as an incomplete snapshot.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How to upload.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Workers; 0 takes the policy's number, or the number of processors.
    pub parallel: usize,
    /// How many of a hundred files are read although they look unchanged.
    pub force_hash_percent: f64,
    /// Stop after this many bytes were read.
    pub upload_limit: Option<u64>,
    /// Stop at the first error that is not ignored.
    pub fail_fast: bool,
    /// Save an incomplete snapshot this often; at most [`MAX_CHECKPOINT_INTERVAL`].
    pub checkpoint_interval: SignedDuration,
    /// Labels of the manifests saved on the way.
    pub checkpoint_tags: std::collections::BTreeMap<String, String>,
    /// Store everything, whatever the policies say.
    pub no_ignore_rules: bool,
    /// Local time zone, for the retention after checkpoints.
    pub time_zone: TimeZone,
    /// To stop it from outside.
    pub cancel: Cancel,
    /// Whether the actions of the policies run.
    pub actions: ActionOptions,
    /// Detail of the log about directories, 0 to 10, instead of what the policies say.
    pub log_directories: Option<i64>,
    /// The same about files and links.
    pub log_entries: Option<i64>,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            parallel: 0,
            force_hash_percent: 0.0,
            upload_limit: None,
            fail_fast: false,
            checkpoint_interval: MAX_CHECKPOINT_INTERVAL,
            checkpoint_tags: std::collections::BTreeMap::new(),
            no_ignore_rules: false,
            time_zone: TimeZone::UTC,
            cancel: Cancel::default(),
            actions: ActionOptions::default(),
            log_directories: None,
            log_entries: None,
        }
    }
}

/// An upload that ended without a snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The source itself cannot be read.
    #[error("{0}")]
    Source(String),
    /// Neither a directory nor a file.
    #[error("unsupported source: {0}")]
    Unsupported(String),
    /// The repository failed. Nothing that was saved before is touched.
    #[error("cannot store {what}: {source}")]
    Repository {
        /// What was being stored.
        what: String,
        /// Why it failed.
        source: RepoError,
    },
    /// A checkpoint failed.
    #[error("cannot save a checkpoint: {0}")]
    Checkpoint(String),
    /// An action that is essential for the whole snapshot failed.
    #[error("{0}")]
    Action(String),
    /// Longer than is safe.
    #[error("checkpoint interval cannot be greater than 45 minutes")]
    CheckpointInterval,
    /// A worker died.
    #[error("internal error: a worker of the upload panicked; report it with the log")]
    WorkerPanic,
}

/// What is uploaded.
pub struct UploadSource {
    /// Name of the root entry.
    pub name: Vec<u8>,
    /// Attributes of the root entry.
    pub metadata: Metadata,
    /// The directory, or the one that the file is in.
    pub folder: Arc<dyn Folder>,
}

impl UploadSource {
    /// A path on disk: a directory or a single file.
    pub fn local(path: &std::path::Path) -> Result<Self, UploadError> {
        let source =
            LocalSource::open(path).map_err(|error| UploadError::Source(error.to_string()))?;
        Ok(Self { name: source.name, metadata: source.metadata, folder: source.folder })
    }

    /// One file `name` in a made-up directory at `path`, read from a stream.
    #[must_use]
    pub fn stream(path: &str, folder: StreamFolder) -> Self {
        Self {
            name: path.as_bytes().to_vec(),
            metadata: StreamFolder::own_metadata(),
            folder: Arc::new(folder),
        }
    }
}

/// Uploads trees into a repository.
pub struct Uploader<'a> {
    /// Where to.
    pub writer: &'a RepositoryWriter,
    /// How.
    pub options: UploadOptions,
    /// Who listens.
    pub progress: &'a dyn UploadProgress,
}

impl Uploader<'_> {
    /// Uploads a tree and returns a manifest, which is not saved yet. Nothing is flushed except
    /// by checkpoints.
    ///
    /// Of `previous`, snapshots of the same source, files that look unchanged are taken.
    pub fn upload(
        &self,
        source: &UploadSource,
        info: &SourceInfo,
        policies: &PolicyTree,
        previous: &[SnapshotManifest],
    ) -> Result<SnapshotManifest, UploadError> {
        if self.options.checkpoint_interval > MAX_CHECKPOINT_INTERVAL {
            return Err(UploadError::CheckpointInterval);
        }
        let manifest = SnapshotManifest {
            source: info.into(),
            start_time: UtcNanos::from(self.writer.repository().clock().now()),
            ..SnapshotManifest::default()
        };
        let run = run::Run::new(self, source, policies, manifest);
        match source.metadata.kind {
            Kind::Directory => run.directory(source, policies, &previous_roots(previous)),
            Kind::File => run.single_file(source, policies),
            _ => Err(UploadError::Unsupported(info.to_string())),
        }
    }
}

/// The root directories of previous snapshots, each once.
fn previous_roots(previous: &[SnapshotManifest]) -> Vec<ObjectId> {
    let mut objects = Vec::new();
    for root in previous.iter().filter_map(|manifest| manifest.root_entry.as_ref()) {
        if let Some(object) =
            root.object.filter(|object| root.is_dir() && !objects.contains(object))
        {
            objects.push(object);
        }
    }
    objects
}

/// The entry of something stored.
fn entry(
    name: &[u8],
    metadata: &Metadata,
    size: i64,
    object: ObjectId,
    summary: Option<DirSummary>,
) -> DirEntry {
    DirEntry {
        name: name.into(),
        kind: metadata.kind.entry_type().unwrap_or_default(),
        mode: metadata.mode,
        size,
        mtime: metadata.mtime,
        uid: metadata.uid,
        gid: metadata.gid,
        object: Some(object),
        summary: summary.map(Box::new),
        extra: ExtraKeys::default(),
    }
}
