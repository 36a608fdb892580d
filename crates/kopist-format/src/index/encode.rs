//! Writing an index, byte for byte as kopia does.
//!
//! The encoder runs twice over the entries: once to number packs and formats and to find the
//! largest values, once to write. So it needs a cloneable iterator instead of a list, and its
//! memory is the output plus the table of packs.

use std::collections::HashMap;

use super::{
    EntryRef, IndexError,
    read::{
        DELETED_BIT, V1_HEADER, V1_VALUE, V2_FORMAT, V2_HEADER, V2_MAX_VALUE, V2_MIN_VALUE, V2_PACK,
    },
};
use crate::id::ContentId;

/// Entries in one shard at most.
pub const MAX_SHARD_ENTRIES: usize = 16_000_000;

const V1_OFFSET_LIMIT: u32 = 1 << 31;
const V1_TIMESTAMP_LIMIT: i64 = 1 << 48;
const V2_OFFSET_LIMIT: u32 = 1 << 30;
const V2_LENGTH_LIMIT: u32 = 1 << 28;
const V2_SHORT_LENGTH_LIMIT: u32 = 1 << 24;
const V2_TIMESTAMP_LIMIT: i64 = 1 << 32;
const V2_MAX_FORMATS: usize = 255;
const V2_MAX_PACKS: usize = 1 << 24;
const V2_MAX_SHORT_PACKS: usize = 1 << 16;

/// Encodes sorted entries without duplicates as one index, in the stable form.
///
/// `entries` is run through twice and must give the same both times.
pub fn encode<'a, I>(version: u8, entries: I) -> Result<Vec<u8>, IndexError>
where
    I: Iterator<Item = Result<EntryRef<'a>, IndexError>> + Clone,
{
    let survey = Survey::of(version, entries.clone())?;
    match version {
        1 => encode_v1(&survey, entries),
        _ => encode_v2(&survey, entries),
    }
}

/// Encodes sorted entries as as many indexes as `max_entries` asks for; none if there are no
/// entries. See [`Division`], which needs memory for one of them only.
#[allow(clippy::needless_pass_by_value)] // iterators go by value
pub fn encode_shards<'a, I>(
    version: u8,
    entries: I,
    max_entries: usize,
) -> Result<Vec<Vec<u8>>, IndexError>
where
    I: Iterator<Item = Result<EntryRef<'a>, IndexError>> + Clone,
{
    let division = Division::of(entries.clone(), max_entries)?;
    (0..division.len()).map(|shard| division.encode(version, entries.clone(), shard)).collect()
}

/// How sorted entries are divided into shards.
///
/// With more than one shard an entry goes to number FNV-1a-32(text of its id) mod count; shards
/// that stay empty are left out.
#[derive(Debug)]
pub struct Division {
    count: usize,
    /// The numbers of those that are not empty.
    used: Vec<usize>,
}

impl Division {
    /// Into as few shards as have at most `max_entries` each, about.
    pub fn of<'a, I>(entries: I, max_entries: usize) -> Result<Self, IndexError>
    where
        I: Iterator<Item = Result<EntryRef<'a>, IndexError>> + Clone,
    {
        let mut total = 0_usize;
        for entry in entries.clone() {
            entry?;
            total += 1;
        }
        let count = total.div_ceil(max_entries.max(1));
        if count <= 1 {
            return Ok(Self { count, used: (0..count).collect() });
        }
        let mut has_entries = vec![false; count];
        for entry in entries {
            if let Some(used) = has_entries.get_mut(shard_of(&entry?.id, count)) {
                *used = true;
            }
        }
        let used =
            has_entries.iter().enumerate().filter_map(|(number, used)| used.then_some(number));
        Ok(Self { count, used: used.collect() })
    }

    /// How many shards there are.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Encodes a shard of the same entries, the first of which is 0.
    pub fn encode<'a, I>(
        &self,
        version: u8,
        entries: I,
        shard: usize,
    ) -> Result<Vec<u8>, IndexError>
    where
        I: Iterator<Item = Result<EntryRef<'a>, IndexError>> + Clone,
    {
        let number = *self.used.get(shard).ok_or(IndexError::Empty)?;
        if self.count == 1 {
            return encode(version, entries);
        }
        let is_in = |id: &ContentId| shard_of(id, self.count) == number;
        encode(version, entries.filter(|entry| entry.as_ref().map_or(true, |e| is_in(&e.id))))
    }
}

/// The shard of an id.
pub(super) fn shard_of(id: &ContentId, shards: usize) -> usize {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hash = 0x811c_9dc5_u32;
    let mut add = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    if let Some(prefix) = id.id_prefix() {
        add(prefix.as_byte());
    }
    for byte in id.hash() {
        add(DIGITS[usize::from(byte >> 4)]);
        add(DIGITS[usize::from(byte & 15)]);
    }
    (hash as usize) % shards
}

