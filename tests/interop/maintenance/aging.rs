//! A repository grows older.
//!
//! Programs that go by the system's clock cannot be told that a day has passed. But a day in which
//! nothing happens is the same as one by which everything that has happened lies further back:
//! the storage's times of all blobs, the times of contents in index blobs, watermarks, session
//! markers, and the history of maintenance. [`Aging::pass`] moves all of these back, as if the
//! clock had gone on.
//!
//! The times of snapshots and of manifests stay; tests keep snapshots by their number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use filetime::{FileTime, set_file_mtime};
use jiff::{SignedDuration, Timestamp};
use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_blob::{BlobStore, PutOptions, list_all};
use kopist_format::blob_crypto::{open_blob, seal_blob};
use kopist_format::encryption::ContentCipher;
use kopist_format::epoch::{watermark_name, watermark_of};
use kopist_format::format_blob::{
    FORMAT_BLOB, FormatBlob, RepositoryFormat, open_maintenance_schedule, seal_maintenance_schedule,
};
use kopist_format::hashing::ContentHasher;
use kopist_format::index::{Index, IndexBuilder};
use kopist_format::json::{ZERO_TIME, to_go_json};
use kopist_format::kdf::FormatKey;
use kopist_format::maintenance::{SCHEDULE_BLOB, Schedule};
use kopist_format::session::SessionMarker;

/// Makes a filesystem repository older.
pub(super) struct Aging {
    repository: PathBuf,
    format: RepositoryFormat,
    key: FormatKey,
    unique_id: Vec<u8>,
    cipher: ContentCipher,
    hasher: ContentHasher,
}

impl Aging {
    /// For a repository with epochs.
    pub(super) fn new(repository: &Path, password: &str) -> Self {
        let stored = std::fs::read(repository.join(format!("{FORMAT_BLOB}.f"))).unwrap();
        let blob = FormatBlob::parse(&stored).unwrap();
        let key = blob.derive_key(&password.into()).unwrap();
        let format = blob.open(&key).unwrap();
        assert!(format.mutable.epoch.enabled);
        Self {
            repository: repository.to_owned(),
            unique_id: blob.unique_id,
            cipher: format.cipher().unwrap(),
            hasher: format.hasher().unwrap(),
            format,
            key,
        }
    }

    /// This much time passes in which nobody does anything.
    pub(super) fn pass(&self, time: SignedDuration) {
        let store = FilesystemStore::open(FilesystemConfig::new(&self.repository)).unwrap();
        let files: BTreeMap<String, PathBuf> =
            files(&self.repository).map(|path| (self.name(&path), path)).collect();
        for blob in list_all(&store, "").unwrap() {
            let name = blob.id.as_str();
            let before = blob.timestamp - time;
            if let Some((older, body)) = self.older(name, &files[name], time) {
                if older != name {
                    store.delete(&blob.id).unwrap();
                }
                let options = PutOptions::with_mod_time(before);
                store.put(&older.as_str().into(), &[&body], &options).unwrap();
            } else {
                let (seconds, nanos) = (before.as_second(), before.subsec_nanosecond());
                let time = FileTime::from_unix_time(seconds, u32::try_from(nanos).unwrap());
                set_file_mtime(&files[name], time).unwrap();
            }
        }
    }

    /// The name of the blob in a file.
    fn name(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.repository).unwrap();
        let name: String = path.iter().map(|part| part.to_str().unwrap()).collect();
        name.strip_suffix(".f").unwrap_or(&name).to_owned()
    }

    /// Name and body of a blob with times in it; nothing for the others.
    fn older(&self, name: &str, path: &Path, by: SignedDuration) -> Option<(String, Vec<u8>)> {
        let body = || std::fs::read(path).unwrap();
        let open = || open_blob(&self.cipher, name, &body()).unwrap();
        let seal = |plain: &[u8]| {
            let (head, suffix) = name.split_once('-').unwrap();
            let prefix = match head.rsplit_once('_') {
                Some((prefix, _)) => format!("{prefix}_"),
                None => head[..1].to_owned(),
            };
            seal_blob(&self.hasher, &self.cipher, plain, &prefix, suffix).unwrap()
        };
        if name.starts_with("xw") {
            let seconds = watermark_of(name).unwrap() - by.as_secs();
            Some((watermark_name(seconds), body()))
        } else if ["xn", "xs", "xr"].iter().any(|prefix| name.starts_with(prefix)) {
            let index = Index::parse(open(), 28).unwrap();
            let mut builder = IndexBuilder::new();
            for entry in index.iter() {
                let mut entry = entry.unwrap().to_entry();
                entry.timestamp -= by.as_secs();
                builder.add(entry);
            }
            let shards = builder.build_stable(index.version()).unwrap();
            Some(seal(&shards[0]))
        } else if name.starts_with('s') {
            let mut marker: SessionMarker = serde_json::from_slice(&open()).unwrap();
            marker.start_time = shifted(marker.start_time, by);
            marker.checkpoint_time = shifted(marker.checkpoint_time, by);
            Some(seal(&to_go_json(&marker).unwrap()))
        } else if name == SCHEDULE_BLOB {
            let json = open_maintenance_schedule(&self.format, &self.key, &self.unique_id, &body());
            let mut schedule: Schedule = serde_json::from_slice(&json.unwrap()).unwrap();
            schedule.next_full_maintenance = shifted(schedule.next_full_maintenance, by);
            schedule.next_quick_maintenance = shifted(schedule.next_quick_maintenance, by);
            for run in schedule.runs.values_mut().flatten() {
                run.start = shifted(run.start, by);
                run.end = shifted(run.end, by);
            }
            let json = to_go_json(&schedule).unwrap();
            let sealed = seal_maintenance_schedule(&self.format, &self.key, &self.unique_id, &json);
            Some((name.to_owned(), sealed.unwrap()))
        } else {
            None
        }
    }
}

fn files(repository: &Path) -> impl Iterator<Item = PathBuf> {
    walkdir::WalkDir::new(repository)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
}

fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    if time == ZERO_TIME { time } else { time - by }
}
