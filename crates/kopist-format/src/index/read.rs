//! Reading an index in place.

use std::{cmp::Ordering, ops::Range};

use super::{EntryRef, IndexError};
use crate::id::{ContentId, IdPrefix};

pub(super) const V1_HEADER: usize = 8;
pub(super) const V1_VALUE: usize = 20;
/// Key size of the empty indexes that old compactions wrote when they dropped everything.
const V1_EMPTY_KEY: usize = 255;

pub(super) const V2_HEADER: usize = 17;
pub(super) const V2_PACK: usize = 5;
pub(super) const V2_FORMAT: usize = 6;
pub(super) const V2_MIN_VALUE: usize = 16;
pub(super) const V2_MAX_VALUE: usize = 19;

pub(super) const DELETED_BIT: u32 = 1 << 31;

/// Where things lie; made by [`Index::parse`], which has checked it against the length.
#[derive(Debug, Clone, Copy)]
struct Layout {
    version: u8,
    key_size: usize,
    stride: usize,
    count: usize,
    entries: usize,
    packs: usize,
    pack_count: usize,
    formats: usize,
    format_count: usize,
    base_timestamp: u32,
    overhead: u32,
}

/// An index over bytes that somebody else keeps: a memory map, a vector, a slice.
///
/// `get`, `at` and the ranges do not allocate. *Ordinals* are positions in key order; sets of
/// contents are best kept as bitmaps over them.
#[derive(Debug, Clone)]
pub struct Index<B> {
    data: B,
    layout: Layout,
}

/// A contiguous range of content ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdRange {
    /// Every content.
    All,
    /// File data: ids without prefix.
    Unprefixed,
    /// Metadata: ids with any prefix.
    Prefixed,
    /// Ids with one prefix.
    Prefix(IdPrefix),
}

impl<B: AsRef<[u8]>> Index<B> {
    /// Opens an index. `overhead` is what encryption adds to a content; version 1 does not store
    /// the plaintext length, so it is computed from it.
    ///
    /// Trailing bytes are ignored (unstable indexes end in 32 random ones). The cost does not
    /// depend on the number of entries.
    pub fn parse(data: B, overhead: u32) -> Result<Self, IndexError> {
        let bytes = data.as_ref();
        let layout = match bytes.first() {
            Some(1) => parse_v1(bytes, overhead)?,
            Some(2) => parse_v2(bytes)?,
            Some(&version) => return Err(IndexError::UnsupportedVersion { version }),
            None => return Err(IndexError::InvalidHeader { reason: "it is empty" }),
        };
        let index = Self { data, layout };
        for pack in 0..layout.pack_count {
            index.pack_name(pack, 0)?;
        }
        Ok(index)
    }

    /// The version of the encoding, 1 or 2.
    pub fn version(&self) -> u8 {
        self.layout.version
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.layout.count
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.layout.count == 0
    }

    /// Number of bytes in each key: 1 + hash length.
    pub fn key_size(&self) -> usize {
        self.layout.key_size
    }

    /// The bytes it was opened on.
    pub fn into_inner(self) -> B {
        self.data
    }

