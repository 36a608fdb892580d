//! Reading files and storing them.

mod large;
pub(super) mod placeholder;
mod small;

use std::io;

use kopist_format::compression::Compressor;
use kopist_format::directory::DirEntry;
use kopist_format::id::ObjectId;
use kopist_format::splitter::SplitterAlgorithm;
use kopist_repo::{ObjectOptions, RepoError};

pub(super) use large::Parts;

use super::directory::{Dir, Listed};
use super::run::{Run, Scratch, count};
use super::{UploadError, UploadEvent, entry, log};
use crate::fs::{FileData, Folder, Kind, Metadata, describe, errno_text};
use crate::policy::Policy;

/// How reading one file ended.
pub(super) enum Stored {
    /// It is stored.
    Entry(DirEntry),
    /// It cannot be read: the whole text, and its innermost cause.
    Failed { text: String, cause: String },
    /// The run was stopped meanwhile.
    Stopped,
    /// The run is over.
    Fatal(UploadError),
}

/// Why bytes did not get from a file into the repository.
enum CopyError {
    Read(io::Error),
    Write(RepoError),
    Stopped,
}

/// Bytes read at once from files that do not fit into the arena.
const BUFFER: usize = 1 << 20;

/// What the policies say about one file.
#[derive(Clone, Copy)]
struct Recipe {
    compressor: Option<Compressor>,
    metadata_compressor: Option<Compressor>,
    splitter: Option<SplitterAlgorithm>,
    /// Larger files are stored in parts of this size.
    part_size: Option<u64>,
}

impl Recipe {
    fn new(policy: &Policy, name: &[u8], size: i64) -> Self {
        let algorithm = policy.splitter.algorithm.as_str();
        Self {
            compressor: policy.compression.for_file(name, size),
            metadata_compressor: policy.metadata_compression.compressor(),
            // A splitter that is not known here was not known to whoever set the policy either.
            splitter: if algorithm.is_empty() {
                None
            } else {
                SplitterAlgorithm::by_name(algorithm).ok()
            },
            part_size: policy
                .upload
                .parallel_upload_above_size
                .and_then(|size| u64::try_from(size).ok())
                .filter(|size| *size > 0),
        }
    }

    fn options(&self) -> ObjectOptions {
        ObjectOptions {
            prefix: None,
            compressor: self.compressor,
            metadata_compressor: self.metadata_compressor,
            splitter: self.splitter,
            ..ObjectOptions::default()
        }
    }

    /// The size of the parts, for a file that is stored in parts.
    fn parts_of(&self, size: i64) -> Option<u64> {
        self.part_size.filter(|part| size.unsigned_abs() > *part)
    }
}

