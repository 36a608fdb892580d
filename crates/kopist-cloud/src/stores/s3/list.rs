//! Pages of names.

use std::ops::ControlFlow;

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobMeta, Operation, Target};
use percent_encoding::percent_decode_str;

use super::S3Store;
use super::classes::CONFIG_NAME;
use crate::http::Ask;
use crate::xml::Element;

/// Reports the blobs whose ids start with `prefix`.
pub(super) fn objects(
    store: &S3Store,
    prefix: &str,
    visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
) -> Result<(), BlobError> {
    let full = store.prefix.join(prefix);
    let mut token = String::new();
    loop {
        let mut query =
            vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", full.as_str())];
        if !token.is_empty() {
            query.push(("continuation-token", &token));
        }
        let page = page(store, &query, prefix)?;
        let encoded = page.value("EncodingType") == "url";
        for found in page.all("Contents") {
            let meta = meta_of(store, found, encoded).map_err(|what| {
                store.api.site().nonsense(what, Operation::List, &Target::Prefix(prefix.to_owned()))
            })?;
            if let Some(meta) = meta
                && visit(meta).is_break()
            {
                return Ok(());
            }
        }
        if page.value("IsTruncated") != "true" {
            return Ok(());
        }
        let next = page.value("NextContinuationToken").to_owned();
        if next.is_empty() || next == token {
            let target = Target::Prefix(prefix.to_owned());
            let what = "a page has no successor";
            return Err(store.api.site().nonsense(what, Operation::List, &target));
        }
        token = next;
    }
}

/// One page. It is asked for again if that may help, so that the pages before it need not be.
pub(super) fn page(
    store: &S3Store,
    query: &[(&str, &str)],
    prefix: &str,
) -> Result<Element, BlobError> {
    let target = Target::Prefix(prefix.to_owned());
    store.attempts.run(|| {
        let ask = Ask::new("GET", "").query(query);
        let answer = store.api.succeed(&ask, Operation::List, &target)?;
        Element::parse_as(&answer.body, |name| name.starts_with("List"))
            .map_err(|what| store.api.site().nonsense(what, Operation::List, &target))
    })
}

/// The blob of an object; none if it is something else.
pub(super) fn meta_of(
    store: &S3Store,
    found: &Element,
    encoded: bool,
) -> Result<Option<BlobMeta>, String> {
    // What is no text is no blob.
    let key = key_of(found.value("Key"), encoded).unwrap_or_default();
    let Some(id) = store.prefix.id(&key).filter(|id| id.as_str() != CONFIG_NAME) else {
        return Ok(None);
    };
    let length = match found.value("Size") {
        // Delete markers have none.
        "" => 0,
        size => size.parse().map_err(|_| format!("{size:?} is no size"))?,
    };
    let time = found.value("LastModified");
    let timestamp: Timestamp = time.parse().map_err(|_| format!("{time:?} is no time"))?;
    Ok(Some(BlobMeta { id, length, timestamp }))
}

/// A key as it is, from a listing that may have encoded it as in a query.
pub(super) fn key_of(text: &str, encoded: bool) -> Result<String, String> {
    if !encoded {
        return Ok(text.to_owned());
    }
    match percent_decode_str(&text.replace('+', " ")).decode_utf8() {
        Ok(key) => Ok(key.into_owned()),
        Err(_) => Err(format!("{text:?} is no key")),
    }
}
