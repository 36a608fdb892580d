//! The description of a golden repository, `NAME.json`, as typed values.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::tree::Entry;

/// What `NAME.json` says. Fields that only few tests look at stay JSON values.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// Name of the repository.
    pub name: String,
    /// Which axis of the format it belongs to: `format`, `hash`, `ecc`, `broken`, …
    pub group: String,
    /// One sentence.
    pub description: String,
    /// Program that wrote it.
    pub created_with: CreatedWith,
    /// The repository's password.
    pub password: String,
    /// User of the client that wrote it.
    pub username: String,
    /// Host of the client that wrote it.
    pub hostname: String,
    /// The archive file.
    pub archive: Archive,
    /// Observations made while it was created.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What kopia reported of the intact repository.
    pub oracle: Option<Oracle>,
    /// Snapshots of an intact repository.
    #[serde(default)]
    pub snapshots: Vec<Snapshot>,
    /// Root object → everything below it, as restored by kopia.
    #[serde(default)]
    pub trees: BTreeMap<String, Vec<Entry>>,
    /// Commands that kopia was given, with their outcome (broken repositories).
    #[serde(default)]
    pub expected: Vec<ExpectedCommand>,
    /// What kopia could still restore (broken repositories).
    #[serde(default)]
    pub expected_restore: Vec<ExpectedRestore>,
    /// Snapshots that kopia still lists (broken repositories).
    #[serde(default)]
    pub visible_snapshots: Vec<VisibleSnapshot>,
    /// Root object → what an undamaged copy restores to (broken repositories).
    #[serde(default)]
    pub trees_intact: BTreeMap<String, Vec<Entry>>,
    /// Steps tried to repair it, and their result.
    #[serde(default)]
    pub repair: Option<Value>,
    /// Files of the repository (broken repositories; else in [`Oracle::blobs`]).
    #[serde(default, rename = "blobs")]
    broken_blobs: Vec<BlobFile>,
    /// Everything else.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

impl Description {
    /// Every file of the repository.
    pub fn blobs(&self) -> &[BlobFile] {
        self.oracle.as_ref().map_or(&self.broken_blobs, |oracle| &oracle.blobs)
    }

    /// Whether the repository is damaged on purpose.
    pub fn is_broken(&self) -> bool {
        self.group == "broken"
    }

    /// The outcome of the first command that starts with `start`.
    pub fn expected(&self, start: &str) -> Option<&ExpectedCommand> {
        self.expected.iter().find(|command| command.cmd.starts_with(start))
    }
}

/// The program that wrote a repository.
#[derive(Clone, Debug, Deserialize)]
pub struct CreatedWith {
    /// `kopia v0.23.1`, …
    pub version: String,
    /// Whether the clock was set by the test, so that days passed in seconds.
    #[serde(default)]
    pub simulated_clock: bool,
}

/// The archive of a repository.
#[derive(Clone, Debug, Deserialize)]
pub struct Archive {
    /// File name.
    pub file: String,
    /// The one directory in it.
    pub top_directory: String,
    /// Length of the file.
    pub bytes: u64,
    /// Digest of the file, in hex.
    pub sha256: String,
}

/// What kopia's commands printed about an intact repository.
#[derive(Clone, Debug, Deserialize)]
pub struct Oracle {
    /// `repository status --json`
    pub repository_status: Value,
    /// `manifest list --json`, each with its `data`.
    pub manifests: Vec<Value>,
    /// `policy list --json`, each with its definition.
    pub policies: Vec<Value>,
    /// `content list --json --deleted`.
    pub contents: Vec<ContentEntry>,
    /// `index list --json`.
    pub indexes_active: Vec<Value>,
    /// `index list --json --superseded`.
    pub indexes_all: Vec<Value>,
    /// `maintenance info --json`.
    pub maintenance: Value,
    /// Files of the repository's directory.
    pub blobs: Vec<BlobFile>,
}

/// One entry of `content list --json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ContentEntry {
    /// Content ID.
    #[serde(rename = "contentID")]
    pub content_id: String,
    /// Blob that holds it.
    pub pack_file: String,
    /// Offset in the blob.
    #[serde(default)]
    pub pack_offset: u32,
    /// Length in the blob.
    pub length: u32,
    /// Length of the data.
    pub original_length: u32,
    /// Unix seconds.
    pub time: i64,
    /// Tombstone.
    #[serde(default)]
    pub deleted: bool,
    /// Version of the format it was written in.
    #[serde(default)]
    pub format_version: u8,
    /// Compressor's header ID, 0 for none.
    #[serde(default)]
    pub compression: u32,
    /// Number of the encryption key.
    #[serde(default)]
    pub encryption_key: u8,
}

/// One file of the repository's directory.
#[derive(Clone, Debug, Deserialize)]
pub struct BlobFile {
    /// Path below the directory.
    pub file: String,
    /// Length.
    pub length: u64,
    /// Unix nanoseconds.
    pub mtime_ns: i64,
}

/// One snapshot as `snapshot list --json` shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Manifest ID.
    pub id: String,
    /// What was backed up.
    pub source: SnapshotSource,
    /// RFC 3339.
    pub start_time: String,
    /// RFC 3339.
    pub end_time: String,
    /// Object ID of the root entry.
    pub root: String,
    /// `d` or `f`.
    pub root_type: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Labels, each key with its `tag:` prefix.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Pins.
    #[serde(default)]
    pub pins: Vec<String>,
    /// Why it is incomplete, empty for a complete one.
    #[serde(default)]
    pub incomplete: String,
    /// Why retention keeps it (time zone UTC).
    #[serde(default)]
    pub retention_reason: Vec<String>,
}

/// What was backed up.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSource {
    /// Host name.
    pub host: String,
    /// User name.
    pub user_name: String,
    /// Absolute path.
    pub path: String,
}

/// A snapshot that a broken repository still lists.
#[derive(Clone, Debug, Deserialize)]
pub struct VisibleSnapshot {
    /// Manifest ID.
    pub id: String,
    /// What was backed up.
    pub source: SnapshotSource,
    /// Object ID of the root entry.
    pub root: String,
}

/// A command given to kopia, and what came of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ExpectedCommand {
    /// Arguments, with `REPO`, `TMP`, `WORK` in place of directories.
    pub cmd: String,
    /// Exit code, or the text `timeout`.
    pub rc: Value,
    /// Lines.
    #[serde(default)]
    pub stdout: Vec<String>,
    /// Lines.
    #[serde(default)]
    pub stderr: Vec<String>,
}

impl ExpectedCommand {
    /// Whether kopia reported success.
    pub fn succeeded(&self) -> bool {
        self.rc == 0
    }
}

/// What `snapshot restore --ignore-errors` of a broken repository gave.
#[derive(Clone, Debug, Deserialize)]
pub struct ExpectedRestore {
    /// Manifest ID.
    pub snapshot: String,
    /// Object ID of the root entry, a key of [`Description::trees_intact`].
    pub root: String,
    /// Paths that were not restored.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Paths that were restored with other bytes.
    #[serde(default)]
    pub different: Vec<String>,
    /// Paths that should not be there.
    #[serde(default)]
    pub unexpected: Vec<String>,
}
