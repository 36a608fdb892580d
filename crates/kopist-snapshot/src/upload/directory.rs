//! Directories while they are in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use kopist_format::directory::{DirBuilder, DirEntry, DirSummary, write_entry, write_summary};
use kopist_format::id::{IdPrefix, ObjectId};
use kopist_repo::{ObjectOptions, RepoError};
use parking_lot::Mutex;

use super::around::After;
use super::file::placeholder;
use super::log::{self, Detail};
use super::previous::{self, Previous};
use super::run::{Run, Scratch, Task, count};
use super::{UploadEvent, UploadSource, entry};
use crate::fs::{Folder, Found, Kind, Metadata, describe, errno_text};
use crate::ignore::{Candidate, Context, IgnoreError, Verdict, code_points, is_cache_tag};
use crate::policy::PolicyTree;

/// An entry that was listed and must be read.
pub(super) struct Listed {
    pub(super) name: Box<[u8]>,
    pub(super) metadata: Metadata,
}

/// A directory in progress.
pub(super) struct Dir {
    parent: Option<Arc<Dir>>,
    name: Box<[u8]>,
    /// Path from the root of the source, empty for the root.
    pub(super) path: Box<[u8]>,
    metadata: Metadata,
    pub(super) folder: Arc<dyn Folder>,
    pub(super) policies: PolicyTree,
    /// The rules here; set once, before anything else sees the directory.
    context: Mutex<Context>,
    previous: Mutex<Arc<Vec<Previous>>>,
    /// Where paths begin for the ignore rules: behind the last directory that an action put in
    /// the place of another.
    rules_from: usize,
    /// What the log is told about what is in it.
    pub(super) detail: Detail,
    started: Timestamp,
    /// The action to run when the directory is stored.
    pub(super) after: Mutex<Option<After>>,
    /// Tasks that are not done, and one while the directory is listed.
    pending: AtomicUsize,
    pub(super) state: Mutex<DirState>,
}

/// What has been stored of a directory.
#[derive(Default)]
pub(super) struct DirState {
    pub(super) builder: DirBuilder,
    /// Directories below that are in progress.
    pub(super) active: Vec<Arc<Dir>>,
    /// What exists of large files in progress, for checkpoints.
    pub(super) partial: Vec<(Box<[u8]>, DirEntry)>,
    /// The result.
    pub(super) finished: Option<DirEntry>,
}

/// A directory that cannot be entered.
pub(super) struct EnterError {
    /// The whole text.
    text: String,
    /// The innermost cause, which is all that is said about the root.
    pub(super) cause: String,
}

/// Files in one task, unless they are large.
const BATCH_FILES: usize = 64;
/// Bytes in one task.
const BATCH_BYTES: i64 = 4 << 20;
/// Room for a dot-ignore file.
const MAX_DOT_FILE: usize = 16 << 20;
/// Directory objects are handed on in pieces of this size.
const PIECE: usize = 256 << 10;
/// The file that marks caches.
const CACHE_TAG_FILE: &[u8] = b"CACHEDIR.TAG";

impl Dir {
    /// The path of an entry of this directory as the ignore rules see it.
    fn rule_path<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.get(self.rules_from..).unwrap_or_default()
    }

    /// The top of the tree.
    pub(super) fn root(run: &Run<'_>, source: &UploadSource, policies: &PolicyTree) -> Arc<Self> {
        Self::new(
            run,
            None,
            &source.name,
            Box::default(),
            source.metadata,
            source.folder.clone(),
            policies.clone(),
            0,
        )
    }

    #[allow(clippy::too_many_arguments)] // the fields that are not empty at the beginning
    fn new(
        run: &Run<'_>,
        parent: Option<Arc<Dir>>,
        name: &[u8],
        path: Box<[u8]>,
        metadata: Metadata,
        folder: Arc<dyn Folder>,
        policies: PolicyTree,
        rules_from: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            detail: Detail::new(policies.effective(), run.options),
            started: run.writer.repository().clock().now(),
            parent,
            name: name.into(),
            path,
            metadata,
            folder,
            policies,
            context: Mutex::default(),
            previous: Mutex::default(),
            rules_from,
            after: Mutex::default(),
            pending: AtomicUsize::new(1),
            state: Mutex::default(),
        })
    }

    /// Writes the path of an entry of this directory.
    pub(super) fn child_path(&self, name: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.path);
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(name);
    }

    /// More tasks for this directory.
    pub(super) fn add_tasks(&self, more: usize) {
        self.pending.fetch_add(more, Ordering::Relaxed);
    }

    /// The entry of this directory in its parent.
    pub(super) fn entry(&self, object: ObjectId, summary: DirSummary) -> DirEntry {
        entry(&self.name, &self.metadata, 0, object, Some(summary))
    }

    /// Own modification time.
    pub(super) fn mtime(&self) -> kopist_format::directory::UtcNanos {
        self.metadata.mtime
    }
}

