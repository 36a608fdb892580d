//! What the tests of all stores share.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopist_blob::sharded::Parameters;
use kopist_blob::testing::{CASES, conformance};
use kopist_blob::{
    BlobId, BlobStore, ByteRange, PutOptions, RetryPolicy, StorageConfig, in_parallel, list_all,
};
use kopist_cloud::{ConnectOptions, connect, create};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub(crate) fn make(kind: &str, config: Value) -> Arc<dyn BlobStore> {
    create(&StorageConfig::new(kind, config), &ConnectOptions::default()).unwrap()
}

pub(crate) fn open(kind: &str, config: Value) -> Arc<dyn BlobStore> {
    connect(&StorageConfig::new(kind, config), &ConnectOptions::default()).unwrap()
}

/// The error of the first operation on a store that cannot work. Nothing is tried twice.
pub(crate) fn failure(kind: &str, config: Value) -> String {
    let options = ConnectOptions {
        retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
        ..ConnectOptions::default()
    };
    let store = match connect(&StorageConfig::new(kind, config), &options) {
        Ok(store) => store,
        Err(error) => return error.to_string(),
    };
    let error = store.put(&"kopia.repository".into(), &[b"x"], &PutOptions::default());
    error.unwrap_err().to_string()
}

/// Runs the suite, each case in a place of its own, whose number `config` gets.
pub(crate) fn conforms(kind: &str, config: impl Fn(usize) -> Value) {
    let next = AtomicUsize::new(0);
    conformance(&|| make(kind, config(next.fetch_add(1, Ordering::Relaxed))));
}

/// The suite without some cases, which the server at hand cannot play.
pub(crate) fn conforms_but(kind: &str, left_out: &[&str], config: impl Fn(usize) -> Value) {
    for name in left_out {
        assert!(CASES.iter().any(|case| case.name == *name), "there is no case {name:?}");
    }
    for (number, case) in CASES.iter().enumerate() {
        if !left_out.contains(&case.name) {
            (case.run)(&*make(kind, config(number)));
        }
    }
}

/// The time of day, which versions have from the same machine.
#[allow(clippy::disallowed_methods)] // the servers' clock is this machine's
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// More blobs than any page holds.
pub(crate) const MANY: usize = 10_500;

/// Writes [`MANY`] blobs and lists them; fewer for slow servers.
pub(crate) fn lists_many(store: &dyn BlobStore, count: usize) {
    let ids: Vec<BlobId> = (0..count).map(|n| format!("p{n:031x}-s1").into()).collect();
    in_parallel(&ids, 16, |id| {
        store.put(id, &[b"x"], &PutOptions::default())?;
        Ok(())
    })
    .unwrap();
    let found = list_all(store, "p").unwrap();
    assert_eq!(found.len(), count);
    let distinct: BTreeSet<_> = found.iter().map(|meta| meta.id.clone()).collect();
    assert_eq!(distinct, ids.into_iter().collect());
    assert!(list_all(store, "q").unwrap().is_empty());
}

/// Lists many blobs that lie in a directory. A put waits for the disk of the server, where many
/// wait for one another. So one in 500 is put, and the others are laid there as it would lay them.
pub(crate) fn lists_many_laid(store: &dyn BlobStore, root: &Path, shards: &[usize], count: usize) {
    let layout = Parameters::with_shards(shards);
    let ids: BTreeSet<BlobId> = (0..count)
        .map(|n| hex::encode(Sha256::digest(n.to_string())))
        .map(|hash| format!("p{}-s1", &hash[..32]).into())
        .collect();
    for (number, id) in ids.iter().enumerate() {
        if number % 500 == 0 {
            store.put(id, &[b"x"], &PutOptions::default()).unwrap();
        } else {
            let file = root.join(layout.path_of(id).unwrap());
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, b"x").unwrap();
        }
    }
    let found: Vec<BlobId> =
        list_all(store, "p").unwrap().into_iter().map(|meta| meta.id).collect();
    assert_eq!(found.len(), count, "{shards:?}");
    assert_eq!(BTreeSet::from_iter(found), ids, "{shards:?}");
    assert!(list_all(store, "q").unwrap().is_empty(), "{shards:?}");
}

/// Two connections see each other's blobs, and what a store says of itself opens it again.
pub(crate) fn opens_again(store: &dyn BlobStore) {
    let id: BlobId = "p1234567890abcdef1234567890abcdef-s1".into();
    store.put(&id, &[b"hello"], &PutOptions::default()).unwrap();
    let again = connect(&store.storage_config(), &ConnectOptions::default()).unwrap();
    assert_eq!(&again.get(&id, ByteRange::Full).unwrap()[..], b"hello");
    assert_eq!(again.storage_config(), store.storage_config());
    assert_eq!(again.display_name(), store.display_name());
}

/// The processes whose command lines have all of these words in them.
pub(crate) fn processes(words: &[&str]) -> Vec<rustix::process::Pid> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let meant = all.filter(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        words.iter().all(|word| command.contains(word))
    });
    let numbers = meant.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(rustix::process::Pid::from_raw).collect()
}