/// What has to be known before the first byte is written.
struct Survey<'a> {
    count: u32,
    key_size: usize,
    packs: Packs<'a>,
    /// Compression, format version and encryption key, in order of first appearance.
    formats: Vec<(u32, u8, u8)>,
    max_length: u32,
}

impl<'a> Survey<'a> {
    fn of<I>(version: u8, entries: I) -> Result<Self, IndexError>
    where
        I: Iterator<Item = Result<EntryRef<'a>, IndexError>>,
    {
        if !matches!(version, 1 | 2) {
            return Err(IndexError::UnsupportedVersion { version });
        }
        let mut count = 0_usize;
        let mut previous: Option<ContentId> = None;
        let mut survey = Self {
            count: 0,
            key_size: 0,
            packs: Packs::default(),
            formats: Vec::new(),
            max_length: 0,
        };
        for entry in entries {
            let entry = entry?;
            let id = entry.id;
            if previous.is_some_and(|previous| previous >= id) {
                return Err(IndexError::NotSorted { id });
            }
            previous = Some(id);
            let (found, expected) = (id.key().len(), survey.key_size);
            if count == 0 {
                survey.key_size = found;
            } else if found != expected {
                return Err(IndexError::KeyLength { id, found, expected });
            }
            check(version, &entry)?;
            survey.packs.number(entry.pack);
            let format = format_of(&entry);
            if !survey.formats.contains(&format) {
                survey.formats.push(format);
            }
            survey.max_length =
                survey.max_length.max(entry.packed_length).max(entry.original_length);
            count += 1;
        }
        if count == 0 {
            return Err(IndexError::Empty);
        }
        let (packs, formats) = (survey.packs.names.len(), survey.formats.len());
        if version == 2 {
            if formats > V2_MAX_FORMATS {
                return Err(too_many("formats", formats, V2_MAX_FORMATS));
            }
            if packs > V2_MAX_PACKS {
                return Err(too_many("packs", packs, V2_MAX_PACKS));
            }
        }
        let max = u32::MAX as usize;
        survey.count = u32::try_from(count).map_err(|_| too_many("entries", count, max))?;
        Ok(survey)
    }

    /// An empty output with room for all, and the offset at which pack names start.
    fn output(&self, header: usize, value: usize, tables: usize) -> Result<Output, IndexError> {
        let names = header + self.count as usize * (self.key_size + value) + tables;
        let total = names + self.packs.names.iter().map(|name| name.len()).sum::<usize>();
        let max = u32::MAX as usize;
        if total > max {
            return Err(too_many("bytes", total, max)); // names are found by 32-bit offsets
        }
        Ok(Output { bytes: Vec::with_capacity(total), names: names as u32 })
    }
}

struct Output {
    bytes: Vec<u8>,
    names: u32,
}

/// Packs in order of first appearance, and where their names lie in the list of names.
#[derive(Default)]
struct Packs<'a> {
    numbers: HashMap<&'a str, u32>,
    names: Vec<&'a str>,
    offsets: Vec<u32>,
    end: u32,
    last: Option<(&'a str, u32)>,
}

impl<'a> Packs<'a> {
    fn number(&mut self, name: &'a str) -> u32 {
        // contents of a pack are seldom neighbours, except when there are few packs
        if let Some((last, number)) = self.last
            && last == name
        {
            return number;
        }
        let number = *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.offsets.push(self.end);
            self.end = self.end.saturating_add(name.len() as u32);
            self.names.len() as u32 - 1
        });
        self.last = Some((name, number));
        number
    }

    fn offset(&self, number: u32) -> u32 {
        self.offsets.get(number as usize).copied().unwrap_or_default()
    }
}

fn too_many(what: &'static str, count: usize, max: usize) -> IndexError {
    IndexError::TooMany { what, count, max }
}

fn format_of(entry: &EntryRef<'_>) -> (u32, u8, u8) {
    (entry.compression, entry.format_version, entry.encryption_key)
}

/// Whether the version can express the entry.
fn check(version: u8, entry: &EntryRef<'_>) -> Result<(), IndexError> {
    let id = entry.id;
    if !(1..=255).contains(&entry.pack.len()) {
        return Err(IndexError::PackNameLength { id, length: entry.pack.len() });
    }
    let below = |what, value: i64, limit: i64| {
        if (0..limit).contains(&value) {
            return Ok(());
        }
        Err(IndexError::OutOfRange { id, what, value, limit })
    };
    if version == 1 {
        if entry.compression != 0 {
            return Err(IndexError::NotInVersion1 { id, what: "compression" });
        }
        if entry.encryption_key != 0 {
            return Err(IndexError::NotInVersion1 { id, what: "an encryption key id" });
        }
        below("timestamp", entry.timestamp, V1_TIMESTAMP_LIMIT)?;
        below("pack offset", entry.offset.into(), V1_OFFSET_LIMIT.into())
    } else {
        below("timestamp", entry.timestamp, V2_TIMESTAMP_LIMIT)?;
        below("pack offset", entry.offset.into(), V2_OFFSET_LIMIT.into())?;
        below("packed length", entry.packed_length.into(), V2_LENGTH_LIMIT.into())?;
        below("original length", entry.original_length.into(), V2_LENGTH_LIMIT.into())
    }
}

