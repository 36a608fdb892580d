//! Google Drive: files in one folder, found by name.
//!
//! Drive knows files by ids, and several may have one name. A blob is the newest file of its
//! name; the others are what two writers leave that come at the same time, and a deletion removes
//! all of them.
//!
//! A search may not know for a while what has just been stored or deleted. So a name that is not
//! found is looked for again, and what this process has changed lately counts more than what a
//! search tells.
//!
//! * [`config`]: the settings;
//! * [`api`]: requests, tokens, what refusals mean;
//! * [`recent`]: what has been changed lately.
//!
//! Facts: kopia:repo/blob/gdrive. What differs: kopia fails where two files have one name.

mod api;
mod config;
mod recent;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Capacity, Feature, Operation,
    PutOptions, StorageConfig, Target,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

use super::Context;
use crate::http::{Fetched, length, read};
use api::Api;
use config::Config;
use recent::Recent;

/// What kopia's files say they are.
const MIME_TYPE: &str = "application/x-kopia";

/// Drive searches names by this many bytes of a prefix.
const SEARCHABLE: usize = 26;

/// How often a name is looked for before it is believed to be missing, and after which wait.
const LOOKS: usize = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Drive takes more than that, in bytes, only in two requests.
const LARGEST_MULTIPART: u64 = 5_000_000;

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    tracing::debug!("kopia no longer maintains its own support of Google Drive");
    let store = DriveStore {
        storage: storage.clone(),
        api: Api::new(&config, context.roots.clone())?,
        folder: config.folder_id,
        known: Mutex::default(),
        recent: Mutex::default(),
        attempts: context.attempts.clone(),
    };
    // A folder that is not there shows now.
    let any = "name = 'kopia.repository' and ";
    let target = store.api.site().target();
    context.attempts.run(|| store.search(any, "", Operation::Open, &target))?;
    Ok(Arc::new(store))
}

/// A store in a folder of Google Drive.
#[derive(Debug)]
struct DriveStore {
    storage: StorageConfig,
    api: Api,
    folder: String,
    /// Ids of files whose names we have seen.
    known: Mutex<HashMap<BlobId, String>>,
    recent: Mutex<Recent>,
    attempts: Attempts,
}

/// What Drive tells of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    id: String,
    #[serde(default)]
    name: String,
    /// A decimal number.
    #[serde(default)]
    size: String,
    modified_time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    files: Vec<File>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    storage_quota: Quota,
}

#[derive(Deserialize)]
struct Quota {
    #[serde(default)]
    limit: String,
    #[serde(default)]
    usage: String,
}

impl File {
    fn meta(&self, id: BlobId) -> BlobMeta {
        let length = self.size.parse().unwrap_or_default();
        BlobMeta { id, length, timestamp: self.modified_time }
    }
}

