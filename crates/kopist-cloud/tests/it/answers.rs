//! Answers that come too early, or end too early, as some server or something between gives them.

use std::sync::Arc;

use kopist_blob::{
    BlobError, BlobId, BlobStore, ByteRange, PutOptions, RetryPolicy, StorageConfig,
};
use kopist_cloud::{ConnectOptions, ExtraRoots, connect};
use kopist_testkit::proxy::Blunt;
use kopist_testkit::servers::tls::Certificates;
use serde_json::json;

/// More than the buffers of a connection hold.
const LARGE: usize = 24 << 20;

fn store(address: &str, roots: Option<&[u8]>, attempts: u32) -> Arc<dyn BlobStore> {
    let scheme = if roots.is_some() { "https" } else { "http" };
    let config = json!({
        "url": format!("{scheme}://{address}/d"), "username": "u", "password": "hunter2",
        "atomicWrites": true, "dirShards": [],
    });
    let options = ConnectOptions {
        retry: RetryPolicy { attempts, ..RetryPolicy::default() },
        extra_roots: roots.map(ExtraRoots::from_pem).unwrap_or_default(),
        ..ConnectOptions::default()
    };
    connect(&StorageConfig::new("webdav", config), &options).unwrap()
}

fn id() -> BlobId {
    "p1234567890abcdef1234567890abcdef-s1".into()
}

/// An answer on a connection that ends with it.
fn whole(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nDate: Wed, 04 Mar 2026 05:06:07 GMT\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Whether a request is one to write a blob.
fn writes_blob(head: &str) -> bool {
    head.starts_with("PUT /d/p")
}

/// A server that has no files, and answers so to those who want to write a blob.
fn refusing(status: &'static str, body: &'static str) -> impl Fn(&str) -> String {
    move |head| match head.split(' ').next() {
        Some("PUT") if writes_blob(head) => whole(status, body),
        Some("PUT" | "MKCOL") => whole("201 Created", ""),
        _ => whole("404 Not Found", ""),
    }
}

/// Writes a large blob to a server that does not read it, and returns how often that was tried.
fn write(server: &Blunt, roots: Option<&[u8]>) -> (BlobError, usize) {
    let store = store(&server.address(), roots, 3);
    let data = vec![7; LARGE];
    let error = store.put(&id(), &[&data], &PutOptions::default()).unwrap_err();
    let tries = server.asked().iter().filter(|line| writes_blob(line)).count();
    (error, tries)
}

#[test]
fn why_a_large_blob_is_refused_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let authority = certificates.authority_pem();
    for (status, part) in [
        ("403 Forbidden", "--webdav-username"),
        ("401 Unauthorized", "--webdav-password"),
        ("507 Insufficient Storage", "quota"),
    ] {
        for roots in [None, Some(&authority[..])] {
            let answer = refusing(status, "because");
            let server = match roots {
                None => Blunt::start(answer),
                Some(_) => Blunt::start_tls(&certificates, answer),
            };
            let (error, tries) = write(&server, roots);
            let text = error.to_string();
            assert!(
                text.contains(part) && text.contains("because"),
                "{status}, {}: {text}",
                roots.is_some()
            );
            // A 403 may also mean a missing collection, which is then made.
            assert!(tries <= 2, "{status}, {}: {tries}", roots.is_some());
        }
    }
}

#[test]
fn a_blob_that_was_not_read_is_not_written() {
    let server = Blunt::start(refusing("201 Created", ""));
    let (error, tries) = write(&server, None);
    assert!(matches!(error, BlobError::GaveUp { .. }) && tries == 3, "{error}");
    assert!(error.to_string().contains("broke"), "{error}");
}

/// A server that closes the connection at the end of its answers to say that this is the end, and
/// a blob of ten bytes there.
fn unframed(body: &'static str) -> impl Fn(&str) -> String {
    move |head| match head.split(' ').next() {
        Some("GET") if head.starts_with("GET /d/p") => {
            format!("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n{body}")
        }
        Some("PROPFIND") => whole(
            "207 Multi-Status",
            "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/d/p</D:href><D:propstat><D:prop>\
             <D:resourcetype/><D:getcontentlength>10</D:getcontentlength></D:prop>\
             <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>",
        ),
        _ => whole("404 Not Found", ""),
    }
}

#[test]
fn half_a_blob_is_never_a_blob() {
    let part = ByteRange::Bounded { offset: 1, length: 3 };
    let server = Blunt::start(unframed("01234"));
    let store_of_half = store(&server.address(), None, 1);
    for range in [ByteRange::Full, part] {
        let error = store_of_half.get(&id(), range).unwrap_err();
        assert!(error.is_retriable() && error.to_string().contains("in the middle"), "{error}");
    }
    let server = Blunt::start(unframed("0123456789"));
    let store = store(&server.address(), None, 1);
    assert_eq!(store.get(&id(), ByteRange::Full).unwrap(), "0123456789");
    assert_eq!(store.get(&id(), part).unwrap(), "123");
}
