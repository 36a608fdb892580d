//! Directory objects: the JSON that lists one directory of a snapshot.
//!
//! ```text
//! {"stream":"kopia:directory","entries":[ENTRY,...],"summary":SUMMARY}\n
//! ```
//!
//! The bytes are hashed, so two programs share directories only if they agree on every byte:
//! key order, omitted zeros, Go's escapes, directories before everything else and names in the
//! order of their raw bytes (`kopia:snapshot/snapshotfs/dir_manifest_builder.go`). An empty
//! directory has `null` for its entries.
//!
//! Names are bytes, as the file system gave them. A name that is not UTF-8 is written with each
//! invalid byte replaced by the six characters `\ufffd`, which is what the stock program does
//! and which loses the original; sorting happens before that replacement.
//!
//! [`DirEntry`] and [`DirSummary`] also appear in snapshot manifests, as the root entry.

mod builder;
mod entry;
mod mode;
mod read;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod write;

pub use builder::DirBuilder;
pub use entry::{DirEntry, EntryType};
pub use mode::{ParseModeError, Permissions};
pub use read::{DirectoryError, DirectoryManifest, visit_entries};
pub use summary::{DirSummary, FailedEntry};
pub use text::{lossy_text, write_json_string};
pub use time::{ParseTimeError, UtcNanos};
pub use write::{write_directory, write_entry, write_summary};

/// What `stream` must say.
pub const STREAM_TYPE: &str = "kopia:directory";

/// Keys that this version does not know. They are kept and written again, behind the known
/// ones, so that a newer program's additions survive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExtraKeys(Option<Box<serde_json::Map<String, serde_json::Value>>>);

impl ExtraKeys {
    /// Remembers one key.
    pub fn insert(&mut self, key: String, value: serde_json::Value) {
        self.0.get_or_insert_default().insert(key, value);
    }

    /// The keys in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        self.0.iter().flat_map(|map| map.iter())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|map| map.is_empty())
    }
}
