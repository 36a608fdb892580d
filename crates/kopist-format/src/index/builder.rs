//! Collecting entries for a new index.

use std::collections::{BTreeMap, HashMap, btree_map};

use super::{
    Entry, EntryRef, IndexError, MAX_SHARD_ENTRIES, PackName, RANDOM_SUFFIX_LENGTH, encode,
    encode_shards, wins,
};
use crate::id::ContentId;

/// Entries of an index in the making: one for each content, the winner of those added.
///
/// An entry takes about 80 bytes; pack names are kept once. Compactions of large indexes use
/// [`merge`](super::merge) instead, which keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct IndexBuilder {
    entries: BTreeMap<ContentId, Record>,
    packs: Vec<PackName>,
    pack_numbers: HashMap<PackName, u32>,
}

/// An entry without its id, and with the pack as a number.
#[derive(Debug, Clone, Copy)]
struct Record {
    timestamp: i64,
    pack: u32,
    offset: u32,
    packed_length: u32,
    original_length: u32,
    compression: u32,
    deleted: bool,
    format_version: u8,
    encryption_key: u8,
}

impl IndexBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, unless a better one for its id is there ([`wins`]).
    #[allow(clippy::needless_pass_by_value, reason = "callers make entries for the builder")]
    pub fn add(&mut self, entry: Entry) {
        let number = match self.pack_numbers.get(&entry.pack) {
            Some(number) => *number,
            None => self.new_pack(entry.pack.clone()),
        };
        self.insert(&entry.as_ref(), number);
    }

    /// Adds an entry of another index.
    pub fn add_ref(&mut self, entry: &EntryRef<'_>) {
        let number = match self.pack_numbers.get(entry.pack) {
            Some(number) => *number,
            None => self.new_pack(entry.pack.into()),
        };
        self.insert(entry, number);
    }

    fn new_pack(&mut self, name: PackName) -> u32 {
        let number = self.packs.len() as u32;
        self.packs.push(name.clone());
        self.pack_numbers.insert(name, number);
        number
    }

    fn insert(&mut self, entry: &EntryRef<'_>, pack: u32) {
        let record = Record {
            timestamp: entry.timestamp,
            pack,
            offset: entry.offset,
            packed_length: entry.packed_length,
            original_length: entry.original_length,
            compression: entry.compression,
            deleted: entry.deleted,
            format_version: entry.format_version,
            encryption_key: entry.encryption_key,
        };
        match self.entries.entry(entry.id) {
            btree_map::Entry::Vacant(free) => {
                free.insert(record);
            }
            btree_map::Entry::Occupied(mut taken) => {
                if wins(entry, &entry_ref(&self.packs, &entry.id, taken.get())).is_gt() {
                    taken.insert(record);
                }
            }
        }
    }

    /// Takes a content out again; says whether it was there.
    pub fn remove(&mut self, id: &ContentId) -> bool {
        self.entries.remove(id).is_some()
    }

    /// The entry of a content.
    pub fn get(&self, id: &ContentId) -> Option<EntryRef<'_>> {
        self.entries.get(id).map(|record| entry_ref(&self.packs, id, record))
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EntryRef<'_>> + Clone {
        self.entries.iter().map(|(id, record)| entry_ref(&self.packs, id, record))
    }

    /// Number of contents.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The stable form, for session flushes and epoch compactions: the same entries give the same
    /// bytes. One index for every [`MAX_SHARD_ENTRIES`] entries; none if there are no entries.
    pub fn build_stable(&self, version: u8) -> Result<Vec<Vec<u8>>, IndexError> {
        encode_shards(version, self.iter().map(Ok), MAX_SHARD_ENTRIES)
    }

    /// The unstable form, for legacy compactions, whose blobs are named by their hash alone: 32
    /// random bytes at the end of each shard make it unique.
    pub fn build_unstable(
        &self,
        version: u8,
        random: [u8; RANDOM_SUFFIX_LENGTH],
    ) -> Result<Vec<Vec<u8>>, IndexError> {
        let mut shards = self.build_stable(version)?;
        for shard in &mut shards {
            shard.extend(random);
        }
        Ok(shards)
    }

    /// The index at the end of a pack: never sharded, and in the unstable form, since its hash
    /// becomes an IV.
    pub fn build_local(
        &self,
        version: u8,
        random: [u8; RANDOM_SUFFIX_LENGTH],
    ) -> Result<Vec<u8>, IndexError> {
        let mut index = encode(version, self.iter().map(Ok))?;
        index.extend(random);
        Ok(index)
    }
}

impl Extend<Entry> for IndexBuilder {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, entries: T) {
        for entry in entries {
            self.add(entry);
        }
    }
}

fn entry_ref<'a>(packs: &'a [PackName], id: &ContentId, record: &Record) -> EntryRef<'a> {
    EntryRef {
        id: *id,
        // every record is made with a number that `packs` has
        pack: packs.get(record.pack as usize).map_or("", PackName::as_str),
        offset: record.offset,
        packed_length: record.packed_length,
        original_length: record.original_length,
        timestamp: record.timestamp,
        deleted: record.deleted,
        format_version: record.format_version,
        compression: record.compression,
        encryption_key: record.encryption_key,
    }
}
