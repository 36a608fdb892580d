//! WebDAV, on Apache.

use kopist_blob::BlobStore;
use kopist_testkit::servers::Dav;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{conforms_but, failure, lists_many, make, opens_again};

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
