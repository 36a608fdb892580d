//! WebDAV, on Apache.

use kopist_blob::{BlobStore, PutOptions, RetryPolicy, StorageConfig};
use kopist_cloud::{ConnectOptions, connect};
use kopist_testkit::proxy::{Asked, Reply, Stub};
use kopist_testkit::servers::Dav;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{conforms_but, failure, lists_many, make, opens_again};

/// A server that moves and deletes nothing, and says so in the body of an answer of success.
fn locked(asked: &Asked) -> Reply {
    let partly = |status: &str| {
        let body = format!(
            "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/d/p1.f</D:href>\
             <D:status>HTTP/1.1 {status}</D:status></D:response></D:multistatus>"
        );
        (207, body)
    };
    let (status, body) = match asked.method.as_str() {
        "MOVE" if asked.target.contains("p1") => partly("423 Locked"),
        "PUT" | "MKCOL" | "MOVE" => (201, String::new()),
        "DELETE" if asked.target == "/d/p1.f" => partly("403 Forbidden"),
        "DELETE" => (204, String::new()),
        _ => (404, String::new()),
    };
    let date = ("Date", "Wed, 04 Mar 2026 05:06:07 GMT".to_owned());
    Reply { status, headers: vec![date], body }
}

#[test]
fn what_was_done_in_part_was_not_done() {
    let server = Stub::start(locked);
    let options = ConnectOptions {
        retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
        ..ConnectOptions::default()
    };
    let config = json!({"url": format!("{}/d", server.url()), "dirShards": []});
    let store = connect(&StorageConfig::new("webdav", config), &options).unwrap();
    let error = store.put(&"p1".into(), &[b"x"], &PutOptions::default()).unwrap_err();
    assert!(error.to_string().contains("423 Locked for /d/p1.f"), "{error}");
    assert!(error.is_retriable(), "a lock may go");
    let error = store.delete(&"p1".into()).unwrap_err();
    assert!(error.to_string().contains("403 Forbidden") && !error.is_retriable(), "{error}");
    let left = server.asked().into_iter().filter(|asked| asked.method == "DELETE");
    assert_eq!(left.count(), 2, "what was put beside its place is removed");
}

#[test]
fn credentials_in_the_address_may_be_escaped() {
    let Some(server) = Dav::start("webdav with credentials in its address") else { return };
    server.make_collection("d");
    let escaped = |text: &str| format!("%{:02X}{}", text.as_bytes()[0], &text[1..]);
    let login = format!("://{}:{}@", escaped(Dav::USER), escaped(Dav::PASSWORD));
    let url = format!("{}d", server.url).replacen("://", &login, 1);
    opens_again(&*make("webdav", json!({"url": url, "atomicWrites": true})));
}

/// Apache shows a file while it is being written, and when it moves one over another it first
/// removes that. So the case of a blob that is replaced while others read it is left out.
#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = Dav::start("webdav conformance") else { return };
    for atomic in [true, false] {
        conforms_but("webdav", &["readers see old or new, never a mixture"], |number| {
            let name = format!("c{number}-{atomic}");
            server.make_collection(&name);
            server.config(&name, atomic)
        });
    }
}

#[test]
fn lists_many_directories() {
    let Some(server) = Dav::start("webdav listing") else { return };
    server.make_collection("many");
    lists_many(&*make("webdav", server.config("many/", true)), 1500);
}

#[test]
fn digest_is_spoken_when_asked_for() {
    let Some(server) = Dav::start_digest("webdav with digest") else { return };
    server.make_collection("d");
    opens_again(&*make("webdav", server.config("d", false)));
    let mut config = server.config("d", true);
    config["password"] = json!("wrong");
    let text = failure("webdav", config);
    assert!(text.contains("--webdav-password") && !text.contains("wrong;"), "{text}");
}

#[test]
fn a_pinned_certificate_is_enough() {
    let Some(server) = Dav::start_tls("webdav with tls") else { return };
    server.make_collection("d");
    let text = failure("webdav", server.config("d", true));
    assert!(text.contains("SSL_CERT_FILE"), "{text}");
    let pem = std::fs::read_to_string(&server.certificates.as_ref().unwrap().certificate).unwrap();
    let mut config = server.config("d", false);
    config["trustedServerCertificateFingerprint"] = json!(fingerprint(&pem));
    opens_again(&*make("webdav", config.clone()));
    config["trustedServerCertificateFingerprint"] = json!("ab".repeat(32));
    let text = failure("webdav", config);
    assert!(text.contains("trustedServerCertificateFingerprint"), "{text}");
}

/// SHA-256 of the certificate.
fn fingerprint(pem: &str) -> String {
    use base64::Engine as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    hex::encode(Sha256::digest(base64::engine::general_purpose::STANDARD.decode(body).unwrap()))
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = Dav::start("webdav errors") else { return };
    server.make_collection("d");
    let text = failure("webdav", server.config("missing", true));
    assert!(text.contains("--url") && text.contains("collection"), "{text}");
    let mut config = server.config("d", true);
    config["password"] = json!("hunter2");
    let text = failure("webdav", config);
    assert!(text.contains("--webdav-password") && !text.contains("hunter2"), "{text}");
    let text = failure("webdav", json!({"url": "ftp://x/"}));
    assert!(text.contains("http"), "{text}");
    let store = make("webdav", server.config("d", true));
    assert!(!store.display_name().contains(Dav::PASSWORD));
}