    /// The entry of a content, deleted or not.
    ///
    /// # Errors
    /// If the id has another length than the keys, or if the entry is damaged.
    pub fn get(&self, id: &ContentId) -> Result<Option<EntryRef<'_>>, IndexError> {
        self.find(id)?.map(|ordinal| self.at(ordinal)).transpose()
    }

    /// The ordinal of a content.
    pub fn find(&self, id: &ContentId) -> Result<Option<usize>, IndexError> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = id.key();
        if key.len() != self.layout.key_size {
            return Err(IndexError::KeyLength {
                id: *id,
                found: key.len(),
                expected: self.layout.key_size,
            });
        }
        let ordinal = self.lower_bound_key(key);
        Ok((self.key_at(ordinal) == Some(key)).then_some(ordinal))
    }

    /// The entry at an ordinal.
    ///
    /// # Errors
    /// If there is no such ordinal, or if the entry is damaged: kopia shows such an entry with
    /// the pack `---invalid---`; here it is an error, so that nobody takes the pack it should
    /// have named for unused.
    pub fn at(&self, ordinal: usize) -> Result<EntryRef<'_>, IndexError> {
        let invalid = |reason| IndexError::InvalidEntry { ordinal, reason };
        let record = self.record(ordinal).ok_or(invalid("no place in it"))?;
        let (key, value) =
            record.split_at_checked(self.layout.key_size).ok_or(invalid("no value"))?;
        let id = ContentId::from_key(key)
            .map_err(|source| IndexError::InvalidKey { ordinal, source })?;
        if self.layout.version == 1 {
            self.v1_entry(ordinal, id, value)
        } else {
            self.v2_entry(ordinal, id, value)
        }
    }

    /// The key at an ordinal: the prefix letter or 0, then the hash.
    pub fn key_at(&self, ordinal: usize) -> Option<&[u8]> {
        self.record(ordinal)?.get(..self.layout.key_size)
    }

    /// The first ordinal whose key is not below that of `id`; [`len`](Self::len) if there is none.
    pub fn lower_bound(&self, id: &ContentId) -> usize {
        self.lower_bound_key(id.key())
    }

    /// The first ordinal whose key is not below `key`; [`len`](Self::len) if there is none.
    pub fn lower_bound_key(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.layout.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key_at(middle).map(|at| at.cmp(key)) {
                Some(Ordering::Less) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The ordinals of a range of ids.
    pub fn range(&self, range: IdRange) -> Range<usize> {
        let bound = |first_byte: u8| self.lower_bound_key(&[first_byte]);
        match range {
            IdRange::All => 0..self.len(),
            IdRange::Unprefixed => 0..bound(1),
            IdRange::Prefixed => bound(1)..self.len(),
            IdRange::Prefix(prefix) => bound(prefix.as_byte())..bound(prefix.as_byte() + 1),
        }
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<EntryRef<'_>, IndexError>> + Clone {
        self.entries(0..self.len())
    }

    /// The entries of some ordinals.
    pub fn entries(
        &self,
        ordinals: Range<usize>,
    ) -> impl ExactSizeIterator<Item = Result<EntryRef<'_>, IndexError>> + Clone {
        ordinals.map(|ordinal| self.at(ordinal))
    }

    /// Reads everything once: each entry must be whole, and the keys must ascend.
    ///
    /// Lookups in an index with unsorted keys miss entries that are there, so whoever decides
    /// from the absence of an entry (garbage collection) checks first.
    pub fn validate(&self) -> Result<(), IndexError> {
        let mut previous: Option<ContentId> = None;
        for (ordinal, entry) in self.iter().enumerate() {
            let id = entry?.id;
            if previous.is_some_and(|previous| previous >= id) {
                let reason = "a key that is not above the one before it";
                return Err(IndexError::InvalidEntry { ordinal, reason });
            }
            previous = Some(id);
        }
        Ok(())
    }

    fn record(&self, ordinal: usize) -> Option<&[u8]> {
        if ordinal >= self.layout.count {
            return None;
        }
        // `parse` has checked that `entries + count * stride` is within the data
        let start = self.layout.entries + ordinal * self.layout.stride;
        self.data.as_ref().get(start..start + self.layout.stride)
    }

    fn v1_entry(
        &self,
        ordinal: usize,
        id: ContentId,
        value: &[u8],
    ) -> Result<EntryRef<'_>, IndexError> {
        let &[
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            format_version,
            name_length,
            n0,
            n1,
            n2,
            n3,
            o0,
            o1,
            o2,
            o3,
            l0,
            l1,
            l2,
            l3,
        ] = value
        else {
            return Err(IndexError::InvalidEntry { ordinal, reason: "a value of wrong length" });
        };
        let offset = u32::from_be_bytes([o0, o1, o2, o3]);
        let packed_length = u32::from_be_bytes([l0, l1, l2, l3]);
        let original_length =
            packed_length.checked_sub(self.layout.overhead).ok_or(IndexError::InvalidEntry {
                ordinal,
                reason: "a length below that of the encryption",
            })?;
        let name = u32::from_be_bytes([n0, n1, n2, n3]);
        Ok(EntryRef {
            id,
            pack: self.name(name, name_length, ordinal)?,
            offset: offset & !DELETED_BIT,
            packed_length,
            original_length,
            timestamp: i64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]),
            deleted: offset & DELETED_BIT != 0,
            format_version,
            compression: 0,
            encryption_key: 0,
        })
    }

    fn v2_entry(
        &self,
        ordinal: usize,
        id: ContentId,
        value: &[u8],
    ) -> Result<EntryRef<'_>, IndexError> {
        let &[t0, t1, t2, t3, o0, o1, o2, o3, u0, u1, u2, l0, l1, l2, p1, p2, ref more @ ..] =
            value
        else {
            return Err(IndexError::InvalidEntry { ordinal, reason: "a value of wrong length" });
        };
        let optional = |i: usize| more.get(i).copied().unwrap_or(0);
        let (format, p0, high) = (optional(0), optional(1), optional(2));
        let offset = u32::from_be_bytes([o0, o1, o2, o3]);
        let pack = u32::from_be_bytes([0, p0, p1, p2]);
        if pack as usize >= self.layout.pack_count {
            return Err(IndexError::InvalidEntry { ordinal, reason: "an unknown pack" });
        }
        let (compression, format_version, encryption_key) = self
            .format(usize::from(format))
            .ok_or(IndexError::InvalidEntry { ordinal, reason: "an unknown format" })?;
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        Ok(EntryRef {
            id,
            pack: self.pack_name(pack as usize, ordinal)?,
            offset: offset & !DELETED_BIT,
            packed_length: u32::from_be_bytes([high & 0xf, l0, l1, l2]),
            original_length: u32::from_be_bytes([high >> 4, u0, u1, u2]),
            timestamp: i64::from(timestamp) + i64::from(self.layout.base_timestamp),
            deleted: offset & DELETED_BIT != 0,
            format_version,
            compression,
            encryption_key,
        })
    }

    fn format(&self, number: usize) -> Option<(u32, u8, u8)> {
        if number >= self.layout.format_count {
            return None;
        }
        let at = self.layout.formats + number * V2_FORMAT;
        let &[c0, c1, c2, c3, version, key] = self.data.as_ref().get(at..at + V2_FORMAT)? else {
            return None;
        };
        Some((u32::from_be_bytes([c0, c1, c2, c3]), version, key))
    }

    fn pack_name(&self, number: usize, ordinal: usize) -> Result<&str, IndexError> {
        let at = self.layout.packs + number * V2_PACK;
        match self.data.as_ref().get(at..at + V2_PACK) {
            Some(&[length, o0, o1, o2, o3]) => {
                self.name(u32::from_be_bytes([o0, o1, o2, o3]), length, ordinal)
            }
            _ => Err(IndexError::InvalidEntry { ordinal, reason: "an unknown pack" }),
        }
    }

    fn name(&self, offset: u32, length: u8, ordinal: usize) -> Result<&str, IndexError> {
        let data = self.data.as_ref();
        let end = u64::from(offset) + u64::from(length);
        let available = data.len() as u64;
        let outside = IndexError::Truncated { what: "list of pack names", end, available };
        let bytes =
            data.get(offset as usize..offset as usize + usize::from(length)).ok_or(outside)?;
        str::from_utf8(bytes).map_err(|_| IndexError::InvalidEntry {
            ordinal,
            reason: "a pack name that is not text",
        })
    }
}