/// Text between quotes of a search.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl DriveStore {
    fn search(
        &self,
        condition: &str,
        token: &str,
        operation: Operation,
        target: &Target,
    ) -> Result<Page, BlobError> {
        let search = format!(
            "{} in parents and {condition}mimeType = {} and trashed = false",
            quoted(&self.folder),
            quoted(MIME_TYPE)
        );
        let mut query = vec![
            ("q", search.as_str()),
            ("fields", "files(id,name,size,modifiedTime),nextPageToken"),
            ("pageSize", "1000"),
            ("supportsAllDrives", "true"),
            ("includeItemsFromAllDrives", "true"),
        ];
        if !token.is_empty() {
            query.push(("pageToken", token));
        }
        let url = self.api.url(&format!("/drive/v3/files?{}", crate::http::query(&query)));
        self.api.json("GET", &url, None, operation, target)
    }

    /// Visits all files that a search finds, but for those that are known to be gone.
    fn search_all(
        &self,
        condition: &str,
        operation: Operation,
        target: &Target,
        mut visit: impl FnMut(File),
    ) -> Result<(), BlobError> {
        let mut token = String::new();
        loop {
            // A page may be empty and have a successor.
            let page = self.attempts.run(|| self.search(condition, &token, operation, target))?;
            for file in page.files {
                if !self.recent.lock().is_gone(&file.id) {
                    visit(file);
                }
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            if page.next_page_token == token {
                let what = "a page has no successor";
                return Err(self.api.site().nonsense(what, operation, target));
            }
            token = page.next_page_token;
        }
    }

    /// All files of a name, the newest first.
    fn find_all(
        &self,
        id: &BlobId,
        operation: Operation,
        target: &Target,
    ) -> Result<Vec<File>, BlobError> {
        id.check()?;
        let condition = format!("name = {} and ", quoted(id.as_str()));
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(LOOK_AGAIN);
            }
            let mut files = Vec::new();
            self.search_all(&condition, operation, target, |file| files.push(file))?;
            if files.is_empty() {
                files.extend(self.recent.lock().find(id));
            }
            if !files.is_empty() {
                files.sort_by_key(|file| std::cmp::Reverse(file.modified_time));
                return Ok(files);
            }
        }
        Ok(Vec::new())
    }

    /// The id of the newest file of a name.
    fn find(&self, id: &BlobId, operation: Operation) -> Result<String, BlobError> {
        id.check()?;
        if let Some(known) = self.known.lock().get(id) {
            return Ok(known.clone());
        }
        let files = self.find_all(id, operation, &Target::from(id))?;
        let file =
            files.into_iter().next().ok_or_else(|| BlobError::NotFound { id: id.clone() })?;
        self.known.lock().insert(id.clone(), file.id.clone());
        Ok(file.id)
    }

    /// Does something with the newest file of a name. A file that we knew may be gone, and
    /// another may have its name.
    fn with_file<T>(
        &self,
        id: &BlobId,
        operation: Operation,
        work: impl Fn(&str) -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let was_known = self.known.lock().contains_key(id);
        match work(&self.find(id, operation)?) {
            Err(error) if error.is_not_found() => {
                self.known.lock().remove(id);
                if was_known { work(&self.find(id, operation)?) } else { Err(error) }
            }
            outcome => outcome,
        }
    }

    /// What Drive tells of a file.
    fn file(&self, file: &str, operation: Operation, target: &Target) -> Result<File, BlobError> {
        let url = self.file_url(file, "&fields=id,name,size,modifiedTime");
        self.api.json("GET", &url, None, operation, target)
    }

    fn file_url(&self, file: &str, query: &str) -> String {
        self.api.url(&format!("/drive/v3/files/{file}?supportsAllDrives=true{query}"))
    }
}

