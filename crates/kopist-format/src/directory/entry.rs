//! One entry of a directory.

use std::borrow::Cow;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::summary::or_zero;
use super::text::Text;
use super::{DirSummary, ExtraKeys, Permissions, UtcNanos, lossy_text};
use crate::id::ObjectId;

/// What an entry is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EntryType {
    /// A regular file, `f`.
    #[default]
    File,
    /// A directory, `d`.
    Directory,
    /// A symbolic link, `s`; its object is the target.
    Symlink,
    /// Something that this version does not know; the text is kept. May be empty.
    Other(Box<str>),
}

impl EntryType {
    /// The text in the `type` key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::File => "f",
            Self::Directory => "d",
            Self::Symlink => "s",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for EntryType {
    fn from(text: &str) -> Self {
        match text {
            "f" => Self::File,
            "d" => Self::Directory,
            "s" => Self::Symlink,
            other => Self::Other(other.into()),
        }
    }
}

/// One entry of a directory, or the root entry of a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirEntry {
    /// Base name as raw bytes.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: EntryType,
    /// Permission bits in Go's numbering.
    pub mode: Permissions,
    /// File: bytes stored. Symbolic link: bytes of the target. Directory: 0.
    pub size: i64,
    /// Modification time.
    pub mtime: UtcNanos,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Where the content is; `None` only when a broken writer left it empty.
    pub object: Option<ObjectId>,
    /// Directories: what they hold.
    pub summary: Option<Box<DirSummary>>,
    /// Unknown keys.
    pub extra: ExtraKeys,
}

impl DirEntry {
    /// Whether this is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == EntryType::Directory
    }

    /// The name as a reader of the JSON sees it: invalid bytes replaced by U+FFFD.
    #[must_use]
    pub fn name_text(&self) -> Cow<'_, str> {
        lossy_text(&self.name)
    }
}

impl Serialize for DirEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.name.is_empty() {
            map.serialize_entry("name", &lossy_text(&self.name))?;
        }
        if !self.kind.as_str().is_empty() {
            map.serialize_entry("type", self.kind.as_str())?;
        }
        if self.mode.0 != 0 {
            map.serialize_entry("mode", &format_args!("{}", self.mode))?;
        }
        if self.size != 0 {
            map.serialize_entry("size", &self.size)?;
        }
        if self.mtime.0 != 0 {
            map.serialize_entry("mtime", &self.mtime)?;
        }
        if self.uid != 0 {
            map.serialize_entry("uid", &self.uid)?;
        }
        if self.gid != 0 {
            map.serialize_entry("gid", &self.gid)?;
        }
        match &self.object {
            Some(object) => map.serialize_entry("obj", object)?,
            None => map.serialize_entry("obj", "")?,
        }
        if let Some(summary) = &self.summary {
            map.serialize_entry("summ", summary)?;
        }
        for (key, value) in self.extra.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for DirEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> serde::de::Visitor<'de> for EntryVisitor {
    type Value = DirEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a directory entry")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<DirEntry, A::Error> {
        let mut entry = DirEntry { kind: EntryType::Other("".into()), ..DirEntry::default() };
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match key {
                Key::Name => {
                    let Text(name) = map.next_value()?;
                    entry.name = name.as_bytes().into();
                }
                Key::Type => {
                    let Text(kind) = map.next_value()?;
                    entry.kind = EntryType::from(&*kind);
                }
                Key::Mode => {
                    let Text(mode) = map.next_value()?;
                    entry.mode = mode.parse().map_err(serde::de::Error::custom)?;
                }
                Key::Size => entry.size = or_zero(&mut map)?,
                Key::Mtime => entry.mtime = map.next_value()?,
                Key::Uid => entry.uid = or_zero(&mut map)?,
                Key::Gid => entry.gid = or_zero(&mut map)?,
                Key::Obj => {
                    let Text(object) = map.next_value()?;
                    entry.object = match &*object {
                        "" => None,
                        text => Some(text.parse().map_err(serde::de::Error::custom)?),
                    };
                }
                Key::Summ => entry.summary = map.next_value()?,
                Key::Other(key) => entry.extra.insert(key.into_owned(), map.next_value()?),
            }
        }
        Ok(entry)
    }
}

/// The keys of an entry, told apart without allocating.
enum Key<'de> {
    Name,
    Type,
    Mode,
    Size,
    Mtime,
    Uid,
    Gid,
    Obj,
    Summ,
    Other(Cow<'de, str>),
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        Ok(match &*text {
            "name" => Key::Name,
            "type" => Key::Type,
            "mode" => Key::Mode,
            "size" => Key::Size,
            "mtime" => Key::Mtime,
            "uid" => Key::Uid,
            "gid" => Key::Gid,
            "obj" => Key::Obj,
            "summ" => Key::Summ,
            _ => Key::Other(text),
        })
    }
}
