//! Whether what lies on the disk is what is in the snapshot.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use kopist_format::directory::{DirEntry, EntryType};
use kopist_format::id::ObjectId;
use kopist_repo::Repository;

use super::Trial;

/// What a restore could set.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) permissions: bool,
    pub(super) times: bool,
}

/// Compares one entry with what is at a path, without what is below it.
pub(super) fn compare(
    repository: &Repository,
    entry: &DirEntry,
    path: &Path,
    kept: Kept,
    trial: &mut Trial,
) {
    let told = |what: String| format!("{}: {what}", path.display());
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) => return trial.differs(told(error.to_string())),
    };
    let kind = metadata.file_type();
    let is_same = match &entry.kind {
        EntryType::Directory => kind.is_dir(),
        EntryType::File => kind.is_file(),
        EntryType::Symlink => kind.is_symlink(),
        EntryType::Other(_) => return, // restored by nobody
    };
    if !is_same {
        return trial.differs(told("it is of another kind than in the snapshot".to_owned()));
    }
    let is_link = entry.kind == EntryType::Symlink;
    if !is_link {
        let mode = metadata.mode() & 0o777;
        let stored = entry.mode.to_unix() & 0o777;
        if kept.permissions && mode != stored {
            trial.differs(told(format!("permissions {mode:03o}, in the snapshot {stored:03o}")));
        }
        let time = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        if kept.times && !entry.is_dir() && time != i128::from(entry.mtime.0) {
            trial.differs(told("it has another time than in the snapshot".to_owned()));
        }
    }
    let Some(object) = entry.object.filter(|_| !entry.is_dir()) else { return };
    let result = if is_link {
        link(repository, &object, path)
    } else {
        file(repository, &object, path, metadata.len(), trial)
    };
    match result {
        Ok(true) => {}
        Ok(false) => trial.differs(told("its bytes differ from those in the snapshot".to_owned())),
        Err(error) => trial.differs(told(error)),
    }
}

fn link(repository: &Repository, object: &ObjectId, path: &Path) -> Result<bool, String> {
    let target = std::fs::read_link(path).map_err(|error| error.to_string())?;
    let stored = repository.read_object(object).map_err(|error| error.to_string())?;
    Ok(target.as_os_str().as_bytes() == stored)
}

/// Hashes a file chunk by chunk and compares with the ids of the contents, so that nothing has to
/// be fetched a second time. Only chunks that were compressed before they were hashed, as very
/// old repositories have them, are.
fn file(
    repository: &Repository,
    object: &ObjectId,
    path: &Path,
    length: u64,
    trial: &mut Trial,
) -> Result<bool, String> {
    let chunks = repository.object_chunks(object).map_err(|error| error.to_string())?;
    let expected = chunks.last().map_or(0, kopist_repo::Chunk::end);
    if expected != length {
        return Ok(false);
    }
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut buffer = Vec::new();
    for chunk in chunks {
        let size = usize::try_from(chunk.length).map_err(|error| error.to_string())?;
        buffer.resize(size, 0);
        file.read_exact(&mut buffer).map_err(|error| error.to_string())?;
        let is_plain = !chunk.object.is_compressed() && chunk.object.index_object().is_none();
        let equal = if is_plain {
            repository.is_content(&chunk.object.content(), &buffer)
        } else {
            repository.read_object(&chunk.object).map_err(|error| error.to_string())? == buffer
        };
        if !equal {
            return Ok(false);
        }
    }
    trial.files += 1;
    trial.bytes += length;
    Ok(true)
}
