//! Amazon S3 and what speaks like it.
//!
//! A blob is one object. Blobs are put whole in one request, never in parts,
//! with `Content-MD5`, which locked buckets demand and which tells damage on the way.
//!
//! * [`config`]: the settings;
//! * [`api`]: addresses, regions, signed requests, what refusals mean;
//! * [`sign`], [`credentials`]: who asks;
//! * [`list`]: pages of names;
//! * [`versions`]: what the bucket keeps of old objects;
//! * [`classes`], the object `.storageconfig`.
//!
//! What differs from kopia (kopia:repo/blob/s3): the region is learned from the first answer that
//! names another instead of being asked for; `.storageconfig` is read before the first put, not
//! at every start; the time of a blob that was put is the `Date` of the answer, which spares a
//! request.

mod api;
mod classes;
mod config;
mod credentials;
mod list;
mod sign;
mod versions;

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Feature, Operation, PutOptions,
    Retention, StorageConfig, Target,
};

use super::Context;
use super::bucket::{Prefix, content_md5, end_of_lock};
use super::past::{self, Versioned as _};
use crate::http::{Answer, Ask, length, read};
use crate::site::{Meaning, Refusal, Settings, Site};
use api::Api;
use classes::{CONFIG_NAME, Classes};
use config::Config;

const SETTINGS: Settings = Settings {
    address: "--endpoint",
    trust: "--root-ca-pem-path (rootCA)",
    credentials: "--access-key, --secret-access-key and --session-token",
    place: "--bucket",
};

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = Config::from_storage(storage)?;
    let store = S3Store::new(storage, &config, context)?;
    past::at(config.point_in_time, store)
}

/// A store in a bucket.
#[derive(Debug)]
struct S3Store {
    storage: StorageConfig,
    api: Api,
    prefix: Prefix,
    classes: OnceLock<Classes>,
    attempts: Attempts,
}

impl S3Store {
    fn new(storage: &StorageConfig, config: &Config, context: &Context) -> Result<Self, BlobError> {
        let site = Site {
            kind: config::KIND,
            name: format!("S3: {} {}", config.endpoint, config.bucket),
            settings: SETTINGS,
            roots: context.roots.clone(),
        };
        Ok(Self {
            storage: storage.clone(),
            api: Api::new(config, site)?,
            prefix: Prefix::new(&config.prefix),
            classes: OnceLock::new(),
            attempts: context.attempts.clone(),
        })
    }

    /// The storage class of a blob.
    fn class_of(&self, id: &BlobId) -> Result<Option<&str>, BlobError> {
        let classes = if let Some(classes) = self.classes.get() {
            classes
        } else {
            let loaded = self.load_classes()?;
            self.classes.get_or_init(|| loaded)
        };
        Ok(classes.of(id.as_str()))
    }

    fn load_classes(&self) -> Result<Classes, BlobError> {
        let key = self.prefix.join(CONFIG_NAME);
        let target = self.api.site().target();
        let ask = Ask::new("GET", &key);
        let expected = [Meaning::Missing, Meaning::Denied];
        match self.api.send(&ask, Operation::Open, &target, &expected)? {
            Ok(answer) => Classes::parse(&answer.body).map_err(|error| {
                self.api.site().invalid(format!(
                    "{key} in the bucket cannot be read: {error}; mend or remove it"
                ))
            }),
            Err(_) => Ok(Classes::default()),
        }
    }

    /// The time that the server told for what it has just done.
    fn told_time(&self, id: &BlobId, answer: &Answer) -> Result<Timestamp, BlobError> {
        match answer.time("date") {
            Some(time) => Ok(time),
            None => Ok(self.metadata(id)?.timestamp),
        }
    }
}

/// The two headers of a lock.
fn lock(retention: &Retention) -> Result<[(&'static str, String); 2], String> {
    let mode = retention.mode.as_str();
    if mode != "GOVERNANCE" && mode != "COMPLIANCE" {
        return Err(format!("retention mode {mode:?} must be GOVERNANCE or COMPLIANCE"));
    }
    let end = end_of_lock(retention.period)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Ok([("x-amz-object-lock-mode", mode.to_owned()), ("x-amz-object-lock-retain-until-date", end)])
}

impl BlobStore for S3Store {
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
        let key = self.prefix.key(id)?;
        let target = id.into();
        let answer = self.api.succeed(&Ask::new("HEAD", &key), Operation::Metadata, &target)?;
        let (Some(length), Some(timestamp)) =
            (answer.number("content-length"), answer.time("last-modified"))
        else {
            let what = "it has neither length nor time";
            return Err(self.api.site().nonsense(what, Operation::Metadata, &target));
        };
        Ok(BlobMeta { id: id.clone(), length, timestamp })
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let key = self.prefix.key(id)?;
        if options.set_mod_time.is_some() {
            return Err(self.unsupported(Feature::SetModTime));
        }
        if options.do_not_recreate {
            // Servers that do not know `If-None-Match` replace without a word, so a blob that
            // is there already must be noticed by asking.
            match self.metadata(id) {
                Ok(_) => return Err(BlobError::AlreadyExists { id: id.clone() }),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let class = self.class_of(id)?.map(str::to_owned);
        let target = Target::Blob(id.clone());
        let mut ask = Ask::new("PUT", &key)
            .header("content-type", "application/x-kopia")
            .header("content-md5", content_md5(data))
            .body(data);
        if let Some(class) = class {
            ask = ask.header("x-amz-storage-class", class);
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
        let answer = match self.api.send(&ask, Operation::Put, &target, &[Meaning::Missing])? {
            Ok(answer) => answer,
            // There is no way to miss what is to be made, so it is the bucket.
            Err((_, answer)) => {
                let refusal = Refusal::new(&answer, Meaning::NoPlace, "", "");
                return Err(self.api.site().refused(&refusal, Operation::Put, &target));
            }
        };
        let timestamp = self.told_time(id, &answer)?;
        Ok(BlobMeta { id: id.clone(), length: length(data), timestamp })
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let key = self.prefix.key(id)?;
        let ask = Ask::new("DELETE", &key);
        self.api.send(&ask, Operation::Delete, &id.into(), &[Meaning::Missing])?.ok();
        Ok(())
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        list::objects(self, prefix, visit)
    }

    fn storage_config(&self) -> StorageConfig {
        self.storage.clone()
    }

    fn display_name(&self) -> String {
        self.api.site().name.clone()
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        let key = self.prefix.key(id)?;
        let invalid = |message| self.api.site().invalid(message);
        let [(_, mode), (_, until)] = lock(retention).map_err(invalid)?;
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{mode}</Mode>\
             <RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        let parts = [body.as_bytes()];
        let ask = Ask::new("PUT", &key)
            .query(&[("retention", "")])
            .header("content-md5", content_md5(&parts))
            .body(&parts);
        self.api.succeed(&ask, Operation::ExtendRetention, &id.into())?;
        Ok(())
    }
}
