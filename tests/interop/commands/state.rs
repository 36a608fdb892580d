//! What a client has: its repository, its connection and the files that commands wrote for it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use kopist_blob::{FilesystemConfig, FilesystemStore};
use kopist_format::manifest::Labels;
use kopist_repo::{KeyRange, ManifestView, OpenOptions, Repository};
use kopist_testkit::tree;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::normal::Normal;
use crate::pair::blobs;

/// A description, item by item, in which two repositories that were treated alike are equal.
///
/// Not compared are the names of blobs, which are random; how many contents the manifests are in,
/// since each program compacts those in moments of its own; and whether a content is compressed,
/// because one program's compressor may save a byte where the other's does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State(BTreeMap<String, String>);

impl State {
    /// Reads what is in a repository, with this project's library: whether kopia reads the same
    /// is what the other tests show. Manifests that are new get names.
    pub(super) fn of_repository(
        directory: &Path,
        password: &SecretString,
        normal: &mut Normal,
    ) -> Self {
        let mut state = Self::default();
        let store = FilesystemStore::open(FilesystemConfig::new(directory)).unwrap();
        let options = OpenOptions { read_only: true, permissive: true, ..OpenOptions::default() };
        let repository = Repository::open(Arc::new(store), password, options).unwrap();
        state.contents(&repository);
        state.manifests(&repository.manifests().unwrap(), normal);
        state.settings(&repository, normal);
        for kind in ["p", "s"] {
            let count = blobs(directory).keys().filter(|name| name.starts_with(kind)).count();
            state.0.insert(format!("number of {kind} blobs"), count.to_string());
        }
        state
    }

    fn contents(&mut self, repository: &Repository) {
        repository
            .contents(&KeyRange::all(), &mut |entry| {
                let id = entry.id.to_string();
                // Random IDs are in those of manifests.
                if !id.starts_with('m') {
                    let deleted = if entry.deleted { " deleted" } else { "" };
                    let (length, version) = (entry.original_length, entry.format_version);
                    let value = format!("{length} bytes, version {version}{deleted}");
                    self.0.insert(format!("content {id}"), value);
                }
                Ok(())
            })
            .unwrap();
    }

    fn manifests(&mut self, view: &ManifestView, normal: &mut Normal) {
        let payload =
            |id: &str| -> Value { serde_json::from_str(view.payload_json(id).unwrap()).unwrap() };
        // One command may write several, in any order.
        let mut entries: Vec<_> = view.entries().collect();
        entries.sort_by_key(|entry| {
            let payload = payload(&entry.id);
            format!("{:?} {} {}", entry.labels, payload["startTime"], payload["rootEntry"])
        });
        let kind = |labels: &Labels| labels.get("type").cloned().unwrap_or_default();
        normal.see_manifests(entries.iter().map(|entry| (entry.id.as_str(), kind(&entry.labels))));
        for entry in entries {
            let value = json!({ "labels": entry.labels, "payload": payload(&entry.id) });
            let name = normal.text(&entry.id);
            self.0.insert(format!("manifest {name}"), normal.text(&value.to_string()));
        }
    }

    fn settings(&mut self, repository: &Repository, normal: &Normal) {
        let format = repository.format();
        let mut value = serde_json::to_value(&*format).unwrap();
        if let Some(object) = value.as_object_mut() {
            object.retain(|key, _| key != "secret" && key != "masterKey");
        }
        self.0.insert("format".to_owned(), normal.text(&value.to_string()));
        let retention = repository.blob_cfg();
        let value = json!([retention.retention_mode, retention.retention_period.as_nanos()]);
        self.0.insert("retention".to_owned(), value.to_string());
        let schedule = repository.maintenance_schedule().unwrap();
        let tasks: BTreeSet<_> = schedule.runs.keys().collect();
        self.0.insert("maintenance tasks".to_owned(), format!("{tasks:?}"));
        let next = [schedule.next_quick_maintenance, schedule.next_full_maintenance];
        self.0.insert("next maintenance".to_owned(), normal.text(&format!("{next:?}")));
    }

    /// Adds the configuration file.
    pub(super) fn add_connection(&mut self, file: &Path, normal: &Normal) {
        let text = std::fs::read_to_string(file).unwrap_or_else(|_| "{}".to_owned());
        let mut value: Value = serde_json::from_str(&text).unwrap();
        // It is named after a digest of the file's own path.
        if let Some(directory) = value.pointer_mut("/caching/cacheDirectory") {
            *directory = Value::Null;
        }
        // 7.0 is 7.
        let text = value.to_string().replace(".0,", ",").replace(".0}", "}");
        self.0.insert("connection".to_owned(), normal.text(&text));
        let saved = file.with_extension("config.kopia-password").is_file();
        self.0.insert("saved password".to_owned(), saved.to_string());
    }

    /// Adds the files below a directory.
    pub(super) fn add_files(&mut self, directory: &Path, normal: &Normal) {
        for entry in tree::list(directory).into_iter().skip(1) {
            let file = directory.join(&entry.path);
            let path = normal.text(&entry.path);
            let is_text = entry.size.is_some_and(|size| size < 100_000);
            let text = is_text.then(|| std::fs::read_to_string(file).ok()).flatten();
            let value = match text {
                Some(text) => normal.text(&text),
                None => format!("{:?} {:?}", entry.sha256, entry.size),
            };
            // kopia rounds the times of links to microseconds.
            if entry.kind == 's' {
                self.0.insert(format!("file {path}"), format!("link to {:?}", entry.target));
                continue;
            }
            let mode = entry.mode.unwrap_or_default();
            let time = Timestamp::from_nanosecond(i128::from(entry.mtime_ns)).unwrap();
            let time = normal.text(&time.to_string());
            self.0.insert(format!("file {path}"), format!("{} {mode} {time} {value}", entry.kind));
        }
    }

    /// Items that are different, as lines.
    pub(super) fn differences(&self, other: &Self) -> BTreeSet<String> {
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        keys.into_iter()
            .filter(|key| self.0.get(*key) != other.0.get(*key))
            .map(|key| {
                let value = |state: &Self| state.0.get(key).map_or("nothing", |v| v).to_owned();
                format!("{key}\n      kopist: {}\n      kopia:  {}", value(self), value(other))
            })
            .collect()
    }
}

/// Name, length and time of each file of a repository, but for logs: a command that only reads
/// leaves it as it is.
pub(super) fn fingerprint(directory: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let path = entry.path().strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
            let meta = entry.metadata().unwrap();
            (!path.starts_with('_')).then(|| (path, (meta.len(), meta.mtime(), meta.mtime_nsec())))
        })
        .collect()
}