impl Run<'_> {
    /// Enters a directory below another one. Its task in the parent is done when it is stored,
    /// or now, if it cannot be entered.
    pub(super) fn enter(
        &self,
        scratch: &mut Scratch,
        parent: Arc<Dir>,
        name: &[u8],
        metadata: &Metadata,
    ) {
        match self.enter_and_list(scratch, &parent, name, metadata) {
            Some(dir) => self.task_done(scratch, dir),
            None => self.task_done(scratch, parent),
        }
    }

    fn enter_and_list(
        &self,
        scratch: &mut Scratch,
        parent: &Arc<Dir>,
        name: &[u8],
        metadata: &Metadata,
    ) -> Option<Arc<Dir>> {
        if self.stopping() {
            return None;
        }
        let policies = parent.policies.child(name);
        parent.child_path(name, &mut scratch.path);
        let path: Box<[u8]> = scratch.path.as_slice().into();
        let ignored = policies.effective().error_handling.ignore_directory_errors.unwrap_or(false);
        let (moved, after) = match self.before_folder(&policies, &path) {
            Ok(before) => before,
            Err(error) => {
                self.report_failure(parent, &path, error, ignored);
                return None;
            }
        };
        let opened = match moved {
            // It keeps its name; everything else is that of the other directory.
            Some(other) => Ok((other.folder, other.metadata, path.len() + 1, Context::default())),
            None => parent.folder.folder(name).map(|folder| {
                (folder, *metadata, parent.rules_from, parent.context.lock().clone())
            }),
        };
        let error = match opened {
            Ok((folder, metadata, rules_from, context)) => {
                let parent_too = Some(parent.clone());
                let dir = Dir::new(
                    self,
                    parent_too,
                    name,
                    path.clone(),
                    metadata,
                    folder,
                    policies,
                    rules_from,
                );
                parent.state.lock().active.push(dir.clone());
                let objects = previous::children(&parent.previous.lock(), name);
                match self.list(scratch, &dir, &context, &objects) {
                    Ok(()) => {
                        *dir.after.lock() = after;
                        return Some(dir);
                    }
                    Err(error) => {
                        parent.state.lock().active.retain(|active| !Arc::ptr_eq(active, &dir));
                        error.text
                    }
                }
            }
            Err(error) => unreadable(&describe("open", &parent.folder.display(name), &error)),
        };
        self.run_after(after);
        self.report_failure(parent, &path, error, ignored);
        None
    }

    /// Lists a directory and makes tasks of what it finds.
    pub(super) fn list(
        &self,
        scratch: &mut Scratch,
        dir: &Arc<Dir>,
        outer: &Context,
        previous: &[ObjectId],
    ) -> Result<(), EnterError> {
        count(&self.counters.directories, 1);
        self.emit(UploadEvent::EnteredDirectory { path: &dir.path });
        let is_cache = !self.options.no_ignore_rules
            && dir.policies.effective().files.ignore_cache_dirs.unwrap_or(true)
            && is_cache_directory(&*dir.folder);
        if is_cache {
            count(&self.counters.excluded_directories, 1);
            self.emit(UploadEvent::Excluded { path: &dir.path, is_dir: true, size: 0 });
            return Ok(());
        }
        let context = self.rules(dir, outer)?;
        *dir.context.lock() = context.clone();
        let previous = Arc::new(self.load_previous(previous));
        *dir.previous.lock() = previous.clone();

        let mut found = Findings::default();
        let listing = dir.folder.list(&mut |name, entry| {
            self.sort_in(scratch, dir, &context, &previous, name, entry, &mut found);
            !self.has_failed()
        });
        if let Err(error) = listing {
            let cause = errno_text(&error);
            let text = unreadable(&describe("open", &dir.folder.display(b""), &error));
            return Err(EnterError { text, cause });
        }
        let Findings { builder, directories, files } = found;
        dir.state.lock().builder = builder;

        let mut tasks: Vec<Task> = directories
            .into_iter()
            .map(|Listed { name, metadata }| Task::Enter { parent: dir.clone(), name, metadata })
            .collect();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for file in files {
            bytes += file.metadata.size;
            batch.push(file);
            if batch.len() >= BATCH_FILES || bytes >= BATCH_BYTES {
                tasks.push(Task::Files { dir: dir.clone(), files: std::mem::take(&mut batch) });
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            tasks.push(Task::Files { dir: dir.clone(), files: batch });
        }
        dir.add_tasks(tasks.len());
        self.queue.push(tasks);
        Ok(())
    }

    /// The ignore rules of a directory.
    fn rules(&self, dir: &Dir, outer: &Context) -> Result<Context, EnterError> {
        if self.options.no_ignore_rules {
            return Ok(Context::default());
        }
        rules_of(&*dir.folder, dir.rule_path(&dir.path), &dir.policies, outer).map_err(|error| {
            let text = error.to_string();
            EnterError { cause: text.clone(), text }
        })
    }

    fn load_previous(&self, objects: &[ObjectId]) -> Vec<Previous> {
        let mut loaded = Vec::with_capacity(objects.len());
        for object in objects {
            match Previous::load(self.writer.repository(), object) {
                Ok(previous) => loaded.push(previous),
                Err(error) => self.emit(UploadEvent::Warning {
                    message: &format!(
                        "cannot read directory {object} of a previous snapshot, \
                         its files are read again: {error}"
                    ),
                }),
            }
        }
        loaded
    }

    /// Decides what happens to one listed entry.
    #[allow(clippy::too_many_arguments)] // the state of one listing, used nowhere else
    fn sort_in(
        &self,
        scratch: &mut Scratch,
        dir: &Arc<Dir>,
        context: &Context,
        previous: &[Previous],
        name: &[u8],
        entry: Found,
        found: &mut Findings,
    ) {
        dir.child_path(name, &mut scratch.path);
        let (is_dir, size, device) = match &entry {
            Found::Entry(metadata) => {
                (metadata.kind == Kind::Directory, metadata.size, Some(metadata.device))
            }
            Found::Denied { is_dir, .. } => (*is_dir, 0, None),
        };
        if !self.options.no_ignore_rules {
            scratch.points.clear();
            if context.has_patterns() {
                code_points(dir.rule_path(&scratch.path), &mut scratch.points);
                scratch.points.insert(0, '/');
            }
            let verdict = context.judge(Candidate {
                path: &scratch.points,
                is_dir,
                size,
                same_device: device.is_none_or(|device| device == dir.metadata.device),
            });
            if verdict != Verdict::Keep {
                self.excluded(dir, &scratch.path, is_dir, size, verdict);
                return;
            }
        }
        let metadata = match entry {
            Found::Entry(metadata) => metadata,
            Found::Denied { is_dir, error } => {
                let handling = &dir.policies.child(name).effective().error_handling.clone();
                let ignored = if is_dir {
                    handling.ignore_directory_errors
                } else {
                    handling.ignore_file_errors
                };
                let text = describe("lstat", &dir.folder.display(name), &error);
                self.fail_in(&mut found.builder, &scratch.path, text, ignored.unwrap_or(false));
                return;
            }
        };
        let is_placeholder = name.ends_with(placeholder::SUFFIX);
        if is_placeholder && matches!(metadata.kind, Kind::Directory | Kind::File) {
            self.add_placeholder(dir, name, metadata.kind, &scratch.path, &mut found.builder);
            return;
        }
        match metadata.kind {
            Kind::Directory => found.directories.push(Listed { name: name.into(), metadata }),
            Kind::File | Kind::Symlink if !is_placeholder => {
                match self.unchanged(dir, previous, name, &metadata, &scratch.path) {
                    Some(object) => {
                        let size = metadata.size;
                        count(&self.counters.cached, 1);
                        count(&self.counters.total_bytes, size.unsigned_abs());
                        self.emit(UploadEvent::CachedFile { path: &scratch.path, size });
                        let entry = super::entry(name, &metadata, size, object, None);
                        log::line(dir.detail.cached, "cached", &scratch.path, Some(&entry), None);
                        found.builder.add(entry);
                    }
                    None => found.files.push(Listed { name: name.into(), metadata }),
                }
            }
            _ => {
                let policies = dir.policies.child(name);
                let ignore = policies.effective().error_handling.ignore_unknown_types;
                if !ignore.unwrap_or(true) {
                    let text = "unknown or unsupported entry type".to_owned();
                    self.fail_in(&mut found.builder, &scratch.path, text, false);
                }
            }
        }
    }

    fn excluded(&self, dir: &Dir, path: &[u8], is_dir: bool, size: i64, verdict: Verdict) {
        if verdict != Verdict::Ignored {
            return;
        }
        if is_dir {
            log::line(dir.detail.ignored_directory, "ignored directory", path, None, None);
            count(&self.counters.excluded_directories, 1);
        } else {
            log::line(dir.detail.ignored, "ignored", path, None, None);
            count(&self.counters.excluded_files, 1);
            count(&self.counters.excluded_bytes, size.unsigned_abs());
        }
        self.emit(UploadEvent::Excluded { path, is_dir, size });
    }

    /// The object of an entry that need not be read again.
    fn unchanged(
        &self,
        dir: &Dir,
        previous: &[Previous],
        name: &[u8],
        metadata: &Metadata,
        path: &[u8],
    ) -> Option<ObjectId> {
        let object = previous.iter().find_map(|directory| directory.unchanged(name, metadata));
        if object.is_none()
            && dir.detail.tells_misses()
            && previous.iter().any(|directory| directory.has(name))
        {
            log::line(dir.detail.cache_miss, "cache miss", path, None, None);
        }
        let object = object?;
        let force = self.options.force_hash_percent;
        if force > 0.0 && self.dice(path) < force {
            return None;
        }
        Some(object)
    }

    /// A number from 0 to 100 that depends on the path and the start of the run.
    fn dice(&self, path: &[u8]) -> f64 {
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ self.manifest.start_time.0 as u64;
        for byte in path {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 11) as f64 / (1_u64 << 53) as f64 * 100.0
    }

    /// Records an entry that could not be stored.
    pub(super) fn report_failure(&self, dir: &Dir, path: &[u8], text: String, ignored: bool) {
        let mut state = dir.state.lock();
        self.fail_in(&mut state.builder, path, text, ignored);
    }

    pub(super) fn fail_in(
        &self,
        builder: &mut DirBuilder,
        path: &[u8],
        text: String,
        ignored: bool,
    ) {
        let counter = if ignored { &self.counters.ignored_errors } else { &self.counters.errors };
        count(counter, 1);
        self.emit(UploadEvent::Failed { path, error: &text, ignored });
        builder.add_failure(path.to_vec(), ignored, text);
        if self.options.fail_fast && !ignored {
            self.options.cancel.cancel();
        }
    }

    /// A task of a directory is done. The last one stores the directory, which is a task of its
    /// parent, and so on.
    pub(super) fn task_done(&self, scratch: &mut Scratch, dir: Arc<Dir>) {
        let mut dir = dir;
        while dir.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            let finished = if self.has_failed() {
                None
            } else if self.is_file {
                dir.state.lock().builder.entries().next().cloned()
            } else {
                self.store_directory(scratch, &dir)
            };
            let after = dir.after.lock().take();
            self.run_after(after);
            let Some(parent) = dir.parent.clone() else {
                self.root_done(finished);
                return;
            };
            let mut state = parent.state.lock();
            state.active.retain(|active| !Arc::ptr_eq(active, &dir));
            if let Some(entry) = finished {
                state.builder.add(entry);
            }
            drop(state);
            dir = parent;
        }
    }

    fn store_directory(&self, scratch: &mut Scratch, dir: &Dir) -> Option<DirEntry> {
        // Locked until the result is there, so that a checkpoint finds either the entries or
        // the result.
        let mut state = dir.state.lock();
        let builder = std::mem::take(&mut state.builder);
        match self.write_directory(&mut scratch.buffer, dir, builder, self.incomplete_reason()) {
            Ok(entry) => {
                state.finished = Some(entry.clone());
                drop(state);
                let took = self.writer.repository().clock().now().duration_since(dir.started);
                let detail = dir.detail.directory;
                log::line(detail, "snapshotted directory", &dir.path, Some(&entry), Some(took));
                self.emit(UploadEvent::FinishedDirectory { path: &dir.path });
                Some(entry)
            }
            Err(error) => {
                let path = dir.folder.display(b"");
                self.repository_failed(&format!("directory {path}"), error);
                None
            }
        }
    }

    /// Stores a directory object and returns its entry.
    pub(super) fn write_directory(
        &self,
        buffer: &mut Vec<u8>,
        dir: &Dir,
        builder: DirBuilder,
        incomplete: &str,
    ) -> Result<DirEntry, RepoError> {
        let (entries, summary) = builder.build(dir.mtime(), incomplete);
        let compressor = dir.policies.effective().metadata_compression.compressor();
        let mut object = self.writer.object_writer(ObjectOptions {
            prefix: Some(IdPrefix::DIRECTORY),
            compressor,
            metadata_compressor: compressor,
            ..ObjectOptions::default()
        });
        buffer.clear();
        buffer.extend_from_slice(b"{\"stream\":\"kopia:directory\",\"entries\":");
        buffer.extend_from_slice(if entries.is_empty() { b"null" } else { b"[" });
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                buffer.push(b',');
            }
            write_entry(buffer, entry);
            if buffer.len() >= PIECE {
                object.write_data(buffer)?;
                buffer.clear();
            }
        }
        if !entries.is_empty() {
            buffer.push(b']');
        }
        buffer.extend_from_slice(b",\"summary\":");
        write_summary(buffer, &summary);
        buffer.extend_from_slice(b"}\n");
        object.write_data(buffer)?;
        Ok(dir.entry(object.finish()?, summary))
    }
}

