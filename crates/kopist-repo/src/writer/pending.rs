//! What is written but not yet committed.

use std::collections::HashMap;

use kopist_format::{
    id::ContentId,
    index::{Entry, EntryRef, IndexBuilder, PackName},
};

/// A pack under construction, or on its way to the storage.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) name: PackName,
    /// Replica of the format blob, preamble and contents.
    pub(super) data: Vec<u8>,
    /// The contents in `data`.
    pub(super) entries: Vec<Entry>,
    /// Deletions that the local index of this pack repeats, for recovery.
    pub(super) tombstones: Vec<Entry>,
}

impl Pack {
    /// The stored bytes of an entry of this pack.
    pub(super) fn slice(&self, entry: &Entry) -> Option<&[u8]> {
        let start = entry.offset as usize;
        self.data.get(start..start.checked_add(entry.packed_length as usize)?)
    }
}

/// The pending pack of one kind.
#[derive(Debug, Default)]
pub(super) struct PackSlot {
    pub(super) pack: Option<Pack>,
    /// Deletions waiting for the next pack's local index.
    pub(super) tombstones: Vec<Entry>,
}

/// Uncommitted entries, newest state first: in packs that are not stored, then stored.
#[derive(Default)]
pub(super) struct PendingIndex {
    packing: HashMap<ContentId, Entry>,
    stored: IndexBuilder,
}

impl PendingIndex {
    /// The entry of a content, and whether its pack is stored.
    pub(super) fn get(&self, id: &ContentId) -> Option<(EntryRef<'_>, bool)> {
        match self.packing.get(id) {
            Some(entry) => Some((entry.as_ref(), false)),
            None => self.stored.get(id).map(|entry| (entry, true)),
        }
    }

    /// A content was appended to a pack.
    pub(super) fn add_packing(&mut self, entry: Entry) {
        self.packing.insert(entry.id, entry);
    }

    /// Forgets a content of a pack that is not stored; `false` if there is none.
    pub(super) fn drop_packing(&mut self, id: &ContentId) -> bool {
        self.packing.remove(id).is_some()
    }

    /// A pack was acknowledged: its entries may enter the index.
    pub(super) fn pack_stored(&mut self, pack: &Pack) {
        for entry in &pack.entries {
            let current = self.packing.get(&entry.id);
            if current.is_some_and(|current| current.pack == entry.pack)
                && let Some(entry) = self.packing.remove(&entry.id)
            {
                self.stored.add(entry);
            }
        }
    }

    /// An entry that needs no pack of this session: a deletion, or one read from a pack.
    pub(super) fn add_stored(&mut self, entry: Entry) {
        self.stored.add(entry);
    }

    pub(super) fn stored(&self) -> &IndexBuilder {
        &self.stored
    }

    /// Whether every content's pack is stored.
    pub(super) fn all_stored(&self) -> bool {
        self.packing.is_empty()
    }

    /// The index was written.
    pub(super) fn clear(&mut self) {
        self.stored.clear();
    }
}
