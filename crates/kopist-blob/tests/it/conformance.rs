//! Every store and every wrapper keeps the same promises.

use std::sync::Arc;

use kopist_blob::filesystem::{Durability, FilesystemConfig, FilesystemStore};
use kopist_blob::pace::ManualTimer;
use kopist_blob::testing::conformance;
use kopist_blob::{
    BlobStore, Fault, Faulty, Limits, MemoryStore, Operation, PowerCut, Recording, Retry,
    RetryPolicy, Throttle, Traced, When,
};

/// Syncing is left out where only the layout differs: it takes most of the time.
fn filesystem(shards: Option<&[usize]>, durability: Durability) {
    let dirs = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    conformance(&|| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let config = FilesystemConfig {
            dir_shards: shards.map(<[usize]>::to_vec),
            ..FilesystemConfig::new(dirs.path().join(number.to_string()))
        };
        Arc::new(FilesystemStore::create(config).unwrap().with_durability(durability))
    });
}

#[test]
fn filesystem_with_the_usual_shards() {
    filesystem(None, Durability::PowerCut);
}

#[test]
fn filesystem_with_old_shards() {
    filesystem(Some(&[3, 3]), Durability::Cache);
}

#[test]
fn filesystem_flat() {
    filesystem(Some(&[]), Durability::Cache);
}

#[test]
fn filesystem_with_odd_shards() {
    filesystem(Some(&[0, 2, 1, 5]), Durability::Cache);
}

#[test]
fn filesystem_with_the_shards_of_caches() {
    filesystem(Some(&[2]), Durability::Cache);
}

#[test]
fn memory() {
    conformance(&|| Arc::new(MemoryStore::new()));
}

#[test]
fn wrappers_change_nothing() {
    conformance(&|| {
        let limits = Limits {
            reads_per_second: 100.0,
            writes_per_second: 100.0,
            upload_bytes_per_second: 1e6,
            download_bytes_per_second: 1e6,
            concurrent_reads: 2,
            concurrent_writes: 2,
            ..Limits::default()
        };
        let store: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
        let store = Recording::new(PowerCut::never(Faulty::new(store, 1)));
        let timer = Arc::new(ManualTimer::new());
        Arc::new(Traced::new(Throttle::with_timer(store, &limits, timer).unwrap()))
    });
}

/// A store that loses a third of all requests, and of its answers, looks whole through retries.
#[test]
fn retries_hide_a_bad_connection() {
    conformance(&|| {
        let chance = When::Chance(0.3);
        let store = Faulty::new(MemoryStore::new(), 42)
            .with(Operation::Get, chance, Fault::Transient)
            .with(Operation::Metadata, chance, Fault::Transient)
            .with(Operation::List, chance, Fault::Transient)
            // Not for all puts: a create-only put with a lost answer cannot be hidden.
            .with_prefix(Operation::Put, "q", chance, Fault::LostAnswer)
            .with(Operation::Put, chance, Fault::Transient)
            .with(Operation::Delete, chance, Fault::LostAnswer);
        let policy = RetryPolicy { attempts: 30, ..RetryPolicy::default() };
        Arc::new(Retry::with(store, policy, Arc::new(ManualTimer::new())))
    });
}

/// The suite itself must notice what is wrong.
#[test]
fn the_suite_notices_faults() {
    for (operation, fault) in [
        (Operation::Get, Fault::FlippedBit),
        (Operation::Get, Fault::ShortRead),
        (Operation::Put, Fault::LostAnswer),
        (Operation::Delete, Fault::Permanent),
        (Operation::List, Fault::Permanent),
    ] {
        let run = || {
            conformance(&|| {
                Arc::new(Faulty::new(MemoryStore::new(), 1).with(operation, When::Nth(1), fault))
            });
        };
        assert!(std::panic::catch_unwind(run).is_err(), "{operation} {fault:?} went unnoticed");
    }
}
