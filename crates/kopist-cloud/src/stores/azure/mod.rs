//! Azure Blob Storage.
//!
//! A blob is one block blob, put whole in one request. Containers are asked for at a host of the
//! account's name.
//!
//! * [`config`]: the settings;
//! * [`identity`]: who asks, by key, shared access signature, or a token of Entra ID;
//! * [`api`]: requests, what refusals mean;
//! * [`list`]: pages of names;
//! * [`versions`]: what the container keeps of old blobs;
//! * [`locked`]: deleting what may not be deleted yet.
//!
//! Facts: kopia:repo/blob/azure.

mod api;
mod config;
mod identity;
mod list;
mod locked;
mod versions;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Feature, Operation, PutOptions,
    Retention, StorageConfig, Target,
};

use super::Context;
use super::bucket::{Prefix, content_md5, end_of_lock, set_time};
use super::past::{self, Versioned as _};
use crate::http::{Answer, Ask, http_date, length, read};
use api::Api;
use config::Config;

/// The metadata that holds a time set by us: nanoseconds since 1970, decimal. Services return
/// it in their own case.
const MTIME: &str = "kopiamtime";

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    let store = AzureStore {
        storage: storage.clone(),
        prefix: Prefix::new(&config.prefix),
        api: Api::new(&config, context.roots.clone())?,
        attempts: context.attempts.clone(),
    };
    past::at(config.point_in_time, store)
}

/// A store in a container.
#[derive(Debug)]
struct AzureStore {
    storage: StorageConfig,
    api: Api,
    prefix: Prefix,
    attempts: Attempts,
}

impl AzureStore {}

/// The headers of a lock. The service has one kind that cannot be lifted, and that is meant.
fn lock(retention: &Retention) -> Result<[(&'static str, String); 2], String> {
    let end = end_of_lock(retention.period)?;
    Ok([
        ("x-ms-immutability-policy-mode", "Locked".to_owned()),
        ("x-ms-immutability-policy-until-date", http_date(end)),
    ])
}

fn meta_of(id: &BlobId, length: Option<u64>, answer: &Answer) -> Option<BlobMeta> {
    let set = answer.header("x-ms-meta-kopiamtime").and_then(set_time);
    let timestamp = set.or_else(|| answer.time("last-modified"))?;
    let length = length.or_else(|| answer.number("content-length"))?;
    Some(BlobMeta { id: id.clone(), length, timestamp })
}

impl BlobStore for AzureStore {
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
        let name = self.prefix.key(id)?;
        let target = Target::from(id);
        let answer = self.api.succeed(&Ask::new("HEAD", &name), Operation::Metadata, &target)?;
        meta_of(id, None, &answer).ok_or_else(|| {
            let what = "it has neither length nor time";
            self.api.site().nonsense(what, Operation::Metadata, &target)
        })
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let name = self.prefix.key(id)?;
        let target = Target::from(id);
        let mut ask = Ask::new("PUT", &name)
            .header("content-md5", content_md5(data))
            .header("content-type", "application/octet-stream")
            .header("x-ms-blob-type", "BlockBlob")
            .body(data);
        if let Some(time) = options.set_mod_time {
            ask = ask.header("x-ms-meta-kopiamtime", time.as_nanosecond().to_string());
        }
        if options.do_not_recreate {
            ask = ask.header("if-none-match", "*");
        }
        if let Some(retention) = &options.retention {
            let headers = lock(retention).map_err(|message| self.api.site().invalid(message))?;
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
        }
        let answer = self.api.succeed(&ask, Operation::Put, &target)?;
        meta_of(id, Some(length(data)), &answer)
            .map(|meta| match options.set_mod_time {
                Some(timestamp) => BlobMeta { timestamp, ..meta },
                None => meta,
            })
            .ok_or_else(|| self.api.site().nonsense("it has no time", Operation::Put, &target))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let name = self.prefix.key(id)?;
        let target = Target::from(id);
        let answer = self.api.send(&Ask::new("DELETE", &name), Operation::Delete, &target)?;
        if answer.is_success() {
            return Ok(());
        }
        if api::code_of(&answer) == locked::CODE {
            return locked::hide(self, &name, &target);
        }
        let error = self.api.refused(&answer, Operation::Delete, &target);
        if error.is_not_found() { Ok(()) } else { Err(error) }
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        list::blobs(self, prefix, "metadata", &mut |found| visit(found.meta))
    }

    fn storage_config(&self) -> StorageConfig {
        self.storage.clone()
    }

    fn display_name(&self) -> String {
        self.api.site().name.clone()
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        let name = self.prefix.key(id)?;
        let mut ask = Ask::new("PUT", &name).query(&[("comp", "immutabilityPolicies")]).body(&[]);
        for (name, value) in lock(retention).map_err(|message| self.api.site().invalid(message))? {
            ask = ask.header(name, value);
        }
        let target = Target::from(id);
        let answer = self.api.send(&ask, Operation::ExtendRetention, &target)?;
        match answer.status {
            status if (200..300).contains(&status) => Ok(()),
            501 => Err(self.unsupported(Feature::Retention)),
            _ => Err(self.api.refused(&answer, Operation::ExtendRetention, &target)),
        }
    }
}
