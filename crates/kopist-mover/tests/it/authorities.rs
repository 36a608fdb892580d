//! `CUSTOM_CA` reaches every store that speaks TLS. What each store of its kind does with it is
//! tested in `kopist-cloud`.

use std::path::Path;

use kopist_testkit::servers::{Dav, S3};
use serde_json::{Value, json};

use crate::container::{Container, Ended};
use crate::scenario::Scenarios;

/// A pod with data, and the authority's certificate where the operator mounts it.
fn pod(authority: &Path) -> Container {
    let container = Container::new(rustix::process::geteuid().as_raw());
    std::fs::write(container.path("/data/a.txt"), "hello\n").unwrap();
    std::fs::copy(authority, container.path("/customCA/ca.crt")).unwrap();
    container
}

fn run(container: &Container, mode: &str, store: &Value, authority: Option<&str>) -> Ended {
    let mut changes = store.clone();
    let name = if mode == "maintenance" { "KOPIA_CUSTOM_CA" } else { "CUSTOM_CA" };
    if let Some(path) = authority {
        changes[name] = json!(path);
    }
    let arguments = if mode == "maintenance" { vec![] } else { vec![mode.to_owned()] };
    container.mover(&arguments, &Scenarios::load().env(mode, &changes))
}

#[track_caller]
fn needs_the_authority(authority: &Path, store: &Value) {
    let container = pod(authority);
    for absent in [None, Some("/customCA/missing.crt")] {
        let ended = run(&container, "backup", store, absent);
        assert_eq!(ended.code(), 1, "{}", ended.log);
        assert!(ended.log.contains("UnknownIssuer"), "{}", ended.log);
    }
    for mode in ["backup", "restore", "maintenance"] {
        let ended = run(&container, mode, store, Some("/customCA/ca.crt"));
        assert_eq!(ended.code(), 0, "{mode}: {}", ended.log);
    }
    let restored = std::fs::read_to_string(container.path("/restore/data/a.txt")).unwrap();
    assert_eq!(restored, "hello\n");
}

#[test]
fn webdav() {
    let Some(server) = Dav::start_tls("the mover on webdav with tls") else { return };
    server.make_collection("d");
    let store = json!({
        "KOPIA_REPOSITORY": null, "WEBDAV_URL": format!("{}d", server.url),
        "WEBDAV_USERNAME": Dav::USER, "WEBDAV_PASSWORD": Dav::PASSWORD,
    });
    needs_the_authority(&server.certificates.as_ref().unwrap().authority, &store);
}

#[test]
fn s3() {
    let Some(server) = S3::start_tls("the mover on s3 with tls") else { return };
    server.make_bucket("plain");
    let store = json!({
        "KOPIA_REPOSITORY": "s3://plain/prefix", "KOPIA_S3_ENDPOINT": server.endpoint,
        "AWS_ACCESS_KEY_ID": S3::KEY_ID, "AWS_SECRET_ACCESS_KEY": S3::SECRET,
    });
    needs_the_authority(&server.certificates.as_ref().unwrap().authority, &store);
}