impl Run<'_> {
    /// Reads a batch of files and links of one directory.
    pub(super) fn store_files(
        &self,
        scratch: &mut Scratch,
        dir: &std::sync::Arc<Dir>,
        files: Vec<Listed>,
    ) {
        let mut small = small::Group::default();
        for file in files {
            if self.stopping() {
                return;
            }
            if file.metadata.kind == Kind::Symlink {
                let stored = self.store_link(scratch, dir, &file);
                self.record(scratch, dir, &file, stored);
                continue;
            }
            if !self.is_file {
                count(&self.counters.non_cached, 1);
            }
            dir.child_path(&file.name, &mut scratch.path);
            let size = file.metadata.size;
            self.emit(UploadEvent::HashingFile { path: &scratch.path, size });
            let recipe = if dir.policies.has_own_policy(&file.name) {
                Recipe::new(dir.policies.child(&file.name).effective(), &file.name, size)
            } else {
                Recipe::new(dir.policies.effective(), &file.name, size)
            };
            if let Some(part_size) = recipe.parts_of(size) {
                self.split(dir, file, recipe, part_size);
            } else if self.is_small(&recipe, size) {
                self.read_small(scratch, dir, file, recipe, &mut small);
            } else {
                let stored = self.store_whole(scratch, dir, &file, &recipe);
                self.record(scratch, dir, &file, stored);
            }
        }
        self.store_small(scratch, dir, &mut small);
    }

    fn store_link(&self, scratch: &mut Scratch, dir: &Dir, file: &Listed) -> Stored {
        dir.child_path(&file.name, &mut scratch.path);
        self.emit(UploadEvent::HashingFile { path: &scratch.path, size: file.metadata.size });
        let target = match dir.folder.read_link(&file.name) {
            Ok(target) => target,
            Err(error) => {
                let path = dir.folder.display(&file.name);
                let text =
                    format!("unable to read symlink: {}", describe("readlink", &path, &error));
                return Stored::Failed { text, cause: errno_text(&error) };
            }
        };
        let policies = dir.policies.child(&file.name);
        let options = ObjectOptions {
            metadata_compressor: policies.effective().metadata_compression.compressor(),
            ..ObjectOptions::default()
        };
        count(&self.counters.read, target.len() as u64);
        match self.writer.write_object(&target, options) {
            Ok(object) => {
                let size = target.len() as i64;
                self.emit(UploadEvent::HashedBytes { bytes: target.len() as u64 });
                Stored::Entry(entry(&file.name, &file.metadata, size, object, None))
            }
            Err(error) => not_stored(&*dir.folder, &file.name, error),
        }
    }

    /// Puts the result of a file into its directory.
    fn record(&self, scratch: &mut Scratch, dir: &Dir, file: &Listed, stored: Stored) {
        dir.child_path(&file.name, &mut scratch.path);
        match stored {
            Stored::Entry(entry) => {
                if file.metadata.kind == Kind::File {
                    count(&self.counters.files, 1);
                    count(&self.counters.total_bytes, entry.size.unsigned_abs());
                }
                self.emit(UploadEvent::HashedFile { path: &scratch.path, size: entry.size });
                let what = match file.metadata.kind {
                    Kind::Symlink => "snapshotted symlink",
                    _ => "snapshotted file",
                };
                log::line(dir.detail.entry, what, &scratch.path, Some(&entry), None);
                dir.state.lock().builder.add(entry);
            }
            Stored::Failed { cause, .. } if self.is_file => self.fail(UploadError::Source(cause)),
            Stored::Failed { text, .. } => {
                let handling = &dir.policies.effective().error_handling;
                let ignored = handling.ignore_file_errors.unwrap_or(false);
                self.report_failure(dir, &scratch.path, text, ignored);
            }
            Stored::Stopped => {}
            Stored::Fatal(error) => self.fail(error),
        }
    }

    /// Opens a file and makes sure that it still is one. Tells if it changed since the listing.
    fn open(
        &self,
        folder: &dyn Folder,
        file: &Listed,
        path: &[u8],
    ) -> Result<Box<dyn FileData>, Stored> {
        let cannot = |error: io::Error| {
            let path = folder.display(&file.name);
            let text = format!(
                "unable to open file: unable to open local file: {}",
                describe("open", &path, &error)
            );
            Stored::Failed { text, cause: errno_text(&error) }
        };
        let data = folder.open(&file.name).map_err(cannot)?;
        self.check_unchanged(&*data, file, path).map_err(cannot)?;
        Ok(data)
    }

    fn check_unchanged(&self, data: &dyn FileData, file: &Listed, path: &[u8]) -> io::Result<()> {
        let Some(now) = data.metadata()? else { return Ok(()) };
        if now.kind != Kind::File {
            return Err(io::Error::other("it was replaced by something that is not a file"));
        }
        if has_changed(&file.metadata, &now) {
            self.emit(UploadEvent::ChangedWhileRead { path });
        }
        Ok(())
    }

    /// Failure of a copy as the result of a file.
    fn copy_failed(folder: &dyn Folder, name: &[u8], error: CopyError) -> Stored {
        match error {
            CopyError::Read(error) => {
                let text = describe("read", &folder.display(name), &error);
                Stored::Failed { text, cause: errno_text(&error) }
            }
            CopyError::Write(error) => not_stored(folder, name, error),
            CopyError::Stopped => Stored::Stopped,
        }
    }

    /// Counts bytes that were read.
    fn read_bytes(&self, bytes: usize) {
        count(&self.counters.read, bytes as u64);
        self.emit(UploadEvent::HashedBytes { bytes: bytes as u64 });
    }
}

/// The repository failed while a file was stored.
fn not_stored(folder: &dyn Folder, name: &[u8], source: RepoError) -> Stored {
    Stored::Fatal(UploadError::Repository { what: folder.display(name), source })
}

/// Whether a file is another one than when it was listed.
fn has_changed(then: &Metadata, now: &Metadata) -> bool {
    then.mtime != now.mtime || then.size != now.size || then.inode != now.inode
}

/// A name for what exists of a file at a checkpoint: never one that a real file has.
fn checkpoint_name(name: &[u8], unique: &str) -> Box<[u8]> {
    [b".checkpointed.", name, b".", unique.as_bytes()].concat().into()
}

/// What exists of a file at a checkpoint.
fn checkpoint_entry(file: &Listed, object: ObjectId, unique: &str) -> DirEntry {
    let name = checkpoint_name(&file.name, unique);
    entry(&name, &file.metadata, file.metadata.size, object, None)
}
