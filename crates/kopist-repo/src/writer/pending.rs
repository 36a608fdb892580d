//! What is written but not yet committed.

use std::collections::HashMap;

use kopist_format::{
    id::ContentId,
    index::{Entry, EntryRef, IndexBuilder, PackName},
};

use super::block::{LARGE, Sealed};

/// A pack under construction, or on its way to the storage.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) name: PackName,
    /// Replica of the format blob, preamble and contents.
    pub(super) data: PackData,
    /// The contents in `data`.
    pub(super) entries: Vec<Entry>,
    /// Deletions that the local index of this pack repeats, for recovery.
    pub(super) tombstones: Vec<Entry>,
}

impl Pack {
    /// Whether the pack should be stored before a content of this length is added: it would become
    /// larger than `max`, and is long enough not to be rewritten by maintenance as a short one
    /// (60 %, `kopia:repo/maintenance/content_rewrite.go`).
    pub(super) fn is_full_before(&self, length: usize, max: usize) -> bool {
        self.data.len() + length > max && self.data.len() >= max / 10 * 6
    }

    /// The stored bytes of an entry of this pack.
    pub(super) fn slice(&self, entry: &Entry) -> Option<&[u8]> {
        self.data.get(entry.offset as usize, entry.packed_length as usize)
    }
}

/// The bytes of a pack, in pieces: a large content stays in the memory where it was made, small
/// ones are gathered. So a pack takes what it holds and nothing is copied twice.
#[derive(Debug)]
pub(super) struct PackData {
    pieces: Vec<Sealed>,
    /// Where each piece begins.
    starts: Vec<usize>,
    length: usize,
    /// Whether the last piece gathers small contents.
    gathers: bool,
}

/// Room for small contents.
const GATHERED: usize = 1 << 20;

impl PackData {
    /// A pack that begins with these bytes.
    pub(super) fn new(head: Vec<u8>) -> Self {
        let length = head.len();
        Self { pieces: vec![Sealed::Heap(head)], starts: vec![0], length, gathers: true }
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Appends a content. A small one is copied; its buffer comes back.
    pub(super) fn append(&mut self, content: Sealed) -> Option<Vec<u8>> {
        let start = self.length;
        let length = content.bytes().len();
        self.length += length;
        let content = match content {
            Sealed::Heap(content) if length < LARGE => content,
            large => {
                self.starts.push(start);
                self.pieces.push(large);
                self.gathers = false;
                return None;
            }
        };
        match self.pieces.last_mut() {
            Some(Sealed::Heap(piece)) if self.gathers && piece.len() + length <= GATHERED => {
                piece.extend_from_slice(&content);
            }
            _ => {
                let mut piece = Vec::with_capacity(GATHERED);
                piece.extend_from_slice(&content);
                self.starts.push(start);
                self.pieces.push(Sealed::Heap(piece));
                self.gathers = true;
            }
        }
        Some(content)
    }

    /// Bytes that were appended in one go, or a part of them.
    pub(super) fn get(&self, start: usize, length: usize) -> Option<&[u8]> {
        let index = self.starts.partition_point(|begin| *begin <= start).checked_sub(1)?;
        let start = start - self.starts.get(index)?;
        self.pieces.get(index)?.bytes().get(start..start.checked_add(length)?)
    }

    /// All bytes in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(Sealed::bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_its_pieces_one_after_the_other() {
        let content = |number: usize, length: usize| vec![number as u8; length];
        let lengths = [10, LARGE, 7, LARGE - 1, LARGE - 1, LARGE - 1, LARGE - 1, LARGE + 5, 0, 3];
        let mut data = PackData::new(b"head".to_vec());
        let (mut whole, mut starts) = (b"head".to_vec(), Vec::new());
        for (number, length) in lengths.into_iter().enumerate() {
            starts.push(data.len());
            let own = data.append(Sealed::Heap(content(number, length))).is_none();
            assert_eq!(own, length >= LARGE);
            whole.extend(content(number, length));
        }
        assert_eq!(data.pieces().collect::<Vec<_>>().concat(), whole);
        assert_eq!(data.len(), whole.len());
        for (start, length) in starts.iter().zip(lengths) {
            assert_eq!(data.get(*start, length), whole.get(*start..start + length));
        }
        assert_eq!(data.get(whole.len(), 1), None);
        assert_eq!(data.get(usize::MAX, 2), None);
    }
}
