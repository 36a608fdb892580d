//! Directories of previous snapshots, to find files that need not be read again.

use kopist_format::directory::{DirEntry, EntryType, visit_entries};
use kopist_format::id::ObjectId;
use kopist_repo::Repository;

use crate::fs::Metadata;

/// The entries of one directory of a previous snapshot, sorted by name.
pub(super) struct Previous {
    entries: Vec<DirEntry>,
}

impl Previous {
    /// Reads a directory object. What cannot be read is an error text; the walk goes on without.
    pub(super) fn load(repo: &Repository, object: &ObjectId) -> Result<Self, String> {
        let bytes = repo.read_object(object).map_err(|error| error.to_string())?;
        let mut entries: Vec<DirEntry> = Vec::new();
        visit_entries(&bytes, &mut |mut entry| {
            entry.summary = None;
            entries.push(entry);
        })
        .map_err(|error| error.to_string())?;
        // Stored order is directories first; of equal names the last one counts.
        entries.reverse();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|later, earlier| later.name == earlier.name);
        Ok(Self { entries })
    }

    fn find(&self, name: &[u8]) -> Option<&DirEntry> {
        let at = self.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        self.entries.get(at)
    }

    /// Whether there was something of this name.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.find(name).is_some()
    }

    /// The object of a file or link that looks unchanged.
    pub(super) fn unchanged(&self, name: &[u8], now: &Metadata) -> Option<ObjectId> {
        let then = self.find(name)?;
        let same = now.kind.entry_type().as_ref() == Some(&then.kind)
            && now.mtime == then.mtime
            && now.mode == then.mode
            && now.uid == then.uid
            && now.gid == then.gid
            && now.size == then.size;
        if same { then.object } else { None }
    }

    /// The object of a directory in this one.
    pub(super) fn directory(&self, name: &[u8]) -> Option<ObjectId> {
        let entry = self.find(name).filter(|entry| entry.kind == EntryType::Directory)?;
        entry.object
    }
}

/// The directories to compare a child with, each object once.
pub(super) fn children(previous: &[Previous], name: &[u8]) -> Vec<ObjectId> {
    let mut objects = Vec::new();
    for object in previous.iter().filter_map(|directory| directory.directory(name)) {
        if !objects.contains(&object) {
            objects.push(object);
        }
    }
    objects
}