/// `offset + count * size`, if that is within the data.
fn section(
    data: &[u8],
    what: &'static str,
    offset: usize,
    count: usize,
    size: usize,
) -> Result<usize, IndexError> {
    let end = (count as u128) * (size as u128) + offset as u128;
    let available = data.len() as u64;
    if end > u128::from(available) {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        return Err(IndexError::Truncated { what, end, available });
    }
    Ok(end as usize)
}

fn check_key_size(key_size: usize) -> Result<(), IndexError> {
    if (2..=ContentId::MAX_KEY_LENGTH).contains(&key_size) {
        return Ok(());
    }
    Err(IndexError::InvalidHeader { reason: "keys must have 2 to 33 bytes" })
}

fn parse_v1(data: &[u8], overhead: u32) -> Result<Layout, IndexError> {
    let Some(&[_, key_size, v0, v1, c0, c1, c2, c3]) = data.get(..V1_HEADER) else {
        return Err(IndexError::InvalidHeader { reason: "it is too short" });
    };
    let key_size = usize::from(key_size);
    let count = u32::from_be_bytes([c0, c1, c2, c3]) as usize;
    let value_size = usize::from(u16::from_be_bytes([v0, v1]));
    if !(key_size == V1_EMPTY_KEY && count == 0) {
        check_key_size(key_size)?;
        if value_size != V1_VALUE {
            return Err(IndexError::InvalidHeader { reason: "entries must have 20 bytes" });
        }
    }
    let stride = key_size + value_size;
    section(data, "list of entries", V1_HEADER, count, stride)?;
    Ok(Layout {
        version: 1,
        key_size,
        stride,
        count,
        entries: V1_HEADER,
        packs: 0,
        pack_count: 0,
        formats: 0,
        format_count: 0,
        base_timestamp: 0,
        overhead,
    })
}

fn parse_v2(data: &[u8]) -> Result<Layout, IndexError> {
    let Some(&[_, key_size, v0, v1, c0, c1, c2, c3, p0, p1, p2, p3, formats, b0, b1, b2, b3]) =
        data.get(..V2_HEADER)
    else {
        return Err(IndexError::InvalidHeader { reason: "it is too short" });
    };
    let key_size = usize::from(key_size);
    check_key_size(key_size)?;
    let value_size = usize::from(u16::from_be_bytes([v0, v1]));
    if !(V2_MIN_VALUE..=V2_MAX_VALUE).contains(&value_size) {
        return Err(IndexError::InvalidHeader { reason: "entries must have 16 to 19 bytes" });
    }
    let count = u32::from_be_bytes([c0, c1, c2, c3]) as usize;
    let pack_count = u32::from_be_bytes([p0, p1, p2, p3]) as usize;
    let format_count = usize::from(formats);
    let stride = key_size + value_size;
    let packs = section(data, "list of entries", V2_HEADER, count, stride)?;
    let formats = section(data, "list of packs", packs, pack_count, V2_PACK)?;
    section(data, "list of formats", formats, format_count, V2_FORMAT)?;
    Ok(Layout {
        version: 2,
        key_size,
        stride,
        count,
        entries: V2_HEADER,
        packs,
        pack_count,
        formats,
        format_count,
        base_timestamp: u32::from_be_bytes([b0, b1, b2, b3]),
        overhead: 0,
    })
}
