//! What a directory holds in total, itself and everything below it.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Text;
use super::{ExtraKeys, UtcNanos, lossy_text};

/// The totals of a directory: `summary` in its object, `summ` in its parent's entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirSummary {
    /// Bytes of all files below.
    pub size: i64,
    /// Number of files below.
    pub files: i64,
    /// Number of symbolic links below.
    pub symlinks: i64,
    /// Number of directories, this one included.
    pub dirs: i64,
    /// The newest modification time below; never before 1970 unless the directory is empty.
    pub max_time: UtcNanos,
    /// Why this directory is not complete; empty when it is.
    pub incomplete: String,
    /// Entries that could not be read and that count as failures.
    pub failed: i64,
    /// Entries that could not be read although a policy says to go on.
    pub ignored_errors: i64,
    /// The entries behind the two counts, sorted by path.
    pub errors: Vec<FailedEntry>,
    /// Unknown keys.
    pub extra: ExtraKeys,
}

/// An entry that could not be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedEntry {
    /// Path from the root of the snapshot, without a leading `./`.
    pub path: Vec<u8>,
    /// What went wrong.
    pub error: String,
}

impl Serialize for FailedEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("path", &lossy_text(&self.path))?;
        map.serialize_entry("error", &self.error)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for FailedEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Text {
            #[serde(default)]
            path: String,
            #[serde(default)]
            error: String,
        }
        let text = Text::deserialize(deserializer)?;
        Ok(Self { path: text.path.into_bytes(), error: text.error })
    }
}

impl Serialize for DirSummary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("size", &self.size)?;
        map.serialize_entry("files", &self.files)?;
        map.serialize_entry("symlinks", &self.symlinks)?;
        map.serialize_entry("dirs", &self.dirs)?;
        map.serialize_entry("maxTime", &self.max_time)?;
        if !self.incomplete.is_empty() {
            map.serialize_entry("incomplete", &self.incomplete)?;
        }
        map.serialize_entry("numFailed", &self.failed)?;
        if self.ignored_errors != 0 {
            map.serialize_entry("numIgnoredErrors", &self.ignored_errors)?;
        }
        if !self.errors.is_empty() {
            map.serialize_entry("errors", &self.errors)?;
        }
        for (key, value) in self.extra.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for DirSummary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = DirSummary;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a directory summary")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<DirSummary, A::Error> {
                let mut summary = DirSummary::default();
                while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
                    match &*key {
                        "size" => summary.size = or_zero(&mut map)?,
                        "files" => summary.files = or_zero(&mut map)?,
                        "symlinks" => summary.symlinks = or_zero(&mut map)?,
                        "dirs" => summary.dirs = or_zero(&mut map)?,
                        "maxTime" => summary.max_time = map.next_value()?,
                        "incomplete" => summary.incomplete = or_zero(&mut map)?,
                        "numFailed" => summary.failed = or_zero(&mut map)?,
                        "numIgnoredErrors" => summary.ignored_errors = or_zero(&mut map)?,
                        "errors" => summary.errors = or_zero(&mut map)?,
                        other => summary.extra.insert(other.to_owned(), map.next_value()?),
                    }
                }
                Ok(summary)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The next value of a map, with `null` standing for the zero value as in Go.
pub(super) fn or_zero<'de, T, A>(map: &mut A) -> Result<T, A::Error>
where
    T: Deserialize<'de> + Default,
    A: serde::de::MapAccess<'de>,
{
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}
