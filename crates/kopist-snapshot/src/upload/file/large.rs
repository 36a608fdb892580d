//! Files that are not small: copied in pieces, or cut into parts.
//!
//! The cuts of a file above the policy's size are part of the format: the splitter begins anew at
//! each multiple of that size, and the object is the concatenation of the parts. Another cut
//! would give another object than kopia's.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopist_format::id::ObjectId;
use kopist_repo::{ObjectWriter, RepoError};
use parking_lot::Mutex;

use super::{BUFFER, CopyError, Recipe, Stored, checkpoint_entry, checkpoint_name};
use crate::fs::{FileData, Folder};
use crate::upload::UploadError;
use crate::upload::directory::{Dir, Listed};
use crate::upload::entry;
use crate::upload::run::{Run, Scratch, Task};

/// A file that is read in parts.
pub(in crate::upload) struct Parts {
    dir: Arc<Dir>,
    file: Listed,
    recipe: Recipe,
    part_size: u64,
    stored: Mutex<Vec<Option<(ObjectId, u64)>>>,
    failure: Mutex<Option<Stored>>,
    pending: AtomicUsize,
    /// A text that nothing else has.
    unique: String,
}

impl Parts {
    /// The same for one part.
    fn unique_part(&self, index: usize) -> String {
        format!("{}-{index}", self.unique)
    }
}

/// Where a part begins and how long it is; the last one goes to the end of the file.
#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    length: Option<u64>,
}

/// What is copied: bytes that were read already, then a piece of an open file.
struct Source<'a> {
    head: &'a [u8],
    data: &'a mut dyn FileData,
    piece: Piece,
}

const WHOLE: Piece = Piece { offset: 0, length: None };

/// The parts of a file: as many full ones as fit, and one that may be empty.
fn pieces(size: i64, part_size: u64) -> Vec<Piece> {
    let full = size.unsigned_abs() / part_size;
    (0..=full)
        .map(|index| Piece {
            offset: index * part_size,
            length: (index < full).then_some(part_size),
        })
        .collect()
}

