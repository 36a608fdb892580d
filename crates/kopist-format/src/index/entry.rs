//! One entry, and which of two entries wins.

use std::{borrow::Borrow, cmp::Ordering, fmt, ops::Deref, sync::Arc};

use crate::id::ContentId;

/// The name of a pack blob; cheap to clone, since thousands of entries share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackName(Arc<str>);

impl PackName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for PackName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PackName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for PackName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PackName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for PackName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Arc<str>> for PackName {
    fn from(name: Arc<str>) -> Self {
        Self(name)
    }
}

impl From<PackName> for Arc<str> {
    fn from(name: PackName) -> Self {
        name.0
    }
}

impl PartialEq<str> for PackName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for PackName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where a content lies, as one index says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The content.
    pub id: ContentId,
    /// The pack blob that holds it.
    pub pack: PackName,
    /// First byte of the content in the pack.
    pub offset: u32,
    /// Stored length: after compression, encryption and error correction.
    pub packed_length: u32,
    /// Length of the plaintext.
    pub original_length: u32,
    /// Unix seconds of the write, or of the deletion.
    pub timestamp: i64,
    /// A tombstone; the other fields still say where the data was.
    pub deleted: bool,
    /// Repository format version at the time of the write.
    pub format_version: u8,
    /// Compression header id, 0 for none.
    pub compression: u32,
    /// Always 0; a reader refuses others.
    pub encryption_key: u8,
}

impl Entry {
    /// This entry with its pack name borrowed.
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef {
            id: self.id,
            pack: &self.pack,
            offset: self.offset,
            packed_length: self.packed_length,
            original_length: self.original_length,
            timestamp: self.timestamp,
            deleted: self.deleted,
            format_version: self.format_version,
            compression: self.compression,
            encryption_key: self.encryption_key,
        }
    }
}

/// An [`Entry`] whose pack name lies in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryRef<'a> {
    /// The content.
    pub id: ContentId,
    /// The pack blob that holds it.
    pub pack: &'a str,
    /// First byte of the content in the pack.
    pub offset: u32,
    /// Stored length: after compression, encryption and error correction.
    pub packed_length: u32,
    /// Length of the plaintext.
    pub original_length: u32,
    /// Unix seconds of the write, or of the deletion.
    pub timestamp: i64,
    /// A tombstone; the other fields still say where the data was.
    pub deleted: bool,
    /// Repository format version at the time of the write.
    pub format_version: u8,
    /// Compression header id, 0 for none.
    pub compression: u32,
    /// Always 0; a reader refuses others.
    pub encryption_key: u8,
}

impl EntryRef<'_> {
    /// A copy that stands alone.
    pub fn to_entry(&self) -> Entry {
        self.with_pack(self.pack.into())
    }

    /// A copy that stands alone, with a pack name that the caller shares among entries.
    pub fn with_pack(&self, pack: PackName) -> Entry {
        Entry {
            id: self.id,
            pack,
            offset: self.offset,
            packed_length: self.packed_length,
            original_length: self.original_length,
            timestamp: self.timestamp,
            deleted: self.deleted,
            format_version: self.format_version,
            compression: self.compression,
            encryption_key: self.encryption_key,
        }
    }
}

/// Which of two entries for the same content counts: the greater one.
///
/// Later beats earlier; at the same second live beats deleted; then the byte-wise greater pack
/// name. Every client decides by this rule, garbage collection included, so it must be exact
/// (`kopia:repo/content/index/merged.go`). Two entries that are equal by it describe the same
/// bytes.
pub fn wins(a: &EntryRef<'_>, b: &EntryRef<'_>) -> Ordering {
    a.timestamp
        .cmp(&b.timestamp)
        .then_with(|| b.deleted.cmp(&a.deleted))
        .then_with(|| a.pack.as_bytes().cmp(b.pack.as_bytes()))
}
