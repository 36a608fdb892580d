//! Google Cloud Storage, by its JSON interface.
//!
//! A blob is one object, put whole in one request together with what is known of it, so that it
//! appears at once. Its time is that of its creation, unless one was set.
//!
//! * [`config`]: the settings;
//! * [`api`]: requests, tokens, what refusals mean;
//! * [`resource`]: what the service tells of an object;
//! * [`versions`]: what the bucket keeps of old objects.
//!
//! Facts: kopia:repo/blob/gcs.

mod api;
mod config;
mod resource;
mod versions;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions, Retention,
    StorageConfig, Target,
};
use serde_json::{Value, json};

use super::Context;
use super::bucket::{Prefix, end_of_lock};
use super::past::{self, Versioned as _};
use crate::google::reason;
use crate::http::{encode_segment, read};
use api::Api;
use config::Config;
use resource::{MTIME, Page, Resource};

/// Why the service neither replaces nor deletes an object that is locked.
const LOCKED: &str = "retentionPolicyNotMet";

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    let store = GcsStore {
        storage: storage.clone(),
        prefix: Prefix::new(&config.prefix),
        api: Api::new(&config, context.roots.clone())?,
        attempts: context.attempts.clone(),
    };
    past::at(config.point_in_time, store)
}

/// A store in a bucket.
#[derive(Debug)]
struct GcsStore {
    storage: StorageConfig,
    api: Api,
    prefix: Prefix,
    attempts: Attempts,
}

impl GcsStore {
    /// The address of an object.
    fn object_url(&self, key: &str, query: &str) -> String {
        let question = if query.is_empty() { "" } else { "?" };
        format!("{}/o/{}{question}{query}", self.api.bucket_url(), encode_segment(key))
    }

    fn page(
        &self,
        prefix: &str,
        token: &str,
        versions: bool,
        target: &Target,
    ) -> Result<Page, BlobError> {
        let fields = "items(name,size,timeCreated,timeDeleted,generation,metadata),nextPageToken";
        let mut query = vec![("prefix", prefix), ("fields", fields)];
        if versions {
            query.push(("versions", "true"));
        }
        if !token.is_empty() {
            query.push(("pageToken", token));
        }
        let url = format!("{}/o?{}", self.api.bucket_url(), crate::http::query(&query));
        self.api.json("GET", &url, None, Operation::List, target)
    }

    /// Calls `visit` with all objects of a prefix, page by page.
    fn objects(
        &self,
        prefix: &str,
        versions: bool,
        visit: &mut dyn FnMut(BlobId, Resource) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let target = Target::Prefix(prefix.to_owned());
        let full = self.prefix.join(prefix);
        let mut token = String::new();
        loop {
            let page = self.attempts.run(|| self.page(&full, &token, versions, &target))?;
            for resource in page.items {
                let Some(id) = self.prefix.id(&resource.name) else { continue };
                if visit(id, resource).is_break() {
                    return Ok(());
                }
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            if page.next_page_token == token {
                let what = "a page has no successor";
                return Err(self.api.site().nonsense(what, Operation::List, &target));
            }
            token = page.next_page_token;
        }
    }

    /// The object that a put may not replace because it is locked, if it is what was to be put.
    ///
    /// A bucket that keeps no versions says so to the second attempt of a put that succeeded and
    /// whose answer was lost.
    fn locked_copy(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<Option<BlobMeta>, BlobError> {
        let url = self.object_url(&self.prefix.key(id)?, "");
        let found: Resource = self.api.json("GET", &url, None, Operation::Metadata, &id.into())?;
        let meta = found.meta(id.clone());
        if !found.holds(data) || options.set_mod_time.is_some_and(|time| time != meta.timestamp) {
            return Ok(None);
        }
        if let Some(retention) = &options.retention {
            let end = end_of_lock(retention.period)
                .map_err(|message| self.api.site().invalid(message))?;
            if !found.is_locked_until(end) {
                self.extend_retention(id, retention)?;
            }
        }
        Ok(Some(meta))
    }
}

/// A lock that starts `after` now. The service knows one kind that cannot be lifted, and that is
/// meant.
fn lock(retention: &Retention, after: Duration) -> Result<Value, String> {
    let end = end_of_lock(retention.period.saturating_add(after))?
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    Ok(json!({"mode": "Locked", "retainUntilTime": end}))
}

impl BlobStore for GcsStore {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        read(
            self.api.site(),
            id,
            range,
            |range| self.fetch(id, None, range),
            || Ok(self.metadata(id)?.length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        let url = self.object_url(&self.prefix.key(id)?, "");
        let found: Resource = self.api.json("GET", &url, None, Operation::Metadata, &id.into())?;
        Ok(found.meta(id.clone()))
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let key = self.prefix.key(id)?;
        let mut resource = json!({
            "name": key,
            "contentType": "application/x-kopia",
            "crc32c": resource::checksum(data),
        });
        if let Some(time) = options.set_mod_time {
            resource["metadata"] = json!({MTIME: time.as_nanosecond().to_string()});
        }
        if let Some(retention) = &options.retention {
            resource["retention"] = lock(retention, Duration::ZERO)
                .map_err(|message| self.api.site().invalid(message))?;
        }
        let mut query = vec![("uploadType", "multipart"), ("name", key.as_str())];
        if options.do_not_recreate {
            query.push(("ifGenerationMatch", "0"));
        }
        let url = format!("{}/o?{}", self.api.upload_url(), crate::http::query(&query));
        let target = Target::from(id);
        let answer = self.api.multipart("POST", &url, &resource, data, Operation::Put, &target)?;
        if !answer.is_success()
            && reason(&answer) == LOCKED
            && let Some(meta) = self.locked_copy(id, data, options)?
        {
            return Ok(meta);
        }
        let stored: Resource = self.api.read(&answer, Operation::Put, &target)?;
        Ok(BlobMeta { length: crate::http::length(data), ..stored.meta(id.clone()) })
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let url = self.object_url(&self.prefix.key(id)?, "");
        let target = Target::from(id);
        let answer =
            self.api.send("DELETE", &url, &|request| request, None, Operation::Delete, &target)?;
        if answer.is_success() {
            return Ok(());
        }
        let error = self.api.refused(&answer, Operation::Delete, &target);
        if error.is_not_found() { Ok(()) } else { Err(error) }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.objects(prefix, false, &mut |id, resource| visit(resource.meta(id)))
    }

    fn storage_config(&self) -> StorageConfig {
        self.storage.clone()
    }

    fn display_name(&self) -> String {
        self.api.site().name.clone()
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        let url = self.object_url(&self.prefix.key(id)?, "");
        // The service counts seconds, and refuses an end that is not later than the one before.
        let lock = lock(retention, Duration::from_secs(1))
            .map_err(|message| self.api.site().invalid(message))?;
        let change = json!({"retention": lock});
        let _: Value =
            self.api.json("PATCH", &url, Some(&change), Operation::ExtendRetention, &id.into())?;
        Ok(())
    }
}