impl BlobStore for DriveStore {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        read(
            self.api.site(),
            id,
            range,
            |range| {
                self.with_file(id, Operation::Get, |file| {
                    let url = self.file_url(file, "&alt=media");
                    let target = Target::from(id);
                    let prepare = |request: crate::http::Request<'static>| request.range(range);
                    let answer =
                        self.api.send("GET", &url, &prepare, None, Operation::Get, &target)?;
                    match answer.status {
                        200 | 206 => Ok(Fetched::Answer(answer)),
                        416 => Ok(Fetched::OutOfRange(answer)),
                        _ => Err(self.api.refused(&answer, Operation::Get, &target)),
                    }
                })
            },
            || Ok(self.metadata(id)?.length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.with_file(id, Operation::Metadata, |file| {
            let found = self.file(file, Operation::Metadata, &Target::from(id))?;
            Ok(found.meta(id.clone()))
        })
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let target = Target::from(id);
        let operation = Operation::Put;
        if options.retention.is_some() {
            return Err(self.unsupported(Feature::Retention));
        }
        if options.do_not_recreate {
            // Two files can get one name, so this could not be promised.
            return Err(self.unsupported(Feature::DoNotRecreate));
        }
        let mut resource = json!({"name": id.as_str(), "mimeType": MIME_TYPE});
        if let Some(time) = options.set_mod_time {
            resource["modifiedTime"] = json!(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        }
        let large = length(data) > LARGEST_MULTIPART;
        let way = if large { "resumable" } else { "multipart" };
        let query = "supportsAllDrives=true&fields=id,name,size,modifiedTime";
        let upload = |method: &'static str, path: &str, resource: &serde_json::Value| {
            let path = format!("/upload/drive/v3/files{path}?uploadType={way}&{query}");
            let url = self.api.url(&path);
            let answer = if large {
                self.api.resumable(method, &url, resource, data, operation, &target)
            } else {
                self.api.multipart(method, &url, resource, data, operation, &target)
            };
            self.api.read::<File>(&answer?, operation, &target)
        };
        let existing = match self.find(id, operation) {
            Ok(file) => Some(file),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let replaced = match existing {
            Some(file) => match upload("PATCH", &format!("/{file}"), &resource) {
                Ok(stored) => Some(stored),
                // Somebody has deleted it since we saw it.
                Err(error) if error.is_not_found() || is_no_place(&error) => {
                    self.known.lock().remove(id);
                    None
                }
                Err(error) => return Err(error),
            },
            None => None,
        };
        let stored = if let Some(stored) = replaced {
            stored
        } else {
            resource["parents"] = json!([self.folder]);
            upload("POST", "", &resource)?
        };
        self.known.lock().insert(id.clone(), stored.id.clone());
        self.recent.lock().stored(id, stored.clone());
        Ok(BlobMeta { length: length(data), ..stored.meta(id.clone()) })
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let target = Target::from(id);
        let operation = Operation::Delete;
        let known = self.known.lock().remove(id);
        let found = self.find_all(id, operation, &target)?;
        let files = found.into_iter().map(|file| file.id).chain(known);
        for file in files.collect::<std::collections::BTreeSet<_>>() {
            let url = self.file_url(&file, "");
            let answer =
                self.api.send("DELETE", &url, &|request| request, None, operation, &target)?;
            if !answer.is_success() {
                let error = self.api.refused(&answer, operation, &target);
                if !error.is_not_found() {
                    return Err(error);
                }
            }
            self.recent.lock().deleted(&file);
        }
        Ok(())
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let target = Target::Prefix(prefix.to_owned());
        let mut searchable = prefix.len().min(SEARCHABLE);
        while !prefix.is_char_boundary(searchable) {
            searchable -= 1;
        }
        let condition = match &prefix[..searchable] {
            "" => String::new(),
            part => format!("name contains {} and ", quoted(part)),
        };
        // Of files that have one name only the newest counts, and which that is shows at the end.
        let mut newest: HashMap<BlobId, File> = HashMap::new();
        self.search_all(&condition, Operation::List, &target, |file| {
            let id = match file.name.parse::<BlobId>() {
                Ok(id) if file.name.starts_with(prefix) => id,
                _ => return,
            };
            if newest.get(&id).is_none_or(|known| known.modified_time < file.modified_time) {
                newest.insert(id, file);
            }
        })?;
        let recent = self.recent.lock().names(prefix);
        for id in recent.into_iter().filter(|id| !newest.contains_key(id)).collect::<Vec<_>>() {
            // Somebody else may have deleted it since.
            let Some(file) = self.recent.lock().find(&id) else { continue };
            let blob = Target::from(&id);
            match self.attempts.run(|| self.file(&file.id, Operation::Metadata, &blob)) {
                Ok(file) => drop(newest.insert(id, file)),
                Err(error) if error.is_not_found() => self.recent.lock().deleted(&file.id),
                Err(error) => return Err(error),
            }
        }
        for (id, file) in newest {
            let meta = file.meta(id.clone());
            self.known.lock().insert(id, file.id);
            if visit(meta).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn storage_config(&self) -> StorageConfig {
        self.storage.clone()
    }

    fn display_name(&self) -> String {
        self.api.site().name.clone()
    }

    fn capacity(&self) -> Result<Capacity, BlobError> {
        let target = self.api.site().target();
        let url = self.api.url("/drive/v3/about?fields=storageQuota");
        let about: About = self.api.json("GET", &url, None, Operation::Capacity, &target)?;
        let total: u64 = about.storage_quota.limit.parse().unwrap_or_default();
        let used: u64 = about.storage_quota.usage.parse().unwrap_or_default();
        if total == 0 {
            return Err(self.unsupported(Feature::Capacity));
        }
        Ok(Capacity { total, available: total.saturating_sub(used) })
    }

    fn flush_caches(&self) {
        self.known.lock().clear();
    }
}

/// In a put, what is missing is taken for the folder.
fn is_no_place(error: &BlobError) -> bool {
    matches!(error, BlobError::InvalidConfig { .. })
}
