//! The store as it was at some time, from the versions that the bucket keeps.

use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions, Retention,
    StorageConfig, Target,
};

use super::S3Store;
use super::api::Ask;
use super::list::{id_of, meta_of, page};
use crate::http::read;
use crate::xml::Element;

/// A view that cannot be changed. Of each blob it shows the newest version that is not newer
/// than `time`, unless that is a deletion.
#[derive(Debug)]
pub(super) struct Past {
    store: S3Store,
    time: Timestamp,
}

/// A version of a blob.
struct Version {
    meta: BlobMeta,
    number: String,
    deleted: bool,
}

impl Past {
    pub(super) fn new(store: S3Store, time: Timestamp) -> Result<Self, BlobError> {
        let target = store.api.site().target();
        let answer = store.attempts.run(|| {
            let ask = Ask::new("GET", "").query(&[("versioning", "")]);
            store.api.succeed(&ask, Operation::Open, &target)
        })?;
        let enabled =
            Element::parse(&answer.body).is_ok_and(|root| root.value("Status") == "Enabled");
        if !enabled {
            return Err(store.api.site().invalid(
                "cannot create point-in-time view for non-versioned bucket: turn versioning on, \
                 or leave out --point-in-time",
            ));
        }
        Ok(Self { store, time })
    }

    /// Reports versions in the order of the server: by key, the newest of each first.
    fn versions(
        &self,
        prefix: &str,
        report: &mut dyn FnMut(Version) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let full = format!("{}{prefix}", self.store.prefix);
        let mut marker = (String::new(), String::new());
        let nonsense = |what: String| {
            let target = Target::Prefix(prefix.to_owned());
            self.store.api.site().nonsense(what, Operation::List, &target)
        };
        loop {
            let mut query =
                vec![("versions", ""), ("encoding-type", "url"), ("prefix", full.as_str())];
            if !marker.0.is_empty() {
                query.push(("key-marker", &marker.0));
                if !marker.1.is_empty() {
                    query.push(("version-id-marker", &marker.1));
                }
            }
            let page = page(&self.store, &query, prefix)?;
            let encoded = page.value("EncodingType") == "url";
            let mut versions = Vec::new();
            for found in page.children() {
                let deleted = found.name() == "DeleteMarker";
                if !deleted && found.name() != "Version" {
                    continue;
                }
                if let Some(meta) = meta_of(&self.store, found, encoded).map_err(nonsense)? {
                    let number = found.value("VersionId").to_owned();
                    let latest = found.value("IsLatest") == "true";
                    versions.push((latest, Version { meta, number, deleted }));
                }
            }
            // Some servers name all versions of a page before its deletions.
            versions.sort_by(|(a_latest, a), (b_latest, b)| {
                let newest_first = b.meta.timestamp.cmp(&a.meta.timestamp);
                a.meta.id.cmp(&b.meta.id).then(b_latest.cmp(a_latest)).then(newest_first)
            });
            for (_, version) in versions {
                if report(version).is_break() {
                    return Ok(());
                }
            }
            if page.value("IsTruncated") != "true" {
                return Ok(());
            }
            let key = page.value("NextKeyMarker");
            let decoded = match id_of(&self.store, key, encoded) {
                Some(id) => format!("{}{id}", self.store.prefix),
                None => key.to_owned(),
            };
            let next = (decoded, page.value("NextVersionIdMarker").to_owned());
            if next.0.is_empty() || next == marker {
                return Err(nonsense("a page has no successor".to_owned()));
            }
            marker = next;
        }
    }

    /// The version of a blob that counted at the time.
    fn find(&self, id: &BlobId) -> Result<Version, BlobError> {
        id.check()?;
        let mut found = None;
        self.versions(id.as_str(), &mut |version| {
            if version.meta.id != *id {
                return ControlFlow::Break(());
            }
            if version.meta.timestamp <= self.time {
                found = Some(version);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        found
            .filter(|version| !version.deleted)
            .ok_or_else(|| BlobError::NotFound { id: id.clone() })
    }

    fn refused(operation: Operation, id: &BlobId) -> BlobError {
        BlobError::ReadOnly { operation, target: id.into() }
    }
}

impl BlobStore for Past {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let version = self.find(id)?;
        read(
            self.store.api.site(),
            id,
            range,
            |range| self.store.fetch(id, Some(&version.number), range),
            || Ok(version.meta.length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        Ok(self.find(id)?.meta)
    }

    fn put(&self, id: &BlobId, _: &[&[u8]], _: &PutOptions) -> Result<BlobMeta, BlobError> {
        Err(Self::refused(Operation::Put, id))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        Err(Self::refused(Operation::Delete, id))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let mut decided: Option<BlobId> = None;
        self.versions(prefix, &mut |version| {
            if decided.as_ref() == Some(&version.meta.id) || version.meta.timestamp > self.time {
                return ControlFlow::Continue(());
            }
            decided = Some(version.meta.id.clone());
            if version.deleted { ControlFlow::Continue(()) } else { visit(version.meta) }
        })
    }

    fn storage_config(&self) -> StorageConfig {
        self.store.storage_config()
    }

    fn display_name(&self) -> String {
        self.store.display_name()
    }

    fn extend_retention(&self, id: &BlobId, _: &Retention) -> Result<(), BlobError> {
        Err(Self::refused(Operation::ExtendRetention, id))
    }

    fn is_read_only(&self) -> bool {
        true
    }
}
