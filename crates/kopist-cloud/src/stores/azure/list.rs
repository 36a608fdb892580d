//! Pages of names.

use std::ops::ControlFlow;

use kopist_blob::{BlobError, BlobMeta, Operation, Target};

use super::{AzureStore, MTIME};
use crate::http::{Ask, parse_http_date};
use crate::stores::bucket::set_time;
use crate::xml::Element;

/// A blob in a listing, or one version of it.
pub(super) struct Found {
    pub(super) meta: BlobMeta,
    /// Of a container that keeps versions. Versions are times and sort as such.
    pub(super) version: String,
    /// There are only old versions: the blob has been deleted.
    pub(super) deleted: bool,
}

/// Reports what is there of a prefix; `include` says what else is to be told.
pub(super) fn blobs(
    store: &AzureStore,
    prefix: &str,
    include: &str,
    visit: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> Result<(), BlobError> {
    let target = Target::Prefix(prefix.to_owned());
    let full = store.prefix.join(prefix);
    let mut marker = String::new();
    loop {
        let page = store.attempts.run(|| page(store, &full, include, &marker, &target))?;
        for blob in page.child("Blobs").map_or(&[][..], Element::children) {
            let found = read(store, blob)
                .map_err(|what| store.api.site().nonsense(what, Operation::List, &target))?;
            if let Some(found) = found
                && visit(found).is_break()
            {
                return Ok(());
            }
        }
        let next = page.value("NextMarker");
        if next.is_empty() {
            return Ok(());
        }
        if next == marker {
            let what = "a page has no successor";
            return Err(store.api.site().nonsense(what, Operation::List, &target));
        }
        next.clone_into(&mut marker);
    }
}

fn page(
    store: &AzureStore,
    prefix: &str,
    include: &str,
    marker: &str,
    target: &Target,
) -> Result<Element, BlobError> {
    let mut query =
        vec![("restype", "container"), ("comp", "list"), ("include", include), ("prefix", prefix)];
    if !marker.is_empty() {
        query.push(("marker", marker));
    }
    let answer = store.api.succeed(&Ask::new("GET", "").query(&query), Operation::List, target)?;
    Element::parse_as(&answer.body, |name| name == "EnumerationResults")
        .map_err(|what| store.api.site().nonsense(what, Operation::List, target))
}

fn read(store: &AzureStore, blob: &Element) -> Result<Option<Found>, String> {
    if blob.name() != "Blob" {
        return Ok(None);
    }
    let name = blob.value("Name");
    let Some(id) = store.prefix.id(name) else { return Ok(None) };
    let deleted = blob.value("HasVersionsOnly") == "true";
    let properties = blob.child("Properties");
    let property = |name: &str| properties.map_or("", |properties| properties.value(name));
    let set = blob.child("Metadata").and_then(|metadata| {
        let found =
            metadata.children().iter().find(|child| child.name().eq_ignore_ascii_case(MTIME))?;
        set_time(found.text())
    });
    let time = property("Last-Modified");
    let timestamp = set
        .or_else(|| parse_http_date(time))
        .ok_or_else(|| format!("{name} has the time {time:?}"))?;
    let length = property("Content-Length");
    let length = match length.parse() {
        Ok(length) => length,
        Err(_) if deleted => 0,
        Err(_) => return Err(format!("{name} has the length {length:?}")),
    };
    let version = blob.value("VersionId").to_owned();
    Ok(Some(Found { meta: BlobMeta { id, length, timestamp }, version, deleted }))
}