fn encode_v1<'a, I>(survey: &Survey<'a>, entries: I) -> Result<Vec<u8>, IndexError>
where
    I: Iterator<Item = Result<EntryRef<'a>, IndexError>>,
{
    let Output { bytes: mut out, names } = survey.output(V1_HEADER, V1_VALUE, 0)?;
    out.extend([1, survey.key_size as u8]);
    out.extend((V1_VALUE as u16).to_be_bytes());
    out.extend(survey.count.to_be_bytes());
    for entry in entries {
        let entry = entry?;
        let pack = survey.known_pack(&entry)?;
        out.extend_from_slice(entry.id.key());
        out.extend_from_slice(&entry.timestamp.to_be_bytes()[2..]);
        out.extend([entry.format_version, entry.pack.len() as u8]);
        out.extend((names + survey.packs.offset(pack)).to_be_bytes());
        out.extend(offset_and_deleted(&entry).to_be_bytes());
        out.extend(entry.packed_length.to_be_bytes());
    }
    survey.append_names(&mut out);
    Ok(out)
}

fn encode_v2<'a, I>(survey: &Survey<'a>, entries: I) -> Result<Vec<u8>, IndexError>
where
    I: Iterator<Item = Result<EntryRef<'a>, IndexError>>,
{
    let packs = survey.packs.names.len();
    let value_size = if survey.max_length >= V2_SHORT_LENGTH_LIMIT {
        V2_MAX_VALUE
    } else if packs > V2_MAX_SHORT_PACKS {
        V2_MIN_VALUE + 2
    } else if survey.formats.len() > 1 {
        V2_MIN_VALUE + 1
    } else {
        V2_MIN_VALUE
    };
    let tables = packs * V2_PACK + survey.formats.len() * V2_FORMAT;
    let Output { bytes: mut out, names } = survey.output(V2_HEADER, value_size, tables)?;
    out.extend([2, survey.key_size as u8]);
    out.extend((value_size as u16).to_be_bytes());
    out.extend(survey.count.to_be_bytes());
    out.extend((packs as u32).to_be_bytes());
    out.push(survey.formats.len() as u8);
    out.extend(0_u32.to_be_bytes()); // base timestamp: readers add it, writers leave it at 0
    for entry in entries {
        let entry = entry?;
        let pack = survey.known_pack(&entry)?.to_be_bytes();
        let format = survey.formats.iter().position(|f| *f == format_of(&entry)).unwrap_or(0);
        let packed = entry.packed_length.to_be_bytes();
        let original = entry.original_length.to_be_bytes();
        let mut value = [0; V2_MAX_VALUE];
        value[..4].copy_from_slice(&(entry.timestamp as u32).to_be_bytes());
        value[4..8].copy_from_slice(&offset_and_deleted(&entry).to_be_bytes());
        value[8..11].copy_from_slice(&original[1..]);
        value[11..14].copy_from_slice(&packed[1..]);
        value[14..16].copy_from_slice(&pack[2..]);
        value[16] = format as u8;
        value[17] = pack[1];
        value[18] = original[0] << 4 | packed[0];
        out.extend_from_slice(entry.id.key());
        out.extend_from_slice(&value[..value_size]);
    }
    for (name, offset) in survey.packs.names.iter().zip(&survey.packs.offsets) {
        out.push(name.len() as u8);
        out.extend((names + offset).to_be_bytes());
    }
    for (compression, format_version, encryption_key) in &survey.formats {
        out.extend(compression.to_be_bytes());
        out.extend([*format_version, *encryption_key]);
    }
    survey.append_names(&mut out);
    Ok(out)
}

impl Survey<'_> {
    fn known_pack(&self, entry: &EntryRef<'_>) -> Result<u32, IndexError> {
        // an iterator that gives other entries the second time
        self.packs.numbers.get(entry.pack).copied().ok_or(IndexError::NotSorted { id: entry.id })
    }

    fn append_names(&self, out: &mut Vec<u8>) {
        for name in &self.packs.names {
            out.extend_from_slice(name.as_bytes());
        }
    }
}

fn offset_and_deleted(entry: &EntryRef<'_>) -> u32 {
    if entry.deleted { entry.offset | DELETED_BIT } else { entry.offset }
}