impl Run<'_> {
    /// Stores a file in one go. Checkpoints can see what exists of it.
    pub(super) fn store_whole(
        &self,
        scratch: &mut Scratch,
        dir: &Dir,
        file: &Listed,
        recipe: &Recipe,
    ) -> Stored {
        match self.store_piece(scratch, dir, file, recipe, WHOLE) {
            Ok((object, size)) => {
                Stored::Entry(entry(&file.name, &file.metadata, size as i64, object, None))
            }
            Err(stored) => stored,
        }
    }

    fn store_piece(
        &self,
        scratch: &mut Scratch,
        dir: &Dir,
        file: &Listed,
        recipe: &Recipe,
        piece: Piece,
    ) -> Result<(ObjectId, u64), Stored> {
        dir.child_path(&file.name, &mut scratch.path);
        let folder = &*dir.folder;
        let mut data = self.open(folder, file, &scratch.path)?;
        let source = Source { head: &[], data: &mut *data, piece };
        let copied = self.copy(&mut scratch.buffer, dir, source, file, recipe);
        let result = copied.map_err(|error| Self::copy_failed(folder, &file.name, error))?;
        // What changed while it was read has another time now; whoever listens is told.
        let _ = self.check_unchanged(&*data, file, &scratch.path);
        Ok(result)
    }

    /// Stores a file whose beginning was read already.
    pub(super) fn store_rest(
        &self,
        scratch: &mut Scratch,
        dir: &Dir,
        file: &Listed,
        recipe: &Recipe,
        head: &[u8],
        data: &mut dyn FileData,
    ) -> Stored {
        let source = Source { head, data: &mut *data, piece: WHOLE };
        match self.copy(&mut scratch.buffer, dir, source, file, recipe) {
            Ok((object, size)) => {
                let _ = self.check_unchanged(data, file, &scratch.path);
                Stored::Entry(entry(&file.name, &file.metadata, size as i64, object, None))
            }
            Err(error) => Self::copy_failed(&*dir.folder, &file.name, error),
        }
    }

    fn copy(
        &self,
        buffer: &mut Vec<u8>,
        dir: &Dir,
        source: Source<'_>,
        file: &Listed,
        recipe: &Recipe,
    ) -> Result<(ObjectId, u64), CopyError> {
        let Source { head, data, piece } = source;
        if piece.offset > 0 {
            data.seek(piece.offset).map_err(CopyError::Read)?;
        }
        let mut object = self.writer.object_writer(recipe.options());
        let _stream = self.checkpoints.stream();
        let mut left = piece.length;
        object.write_data(head).map_err(CopyError::Write)?;
        self.read_bytes(head.len());
        let mut size = head.len() as u64;
        let mut seen = self.checkpoints.generation();
        let mut shown = InProgress::new(dir, file);
        buffer.resize(BUFFER, 0);
        loop {
            if self.stopping() {
                return Err(CopyError::Stopped);
            }
            let most = left.map_or(BUFFER, |left| usize::try_from(left).unwrap_or(BUFFER));
            let filled = fill(data, &mut buffer[..most.min(BUFFER)]).map_err(CopyError::Read)?;
            if filled == 0 {
                break;
            }
            object.write_data(&buffer[..filled]).map_err(CopyError::Write)?;
            self.read_bytes(filled);
            size += filled as u64;
            left = left.map(|left| left - filled as u64);
            if self.checkpoints.generation() != seen {
                seen = self.checkpoints.generation();
                shown.publish(&mut object).map_err(CopyError::Write)?;
                self.checkpoints.published(seen);
            }
        }
        Ok((object.finish().map_err(CopyError::Write)?, size))
    }

    /// Makes a task of each part of a file.
    pub(super) fn split(&self, dir: &Arc<Dir>, file: Listed, recipe: Recipe, part_size: u64) {
        let pieces = pieces(file.metadata.size, part_size).len();
        let parts = Arc::new(Parts {
            dir: dir.clone(),
            file,
            recipe,
            part_size,
            stored: Mutex::new(vec![None; pieces]),
            failure: Mutex::new(None),
            pending: AtomicUsize::new(pieces),
            unique: unique(),
        });
        dir.add_tasks(1);
        let task = |index| Task::Part { parts: parts.clone(), index };
        // The first part is taken first.
        self.queue.push((0..pieces).rev().map(task));
    }

    /// Reads one part.
    pub(in crate::upload) fn store_part(&self, scratch: &mut Scratch, parts: &Parts, index: usize) {
        if self.stopping() || parts.failure.lock().is_some() {
            return;
        }
        let Parts { dir, file, recipe, part_size, .. } = parts;
        let pieces = pieces(file.metadata.size, *part_size);
        let Some(piece) = pieces.get(index) else { return };
        match self.store_piece(scratch, dir, file, recipe, *piece) {
            Ok(stored) => {
                if let Some(slot) = parts.stored.lock().get_mut(index) {
                    *slot = Some(stored);
                }
                // Until the file is put together only this makes checkpoints refer to it.
                let entry = checkpoint_entry(file, stored.0, &parts.unique_part(index));
                dir.state.lock().partial.push((entry.name.clone(), entry));
            }
            Err(stored) => {
                parts.failure.lock().get_or_insert(stored);
            }
        }
    }

    /// A part is done. The last one puts the file together; then its directory is returned,
    /// which has one task less.
    pub(in crate::upload) fn part_done(
        &self,
        scratch: &mut Scratch,
        parts: &Arc<Parts>,
    ) -> Option<Arc<Dir>> {
        if parts.pending.fetch_sub(1, Ordering::AcqRel) != 1 {
            return None;
        }
        let failure = parts.failure.lock().take();
        let pieces: Option<Vec<_>> = parts.stored.lock().iter().copied().collect();
        let stored = match (failure, pieces) {
            (Some(failure), _) => failure,
            (None, Some(pieces)) => {
                self.concatenate(&*parts.dir.folder, &parts.file, &parts.recipe, &pieces)
            }
            (None, None) => Stored::Stopped,
        };
        self.record(scratch, &parts.dir, &parts.file, stored);
        let names: HashSet<_> = (0..parts.stored.lock().len())
            .map(|index| checkpoint_name(&parts.file.name, &parts.unique_part(index)))
            .collect();
        parts.dir.state.lock().partial.retain(|(name, _)| !names.contains(name));
        Some(parts.dir.clone())
    }

    fn concatenate(
        &self,
        folder: &dyn Folder,
        file: &Listed,
        recipe: &Recipe,
        pieces: &[(ObjectId, u64)],
    ) -> Stored {
        let objects: Vec<ObjectId> = pieces.iter().map(|(object, _)| *object).collect();
        let size: u64 = pieces.iter().map(|(_, size)| size).sum();
        match self.writer.concatenate(&objects, recipe.metadata_compressor) {
            Ok(object) => {
                Stored::Entry(entry(&file.name, &file.metadata, size as i64, object, None))
            }
            Err(source) => {
                Stored::Fatal(UploadError::Repository { what: folder.display(&file.name), source })
            }
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(data: &mut dyn FileData, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data.read(&mut buffer[filled..])? {
            0 => break,
            bytes => filled += bytes,
        }
    }
    Ok(filled)
}

/// What a checkpoint sees of a file in progress; gone when the file is done.
struct InProgress<'d> {
    dir: &'d Dir,
    file: &'d Listed,
    unique: String,
}

impl<'d> InProgress<'d> {
    fn new(dir: &'d Dir, file: &'d Listed) -> Self {
        Self { dir, file, unique: String::new() }
    }

    /// Shows what is stored of the file so far.
    fn publish(&mut self, object: &mut ObjectWriter<'_>) -> Result<(), RepoError> {
        let dir = self.dir;
        let Some(object) = object.checkpoint()? else { return Ok(()) };
        if self.unique.is_empty() {
            self.unique = unique();
        }
        let entry = checkpoint_entry(self.file, object, &self.unique);
        let mut state = dir.state.lock();
        state.partial.retain(|(name, _)| *name != entry.name);
        state.partial.push((entry.name.clone(), entry));
        Ok(())
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        if !self.unique.is_empty() {
            let own = checkpoint_name(&self.file.name, &self.unique);
            self.dir.state.lock().partial.retain(|(name, _)| *name != own);
        }
    }
}

/// A text that nothing else has.
fn unique() -> String {
    let mut bytes = [0; 16];
    // Without random numbers the name is merely less unlikely to exist.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file() {
        let list = |size, part| {
            pieces(size, part)
                .into_iter()
                .map(|piece| (piece.offset, piece.length))
                .collect::<Vec<_>>()
        };
        assert_eq!(list(25, 10), [(0, Some(10)), (10, Some(10)), (20, None)]);
        // A file of exact multiples ends in an empty part, as kopia's does.
        assert_eq!(list(20, 10), [(0, Some(10)), (10, Some(10)), (20, None)]);
        assert_eq!(list(9, 10), [(0, None)]);
    }
}
