//! Connections, as the layers above get them.

use std::sync::Arc;

use kopist_blob::testing::conformance;
use kopist_blob::{BlobError, BlobStore, Limits, PutOptions, StorageConfig, list_all};
use kopist_cloud::{ConnectError, ConnectOptions, connect, create, kinds};
use serde_json::json;

fn filesystem(path: &std::path::Path) -> StorageConfig {
    StorageConfig::new("filesystem", json!({"path": path, "dirShards": null}))
}

#[test]
fn a_created_store_can_be_connected_to() {
    let dir = tempfile::tempdir().unwrap();
    let config = filesystem(&dir.path().join("a/b"));
    let error = connect(&config, &ConnectOptions::default()).unwrap_err();
    assert!(matches!(error, ConnectError::Store(BlobError::Inaccessible { .. })), "{error}");
    let store = create(&config, &ConnectOptions::default()).unwrap();
    store.put(&"kopia.repository".into(), &[b"x"], &PutOptions::default()).unwrap();
    // What the store says of itself opens it again.
    let again = connect(&store.storage_config(), &ConnectOptions::default()).unwrap();
    assert_eq!(list_all(&again, "").unwrap().len(), 1);
    assert_eq!(again.storage_config(), config);
}

#[test]
fn connections_keep_the_promises_of_stores() {
    let dir = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    conformance(&|| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let options = ConnectOptions {
            limits: Some(Limits { concurrent_reads: 3, ..Limits::default() }),
            ..ConnectOptions::default()
        };
        create(&filesystem(&dir.path().join(number.to_string())), &options).unwrap()
    });
}

#[test]
fn read_only_connections_refuse_changes() {
    let dir = tempfile::tempdir().unwrap();
    let options = ConnectOptions { read_only: true, ..ConnectOptions::default() };
    let store: Arc<dyn BlobStore> = connect(&filesystem(dir.path()), &options).unwrap();
    let error = store.put(&"a".into(), &[b"x"], &PutOptions::default()).unwrap_err();
    assert!(matches!(error, BlobError::ReadOnly { .. }) && store.is_read_only());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "looking leaves no traces");
}

#[test]
fn kinds_that_are_missing_are_named() {
    let missing: Vec<_> = kinds().filter(|kind| !kind.included).collect();
    assert_eq!(missing.iter().map(|kind| kind.name).collect::<Vec<_>>(), ["server"]);
    for kind in missing {
        let config = StorageConfig::new(kind.name, json!({"password": "hunter2"}));
        let error = connect(&config, &ConnectOptions::default()).unwrap_err();
        assert!(matches!(error, ConnectError::NotIncluded { .. }));
        let text = error.to_string();
        assert!(text.contains("does not include") && text.contains(kind.name), "{text}");
    }
    let error = connect(&StorageConfig::new("floppy", json!({})), &ConnectOptions::default());
    let text = error.unwrap_err().to_string();
    assert!(text.contains("floppy") && text.contains("filesystem"), "{text}");
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for limit in [json!(-1), json!("fast")] {
        let config = StorageConfig::new(
            "filesystem",
            json!({"path": dir.path(), "maxUploadSpeedBytesPerSecond": limit}),
        );
        let error = connect(&config, &ConnectOptions::default()).unwrap_err();
        assert!(matches!(error, ConnectError::Store(BlobError::InvalidConfig { .. })), "{error}");
    }
}
