//! Reading directory objects.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::text::Text;
use super::{DirEntry, DirSummary, STREAM_TYPE, lossy_text};

/// A directory object in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirectoryManifest {
    /// The entries as stored: directories first, then by name.
    pub entries: Vec<DirEntry>,
    /// The totals, when the writer gave them.
    pub summary: Option<DirSummary>,
}

/// The bytes are not a directory object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The JSON is damaged or has another shape.
    #[error("this is not a directory object ({0}); verify the snapshot to find what is damaged")]
    Json(#[from] serde_json::Error),
    /// It is an object of another kind.
    #[error("invalid directory stream type {0:?}, expected \"kopia:directory\"")]
    StreamType(String),
}

impl DirectoryManifest {
    /// Reads a directory object. Whatever follows the first JSON value is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let mut entries = Vec::new();
        let summary = visit_entries(bytes, &mut |entry| entries.push(entry))?;
        Ok(Self { entries, summary })
    }

    /// The bytes of the object, in the order in which the entries stand.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 * self.entries.len() + 200);
        let none = DirSummary::default();
        super::write_directory(&mut out, &self.entries, self.summary.as_ref().unwrap_or(&none));
        out
    }
}

/// Reads a directory object entry by entry and returns its summary.
pub fn visit_entries(
    bytes: &[u8],
    visit: &mut dyn FnMut(DirEntry),
) -> Result<Option<DirSummary>, DirectoryError> {
    // Go writes valid UTF-8 only and replaces what is not when it reads; checking once here is
    // also faster than checking string by string.
    let text: Cow<'_, str> = lossy_text(bytes);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let (stream, summary) = Root { visit }.deserialize(&mut deserializer)?;
    if stream != STREAM_TYPE {
        return Err(DirectoryError::StreamType(stream));
    }
    Ok(summary)
}

struct Root<'v> {
    visit: &'v mut dyn FnMut(DirEntry),
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = (String, Option<DirSummary>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = (String, Option<DirSummary>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a directory object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut stream, mut summary) = (String::new(), None);
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match &*key {
                "stream" => {
                    stream = map.next_value::<Option<String>>()?.unwrap_or_default();
                    // Anything else stops here rather than after a confusing shape error.
                    if stream != STREAM_TYPE {
                        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                        break;
                    }
                }
                "entries" => map.next_value_seed(Entries { visit: self.visit })?,
                "summary" => summary = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((stream, summary))
    }
}

struct Entries<'v> {
    visit: &'v mut dyn FnMut(DirEntry),
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of directory entries or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Option<DirEntry>>()? {
            if let Some(entry) = entry {
                (self.visit)(entry);
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for DirectoryManifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut entries = Vec::new();
        let (_, summary) =
            Root { visit: &mut |entry| entries.push(entry) }.deserialize(deserializer)?;
        Ok(Self { entries, summary })
    }
}
