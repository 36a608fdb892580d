//! What is wrong and what to change, as each kind of storage says it: one table of what servers
//! answer and of servers that are not there. (Wrong keys and buckets on real servers are tests of
//! each storage.)

use kopist_testkit::proxy::{Faults, Proxy, Stub};
use kopist_testkit::servers::{S3, free_port};
use serde_json::{Value, json};

use crate::support::failure;

/// The kinds that speak HTTP, each with settings for a server at `scheme://host:port`.
fn config(kind: &str, server: &str, seller: &str) -> Value {
    let (scheme, address) = server.split_once("://").unwrap();
    let plain = scheme == "http";
    let port = address.rsplit_once(':').unwrap().1;
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "hunter2",
        "refresh_token": "hunter2", "token_uri": seller,
    });
    match kind {
        "s3" => json!({
            "bucket": "b", "endpoint": address, "accessKeyID": "a", "secretAccessKey": "hunter2",
            "doNotUseTLS": plain,
        }),
        "gcs" => json!({"bucket": "b", "credentials": user, "endpoint": server}),
        "azureBlob" => json!({
            "container": "c", "storageAccount": "a", "storageKey": "aHVudGVyMg==",
            "storageDomain": format!("blob.localhost:{port}"), "doNotUseTLS": plain,
        }),
        "b2" => json!({"bucket": "b", "keyID": "k", "key": "hunter2", "endpoint": server}),
        "gdrive" => json!({"folderID": "f", "credentials": user, "endpoint": server}),
        "webdav" => json!({
            "url": format!("{server}/d"), "username": "u", "password": "hunter2",
            "atomicWrites": true,
        }),
        _ => unreachable!("{kind}"),
    }
}

const KINDS: [&str; 6] = ["s3", "gcs", "azureBlob", "b2", "gdrive", "webdav"];

/// Somebody who sells tokens to everybody.
fn seller() -> Stub {
    Stub::start(|_| (200, json!({"access_token": "t", "expires_in": 3600}).to_string()))
}

fn google(code: u16, reason: &str, message: &str) -> String {
    json!({"error": {"code": code, "message": message, "errors": [{"reason": reason}]}}).to_string()
}

fn azure(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

fn b2(status: u16, code: &str, message: &str) -> String {
    json!({"status": status, "code": code, "message": message}).to_string()
}

#[test]
fn what_servers_answer_is_told_with_what_to_change() {
    let seller = seller();
    let s3 = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    #[rustfmt::skip]
    let cases = [
        ("s3", "key", 403, s3("InvalidAccessKeyId"), "--access-key"),
        ("s3", "expired", 400, s3("ExpiredToken"), "--session-token no longer hold"),
        ("s3", "bucket", 404, s3("NoSuchBucket"), "--bucket"),
        ("s3", "rights", 403, s3("AccessDenied"), "--bucket"),
        ("s3", "clock", 403, s3("RequestTimeTooSkewed"), "the clock of this machine"),
        ("s3", "quota", 409, s3("QuotaExceeded"), "quota"),
        ("gcs", "key", 401, google(401, "authError", "Invalid Credentials"), "--credentials-file"),
        ("gcs", "rights", 403, google(403, "forbidden", "no"), "--bucket"),
        ("gcs", "bucket", 404, google(404, "notFound", "The specified bucket does not exist."), "--bucket"),
        ("gcs", "quota", 403, google(403, "quotaExceeded", "full"), "quota"),
        ("azureBlob", "key", 403, azure("AuthenticationFailed", "Server failed to authenticate"), "--storage-key"),
        ("azureBlob", "container", 404, azure("ContainerNotFound", "m"), "--container"),
        ("azureBlob", "rights", 403, azure("AuthorizationPermissionMismatch", "m"), "--container"),
        ("azureBlob", "clock", 403, azure("AuthenticationFailed", "Request date header too old: 'x'"), "the clock of this machine"),
        ("azureBlob", "quota", 409, azure("AccountLimitExceeded", "m"), "quota"),
        ("b2", "key", 401, b2(401, "unauthorized", ""), "--key-id and --key"),
        ("b2", "rights", 403, b2(403, "access_denied", ""), "--bucket"),
        ("b2", "quota", 403, b2(403, "storage_cap_exceeded", ""), "quota"),
        ("gdrive", "key", 401, google(401, "authError", "Invalid Credentials"), "--credentials-file"),
        ("gdrive", "rights", 403, google(403, "insufficientFilePermissions", "no"), "--folder-id"),
        ("gdrive", "folder", 404, google(404, "notFound", "File not found: f."), "--folder-id"),
        ("gdrive", "quota", 403, google(403, "storageQuotaExceeded", "full"), "quota"),
        ("webdav", "password", 401, String::new(), "--webdav-password"),
        ("webdav", "rights", 403, String::new(), "--webdav-username"),
        ("webdav", "collection", 404, String::new(), "--url"),
        ("webdav", "quota", 507, String::new(), "quota"),
    ];
    for (kind, what, status, body, part) in cases {
        let answers = Faults { refused: 1.0, status, body, ..Faults::default() };
        let proxy = Proxy::start(free_port(), answers);
        let server = format!("http://{}", proxy.address());
        let text = failure(kind, config(kind, &server, &seller.url()));
        assert!(text.contains(part), "{kind}, {what}: {text}");
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{kind}: {text}");
    }
}

/// Tokens of Google are bought for a time, so its seller is who notices.
#[test]
fn the_clock_and_the_keys_of_google() {
    for (description, part) in [
        (
            "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe. Check your \
          iat and exp values in the JWT claim.",
            "the clock of this machine",
        ),
        ("Bad Request", "--credentials-file"),
    ] {
        let refusing = Stub::start(move |_| {
            let error = json!({"error": "invalid_grant", "error_description": description});
            (400, error.to_string())
        });
        for kind in ["gcs", "gdrive"] {
            let text = failure(kind, config(kind, "http://127.0.0.1:9", &refusing.url()));
            assert!(text.contains(part) && !text.contains("hunter2"), "{kind}: {text}");
        }
    }
}

#[test]
fn servers_that_are_not_there() {
    let seller = seller();
    let address = |kind| match kind {
        "s3" => "--endpoint",
        "gcs" => "STORAGE_EMULATOR_HOST",
        "azureBlob" => "--storage-domain",
        "webdav" => "--url",
        _ => "the network",
    };
    for kind in KINDS {
        let server = format!("http://127.0.0.1:{}", free_port());
        let text = failure(kind, config(kind, &server, &seller.url()));
        assert!(text.contains(address(kind)) && text.contains("the network"), "{kind}: {text}");
        assert!(!text.contains("hunter2"), "{kind}: {text}");
    }
}

#[test]
fn servers_that_nobody_vouches_for() {
    let Some(server) = S3::start_tls("certificates of every kind") else { return };
    let seller = seller();
    let setting = |kind| if kind == "s3" { "--root-ca-pem-path" } else { "SSL_CERT_FILE" };
    for kind in KINDS {
        let address = format!("https://{}", server.endpoint);
        let text = failure(kind, config(kind, &address, &seller.url()));
        assert!(text.contains(setting(kind)) && text.contains("UnknownIssuer"), "{kind}: {text}");
    }
}
