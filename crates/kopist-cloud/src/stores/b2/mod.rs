//! Backblaze B2, by its own interface.
//!
//! A blob is the newest version of a file. Deleting hides it; old versions go by the lifecycle
//! rule of the bucket, never by us, as in kopia (kopia:repo/blob/b2).
//!
//! * [`config`]: the settings;
//! * [`api`]: tokens that expire, places to upload to, what refusals mean.
//!
//! What differs from kopia: the length and time of a blob take one request instead of two; names
//! are escaped; a deletion that fails is an error; a key may be restricted to its bucket.

mod api;
mod config;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Feature, Operation, PutOptions,
    StorageConfig, Target,
};
use serde::Deserialize;
use serde_json::json;

use super::Context;
use super::bucket::{Prefix, set_time};
use crate::http::{Fetched, length, read};
use crate::site::Meaning;
use api::Api;
use config::Config;

/// Files on one page of a listing.
const PAGE: u32 = 1000;

/// Information about a file that holds a time set by us: nanoseconds since 1970, decimal.
const MTIME: &str = "kopia-mtime";

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    tracing::debug!("kopia calls its own support of B2 deprecated; B2 also speaks S3");
    let prefix = Prefix::new(&config.prefix);
    let api = Api::new(config, context.roots.clone())?;
    // Reading goes by the name of the bucket, and what is missing there is a file as well.
    context.attempts.run(|| api.bucket_id(Operation::Open, &api.site().target()))?;
    let (storage, attempts) = (storage.clone(), context.attempts.clone());
    Ok(Arc::new(B2Store { storage, api, prefix, attempts }))
}

/// A store in a bucket of B2.
#[derive(Debug)]
struct B2Store {
    storage: StorageConfig,
    api: Api,
    prefix: Prefix,
    attempts: Attempts,
}

/// What B2 tells of a file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "fileName")]
    name: String,
    #[serde(default)]
    content_length: u64,
    upload_timestamp: i64,
    #[serde(default, rename = "fileInfo")]
    info: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    files: Vec<File>,
    next_file_name: Option<String>,
}

impl File {
    fn timestamp(&self) -> Timestamp {
        let set = self
            .info
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(MTIME))
            .and_then(|(_, text)| set_time(text));
        set.unwrap_or_else(|| {
            Timestamp::from_millisecond(self.upload_timestamp).unwrap_or_default()
        })
    }
}

impl B2Store {
    fn page(
        &self,
        prefix: &str,
        start: &str,
        count: u32,
        target: &Target,
    ) -> Result<Page, BlobError> {
        let operation = Operation::List;
        let question = json!({
            "bucketId": self.api.bucket_id(operation, target)?,
            "startFileName": start,
            "maxFileCount": count,
            "prefix": prefix,
        });
        self.api.ask("b2_list_file_names", &question, operation, target)
    }
}

impl BlobStore for B2Store {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let name = self.prefix.key(id)?;
        read(
            self.api.site(),
            id,
            range,
            |range| match self.api.download(&name, range, &Target::from(id))? {
                Ok(answer) => Ok(Fetched::Answer(answer)),
                Err(answer) => Ok(Fetched::OutOfRange(answer)),
            },
            || Ok(self.metadata(id)?.length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        let name = self.prefix.key(id)?;
        let page = self.page(&name, &name, 1, &Target::from(id))?;
        let file = page.files.into_iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| BlobError::NotFound { id: id.clone() })?;
        let timestamp = file.timestamp();
        Ok(BlobMeta { id: id.clone(), length: file.content_length, timestamp })
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let name = self.prefix.key(id)?;
        if options.retention.is_some() {
            return Err(self.unsupported(Feature::Retention));
        }
        if options.do_not_recreate {
            return Err(self.unsupported(Feature::DoNotRecreate));
        }
        let time = options.set_mod_time.map(|time| (MTIME, time.as_nanosecond().to_string()));
        let file: File = self.api.upload(&name, data, time, &Target::from(id))?;
        Ok(BlobMeta { id: id.clone(), length: length(data), timestamp: file.timestamp() })
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let name = self.prefix.key(id)?;
        let target = Target::from(id);
        let bucket = self.api.bucket_id(Operation::Delete, &target)?;
        let question = json!({"bucketId": bucket, "fileName": name});
        match self.api.ask::<File>("b2_hide_file", &question, Operation::Delete, &target) {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let target = Target::Prefix(prefix.to_owned());
        let full = self.prefix.join(prefix);
        let mut start = String::new();
        loop {
            let page = self.attempts.run(|| self.page(&full, &start, PAGE, &target))?;
            for file in page.files {
                let timestamp = file.timestamp();
                let Some(id) = self.prefix.id(&file.name) else { continue };
                let meta = BlobMeta { id, length: file.content_length, timestamp };
                if visit(meta).is_break() {
                    return Ok(());
                }
            }
            match page.next_file_name {
                Some(next) if next > start => start = next,
                Some(_) => {
                    let what = "a page has no successor";
                    return Err(self.api.site().nonsense(what, Operation::List, &target));
                }
                None => return Ok(()),
            }
        }
    }

    fn storage_config(&self) -> StorageConfig {
        self.storage.clone()
    }

    fn display_name(&self) -> String {
        self.api.site().name.clone()
    }
}

/// What a code of B2 means.
fn meaning_of(code: &str, status: u16) -> Meaning {
    match code {
        "not_found" | "no_such_file" | "already_hidden" | "file_not_present" => Meaning::Missing,
        "range_not_satisfiable" => Meaning::OutOfRange,
        "unauthorized" | "bad_auth_token" => Meaning::WrongCredentials,
        "expired_auth_token" => Meaning::ExpiredCredentials,
        "bad_bucket_id" | "invalid_bucket_id" => Meaning::NoPlace,
        "cap_exceeded"
        | "storage_cap_exceeded"
        | "transaction_cap_exceeded"
        | "download_cap_exceeded" => Meaning::Full,
        "access_denied" => Meaning::Denied,
        _ => match Meaning::of_status(status) {
            // The codes say what is missing.
            Meaning::Missing => Meaning::Lasting,
            meaning => meaning,
        },
    }
}