/// What a listing found.
#[derive(Default)]
struct Findings {
    builder: DirBuilder,
    directories: Vec<Listed>,
    files: Vec<Listed>,
}

/// kopia's words for a directory that cannot be listed.
fn unreadable(cause: &str) -> String {
    format!("cannot create iterator: unable to read directory: {cause}")
}

/// The ignore rules of the directory at `path` below the root of the rules.
pub(crate) fn rules_of(
    folder: &dyn Folder,
    path: &[u8],
    policies: &PolicyTree,
    outer: &Context,
) -> Result<Context, IgnoreError> {
    let base = match path {
        [] => String::new(),
        path => format!("/{}", kopist_format::directory::lossy_text(path)),
    };
    let files = policies.defined().map(|policy| &policy.files);
    outer.enter(&base, files, &mut |name| folder.read_small(name.as_bytes(), MAX_DOT_FILE))
}

pub(crate) fn is_cache_directory(folder: &dyn Folder) -> bool {
    // The tag must be a file itself, not a link to one.
    let tag = folder.metadata(CACHE_TAG_FILE).ok().flatten();
    tag.is_some_and(|tag| tag.kind == Kind::File)
        && folder
            .read_small(CACHE_TAG_FILE, 64)
            .is_ok_and(|content| content.is_some_and(|content| is_cache_tag(&content)))
}
