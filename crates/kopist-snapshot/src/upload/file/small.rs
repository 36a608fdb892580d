//! Small files: read one after the other into one buffer, hashed together.

use std::ops::Range;

use kopist_format::compression::Compressor;
use kopist_format::id::ObjectId;

use super::{CopyError, Recipe, Stored, not_stored};
use crate::upload::directory::{Dir, Listed};
use crate::upload::entry;
use crate::upload::run::{Run, Scratch};

/// Files up to this size are read in groups.
const SMALL: usize = 128 << 10;
/// Bytes of a group.
const GROUP_BYTES: usize = 1 << 20;
/// Files of a group: a multiple of what the hash functions take at once.
const GROUP_FILES: usize = 32;

/// Files that were read and not stored yet.
#[derive(Default)]
pub(super) struct Group {
    files: Vec<(Listed, Range<usize>)>,
    compressor: Option<Compressor>,
}

impl Run<'_> {
    /// Whether a file is one content for sure, whatever is in it.
    pub(super) fn is_small(&self, recipe: &Recipe, size: i64) -> bool {
        let repo = self.writer.repository();
        let splitter = recipe.splitter.unwrap_or_else(|| repo.splitter());
        let limit = SMALL.min(splitter.min_chunk_size());
        // With index version 1 objects are compressed before they become contents.
        let plain = recipe.compressor.is_none() || repo.parameters().index_version >= 2;
        plain && usize::try_from(size).is_ok_and(|size| size < limit)
    }

    /// Reads a small file into the group.
    pub(super) fn read_small(
        &self,
        scratch: &mut Scratch,
        dir: &Dir,
        file: Listed,
        recipe: Recipe,
        group: &mut Group,
    ) {
        if !group.files.is_empty() && group.compressor != recipe.compressor {
            self.store_small(scratch, dir, group);
        }
        group.compressor = recipe.compressor;
        dir.child_path(&file.name, &mut scratch.path);
        let mut data = match self.open(&*dir.folder, &file, &scratch.path) {
            Ok(data) => data,
            Err(stored) => return self.record(scratch, dir, &file, stored),
        };
        let start = scratch.arena.len();
        // One byte more than it should have, to see whether it has grown.
        let room = usize::try_from(file.metadata.size).unwrap_or(0) + 1;
        scratch.arena.resize(start + room, 0);
        let mut end = start;
        let grown = loop {
            match data.read(&mut scratch.arena[end..]) {
                Ok(0) => break false,
                Ok(bytes) => end += bytes,
                Err(error) => {
                    scratch.arena.truncate(start);
                    let failed =
                        Self::copy_failed(&*dir.folder, &file.name, CopyError::Read(error));
                    return self.record(scratch, dir, &file, failed);
                }
            }
            if end == start + room {
                break true;
            }
        };
        if grown {
            // It may need more than one content now: read on, without a group.
            let head = scratch.arena.split_off(start);
            let stored = self.store_rest(scratch, dir, &file, &recipe, &head, &mut *data);
            return self.record(scratch, dir, &file, stored);
        }
        scratch.arena.truncate(end);
        self.read_bytes(end - start);
        group.files.push((file, start..end));
        if group.files.len() >= GROUP_FILES || end >= GROUP_BYTES {
            self.store_small(scratch, dir, group);
        }
    }

    /// Stores what was read.
    pub(super) fn store_small(&self, scratch: &mut Scratch, dir: &Dir, group: &mut Group) {
        if group.files.is_empty() {
            return;
        }
        let slices: Vec<&[u8]> =
            group.files.iter().map(|(_, range)| &scratch.arena[range.clone()]).collect();
        let stored = self.writer.write_contents(&slices, None, group.compressor);
        scratch.arena.clear();
        let contents = match stored {
            Ok(contents) => contents,
            Err(error) => {
                let (first, _) = &group.files[0];
                let failed = not_stored(&*dir.folder, &first.name, error);
                if let Stored::Fatal(error) = failed {
                    self.fail(error);
                }
                group.files.clear();
                return;
            }
        };
        for ((file, range), content) in group.files.drain(..).zip(contents) {
            let object = ObjectId::from(content);
            let size = range.len() as i64;
            let stored = Stored::Entry(entry(&file.name, &file.metadata, size, object, None));
            self.record(scratch, dir, &file, stored);
        }
    }
}
