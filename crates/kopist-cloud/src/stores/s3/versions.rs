//! What the bucket keeps of objects that were replaced or deleted.

use std::ops::ControlFlow;

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, Operation, Target};

use super::S3Store;
use super::list::{key_of, meta_of, page};
use crate::http::{Ask, Fetched};
use crate::site::{Meaning, Site};
use crate::stores::past::{Version, Versioned};
use crate::xml::Element;

/// A version in a listing.
struct Found {
    version: Version,
    /// It says that the blob was deleted.
    deleted: bool,
}

impl S3Store {
    /// Reports versions in the order of the server: by key, the newest of each first.
    fn versions(
        &self,
        prefix: &str,
        report: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let full = self.prefix.join(prefix);
        let mut marker = (String::new(), String::new());
        let nonsense = |what: String| {
            let target = Target::Prefix(prefix.to_owned());
            self.api.site().nonsense(what, Operation::List, &target)
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
            let page = page(self, &query, prefix)?;
            let encoded = page.value("EncodingType") == "url";
            let mut versions = Vec::new();
            for found in page.children() {
                let deleted = found.name() == "DeleteMarker";
                if !deleted && found.name() != "Version" {
                    continue;
                }
                if let Some(meta) = meta_of(self, found, encoded).map_err(nonsense)? {
                    let name = found.value("VersionId").to_owned();
                    let latest = found.value("IsLatest") == "true";
                    versions.push((latest, Found { version: Version { meta, name }, deleted }));
                }
            }
            // Some servers name all versions of a page before its deletions.
            versions.sort_by(|(a_latest, a), (b_latest, b)| {
                let newest_first = b.version.meta.timestamp.cmp(&a.version.meta.timestamp);
                a.version
                    .meta
                    .id
                    .cmp(&b.version.meta.id)
                    .then(b_latest.cmp(a_latest))
                    .then(newest_first)
            });
            for (_, found) in versions {
                if report(found).is_break() {
                    return Ok(());
                }
            }
            if page.value("IsTruncated") != "true" {
                return Ok(());
            }
            // It may be the key of anything, not just of a blob.
            let key = key_of(page.value("NextKeyMarker"), encoded).map_err(nonsense)?;
            let next = (key, page.value("NextVersionIdMarker").to_owned());
            if next.0.is_empty() || next == marker {
                return Err(nonsense("a page has no successor".to_owned()));
            }
            marker = next;
        }
    }
}

impl Versioned for S3Store {
    fn site(&self) -> &Site {
        self.api.site()
    }

    fn keeps_versions(&self) -> Result<bool, BlobError> {
        let target = self.api.site().target();
        let answer = self.attempts.run(|| {
            let ask = Ask::new("GET", "").query(&[("versioning", "")]);
            self.api.succeed(&ask, Operation::Open, &target)
        })?;
        Ok(Element::parse(&answer.body).is_ok_and(|root| root.value("Status") == "Enabled"))
    }

    fn fetch(
        &self,
        id: &BlobId,
        version: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<Fetched, BlobError> {
        let key = self.prefix.key(id)?;
        let query = version.map(|version| [("versionId", version)]);
        let mut ask = Ask::new("GET", &key);
        if let Some(query) = &query {
            ask = ask.query(query);
        }
        if let Some((offset, length)) = range {
            ask = ask.header("range", format!("bytes={offset}-{}", offset + length - 1));
        }
        match self.api.send(&ask, Operation::Get, &id.into(), &[Meaning::OutOfRange])? {
            Ok(answer) => Ok(Fetched::Answer(answer)),
            Err((_, answer)) => Ok(Fetched::OutOfRange(answer)),
        }
    }

    fn list_at(
        &self,
        time: Timestamp,
        prefix: &str,
        visit: &mut dyn FnMut(Version) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let mut decided: Option<BlobId> = None;
        self.versions(prefix, &mut |Found { version, deleted }| {
            if decided.as_ref() == Some(&version.meta.id) || version.meta.timestamp > time {
                return ControlFlow::Continue(());
            }
            decided = Some(version.meta.id.clone());
            if deleted { ControlFlow::Continue(()) } else { visit(version) }
        })
    }
}
