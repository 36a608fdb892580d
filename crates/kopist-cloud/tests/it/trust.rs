//! Authorities that a connection is told to believe besides those of the system.

use kopist_blob::{BlobStore, ByteRange, PutOptions, RetryPolicy, StorageConfig};
use kopist_cloud::{ConnectError, ConnectOptions, ExtraRoots, connect};
use kopist_testkit::servers::{AZURE_KEY, Dav, S3, find_or_skip};
use serde_json::{Value, json};

/// Nothing is tried twice.
fn believing(pem: &[u8]) -> ConnectOptions {
    ConnectOptions {
        retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
        extra_roots: ExtraRoots::from_pem(pem),
        ..ConnectOptions::default()
    }
}

/// Writes a blob and reads it; the error in words.
fn used(kind: &str, config: &Value, options: &ConnectOptions) -> Result<(), String> {
    let config = StorageConfig::new(kind, config.clone());
    let store = connect(&config, options).map_err(|error| told(&error))?;
    let id = "p1234567890abcdef1234567890abcdef-s1".into();
    let put = store.put(&id, &[b"hello"], &PutOptions::default());
    put.map_err(|error| error.to_string())?;
    let got = store.get(&id, ByteRange::Full).map_err(|error| error.to_string())?;
    assert_eq!(&got[..], b"hello");
    Ok(())
}

fn told(error: &ConnectError) -> String {
    error.to_string()
}

/// What a connection says that does not know who has certified its server.
const UNKNOWN: &str = "UnknownIssuer";

#[test]
fn s3() {
    let Some(server) = S3::start_tls("s3 with a further authority") else { return };
    server.make_bucket("plain");
    let mut config = server.config("plain", "");
    config.as_object_mut().unwrap().remove("rootCA");
    let error = used("s3", &config, &believing(b"")).unwrap_err();
    assert!(error.contains(UNKNOWN), "{error}");
    let authority = server.certificates.as_ref().unwrap().authority_pem();
    used("s3", &config, &believing(&authority)).unwrap();
}

#[test]
fn webdav() {
    let Some(server) = Dav::start_tls("webdav with a further authority") else { return };
    server.make_collection("d");
    let config = server.config("d", true);
    let error = used("webdav", &config, &believing(b"")).unwrap_err();
    assert!(error.contains(UNKNOWN), "{error}");
    let authority = server.certificates.as_ref().unwrap().authority_pem();
    used("webdav", &config, &believing(&authority)).unwrap();
    let error = used("webdav", &config, &believing(b"no certificate")).unwrap_err();
    assert!(error.contains("further root certificates"), "{error}");
}

/// rclone speaks TLS itself, and must believe the same.
#[test]
fn rclone() {
    let Some(_) = find_or_skip("rclone", "rclone with a further authority") else { return };
    let Some(server) = Dav::start_tls("rclone with a further authority") else { return };
    server.make_collection("d");
    let password = std::process::Command::new("rclone").args(["obscure", Dav::PASSWORD]).output();
    let password = String::from_utf8(password.unwrap().stdout).unwrap();
    let remote = format!(
        "[dav]\ntype = webdav\nurl = {}d\nvendor = other\nuser = {}\npass = {}\n",
        server.url,
        Dav::USER,
        password.trim()
    );
    let config = json!({
        "remotePath": "dav:", "startupTimeout": "60s", "atomicWrites": true, "dirShards": null,
        "embeddedConfig": remote, "rcloneArgs": ["--retries=1", "--low-level-retries=1"],
    });
    assert!(used("rclone", &config, &believing(b"")).is_err());
    let authority = server.certificates.as_ref().unwrap().authority_pem();
    used("rclone", &config, &believing(&authority)).unwrap();
}

/// A web server that knows none of these services can still show whether it is believed: a
/// connection that is made gets an answer, if only a refusal.
#[test]
fn clouds() {
    let Some(server) = Dav::start_tls("clouds with a further authority") else { return };
    let base = server.url.trim_end_matches('/');
    let host = base.trim_start_matches("https://");
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "t",
        "token_uri": format!("{base}/token"),
    });
    let stores = [
        ("gcs", json!({"bucket": "b", "endpoint": base})),
        ("gcs", json!({"bucket": "b", "endpoint": base, "credentials": user})),
        (
            "azureBlob",
            json!({
                "container": "c", "storageAccount": "acc", "storageKey": AZURE_KEY,
                "storageDomain": format!("blob.{host}"),
            }),
        ),
        ("b2", json!({"bucket": "b", "keyID": "k", "key": "s", "endpoint": base})),
        ("gdrive", json!({"folderID": "f", "endpoint": base, "credentials": user})),
    ];
    let authority = server.certificates.as_ref().unwrap().authority_pem();
    for (kind, config) in stores {
        let error = used(kind, &config, &believing(b"")).unwrap_err();
        assert!(error.contains(UNKNOWN), "{kind}: {error}");
        let error = used(kind, &config, &believing(&authority)).unwrap_err();
        assert!(error.contains("answered"), "{kind}: {error}");
    }
}
