//! Copies of a repository: complete, resumable, safe beside writers and maintenance.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kopist_blob::{
    BlobId, BlobStore, ByteRange, Fault, Faulty, MemoryStore, Operation, PutOptions, When, list_all,
};
use kopist_repo::sync::{Deletion, SyncError, SyncEvent, SyncObserver, SyncOptions, Update, sync};
use kopist_repo::{ObjectOptions, Repository, WriterOptions};
use secrecy::SecretString;

use crate::common::{Meddled, new_repository, noise, open, quick_create, verify_everything};

/// Writes an object of noise and returns its id.
fn write(repo: &Repository, seed: u64) -> kopist_format::id::ObjectId {
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_object(&noise(seed, 100_000), ObjectOptions::default()).unwrap();
    writer.flush().unwrap();
    id
}

struct Silent;

impl SyncObserver for Silent {
    fn event(&self, _: SyncEvent<'_>) {}
}

fn copy(
    from: &dyn BlobStore,
    to: &dyn BlobStore,
) -> Result<kopist_repo::sync::SyncReport, SyncError> {
    let options = SyncOptions { verify_percent: 100.0, ..SyncOptions::default() };
    sync(from, to, &options, &Silent)
}

#[test]
fn a_copy_opens_and_has_everything() {
    let (store, repo) = new_repository(&quick_create());
    let ids: Vec<_> = (0..5).map(|seed| write(&repo, seed)).collect();
    let there = Arc::new(MemoryStore::new());
    let report = copy(store.as_ref(), there.as_ref()).unwrap();
    assert_eq!((report.rounds, report.in_sync.blobs), (1, 1), "the format blob says whose it is");
    assert_eq!(report.verified, report.copied);
    let opened = open(there.clone());
    verify_everything(&opened);
    for (seed, id) in ids.iter().enumerate() {
        assert_eq!(opened.read_object(id).unwrap(), noise(seed as u64, 100_000));
    }

    // Again nothing, then what is new.
    assert_eq!(copy(store.as_ref(), there.as_ref()).unwrap().copied.blobs, 0);
    let new = write(&repo, 9);
    let report = copy(store.as_ref(), there.as_ref()).unwrap();
    assert_eq!(report.copied.blobs, 2, "a pack and its index");
    assert_eq!(open(there).read_object(&new).unwrap(), noise(9, 100_000));
}

#[test]
fn another_repository_is_not_touched() {
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    let (other, other_repo) = new_repository(&quick_create());
    write(&other_repo, 2);
    let before = list_all(other.as_ref(), "").unwrap();
    let error = copy(store.as_ref(), other.as_ref()).unwrap_err();
    assert!(matches!(error, SyncError::OtherRepository), "{error}");
    assert_eq!(list_all(other.as_ref(), "").unwrap(), before);
}

#[test]
fn what_changes_under_its_name_is_compared_by_its_bytes() {
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    let there = Arc::new(MemoryStore::new());
    copy(store.as_ref(), there.as_ref()).unwrap();
    repo.change_password(&SecretString::from("another password")).unwrap();
    copy(store.as_ref(), there.as_ref()).unwrap();
    let id = BlobId::from("kopia.repository");
    let read = |store: &MemoryStore| store.get(&id, ByteRange::Full).unwrap();
    assert_eq!(read(&store), read(&there));
    // A copy that is too short is made again.
    let pack = list_all(there.as_ref(), "p").unwrap().remove(0);
    there.put(&pack.id, &[b"short"], &PutOptions::default()).unwrap();
    assert_eq!(copy(store.as_ref(), there.as_ref()).unwrap().copied.blobs, 1);
}

#[test]
fn wherever_it_is_cut_off_the_copy_is_whole_and_goes_on() {
    let (store, repo) = new_repository(&quick_create());
    for seed in 0..4 {
        write(&repo, seed);
    }
    let total = list_all(store.as_ref(), "").unwrap().len() as u64;
    let there = MemoryStore::new();
    for puts in 1..total {
        let there = there.fork();
        let broken = Faulty::new(there.clone(), puts).with(
            Operation::Put,
            When::After(puts),
            Fault::Permanent,
        );
        let options = SyncOptions { parallel: 1, ..SyncOptions::default() };
        sync(store.as_ref(), &broken, &options, &Silent).unwrap_err();
        if let Ok(cut) = Repository::open(
            Arc::new(there.clone()),
            &crate::common::password(),
            crate::common::open_options(),
        ) {
            verify_everything(&cut);
        }
        copy(store.as_ref(), &there).unwrap();
        assert_eq!(verify_everything(&open(Arc::new(there))).verified, 4);
    }
}

#[test]
fn a_destination_that_does_not_keep_data_is_found_out() {
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    let lying = Faulty::new(MemoryStore::new(), 1).with_prefix(
        Operation::Get,
        "p",
        When::Always,
        Fault::FlippedBit,
    );
    let error = copy(store.as_ref(), &lying).unwrap_err();
    assert!(matches!(&error, SyncError::Differs(id) if id.starts_with("p")), "{error}");
    // Once is forgiven: it is written again.
    let once = Faulty::new(MemoryStore::new(), 1).with_prefix(
        Operation::Get,
        "p",
        When::Nth(1),
        Fault::FlippedBit,
    );
    copy(store.as_ref(), &once).unwrap();
}

#[test]
fn deleting_has_a_limit_and_an_age() {
    let clock = Arc::new(AtomicU64::new(1_000));
    let now = Arc::clone(&clock);
    let there = MemoryStore::with_clock(move || {
        jiff::Timestamp::from_second(now.load(Ordering::Relaxed) as i64).unwrap()
    });
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    for (name, size) in [("pold", 50_000), ("xn0_old", 10)] {
        there.put(&name.into(), &[&noise(1, size)], &PutOptions::default()).unwrap();
    }
    clock.store(5_000, Ordering::Relaxed);
    there.put(&"pnew".into(), &[b"new"], &PutOptions::default()).unwrap();
    let with = |written_before: Option<i64>, at_most_percent| SyncOptions {
        delete: Some(Deletion {
            written_before: written_before
                .map(|second| jiff::Timestamp::from_second(second).unwrap()),
            at_most_percent,
        }),
        ..SyncOptions::default()
    };
    let exists = |name: &str| there.metadata(&name.into()).is_ok();
    // Nothing is at the destination but what is to go.
    let error = sync(store.as_ref(), &there, &with(None, Some(50)), &Silent).unwrap_err();
    assert!(matches!(error, SyncError::TooMuchToDelete { .. }), "{error}");
    assert!(exists("pold"));
    let report = sync(store.as_ref(), &there, &with(Some(2_000), Some(50)), &Silent).unwrap();
    assert_eq!(report.deleted.blobs, 2);
    assert!(!exists("pold") && !exists("xn0_old") && exists("pnew"));
    sync(store.as_ref(), &there, &SyncOptions::default(), &Silent).unwrap();
    assert!(exists("pnew"), "nothing is deleted that is not asked for");
    sync(store.as_ref(), &there, &with(None, None), &Silent).unwrap();
    assert!(!exists("pnew"));
    verify_everything(&open(Arc::new(there)));
}

/// A source to which something happens when its first pack is read.
fn meddled(store: &Arc<MemoryStore>, act: impl FnOnce() + Send) -> impl BlobStore {
    let act = Mutex::new(Some(act));
    Meddled::new(Arc::clone(store), move |operation, id| {
        if operation == Operation::Get
            && id.starts_with("p")
            && let Some(act) = act.lock().unwrap().take()
        {
            act();
        }
    })
}

#[test]
fn a_writer_at_the_same_time_does_no_harm() {
    let (store, repo) = new_repository(&quick_create());
    let first = write(&repo, 1);
    let writing = repo.clone();
    let source = meddled(&store, move || {
        write(&writing, 2);
    });
    let there = Arc::new(MemoryStore::new());
    let report = copy(&source, there.as_ref()).unwrap();
    assert_eq!(report.rounds, 1);
    let opened = open(there.clone());
    verify_everything(&opened);
    assert_eq!(opened.read_object(&first).unwrap(), noise(1, 100_000));
    copy(store.as_ref(), there.as_ref()).unwrap();
    assert_eq!(verify_everything(&open(there)).verified, 2);
}

#[test]
fn what_maintenance_replaces_meanwhile_is_looked_for_again() {
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    let again = AtomicBool::new(false);
    let (inner, writing) = (&*store, repo.clone());
    // What maintenance does, in short: everything lies elsewhere, and the old places are gone.
    let act = move || {
        write(&writing, 2);
        for blob in list_all(inner, "p").unwrap() {
            let body = inner.get(&blob.id, ByteRange::Full).unwrap();
            if body.len() > 1 && blob.id.starts_with("pdead") {
                inner.delete(&blob.id).unwrap();
            }
        }
    };
    store.put(&"pdead0".into(), &[b"unreferenced"], &PutOptions::default()).unwrap();
    let source = meddled(&store, act);
    struct Watch<'a>(&'a AtomicBool);
    impl SyncObserver for Watch<'_> {
        fn event(&self, event: SyncEvent<'_>) {
            if matches!(event, SyncEvent::Again) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
    }
    let there = Arc::new(MemoryStore::new());
    let options = SyncOptions { parallel: 1, ..SyncOptions::default() };
    let report = sync(&source, there.as_ref(), &options, &Watch(&again)).unwrap();
    assert!(again.load(Ordering::Relaxed) && report.rounds == 2, "{report:?}");
    assert_eq!(verify_everything(&open(there)).verified, 2);
}

#[test]
fn times_decide_where_that_is_asked_for() {
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    let there = MemoryStore::new();
    copy(store.as_ref(), &there).unwrap();
    let with = |update| SyncOptions { update, ..SyncOptions::default() };
    let later = jiff::Timestamp::from_second(4_000_000_000).unwrap();
    let pack = list_all(store.as_ref(), "p").unwrap().remove(0).id;
    let body = store.get(&pack, ByteRange::Full).unwrap();
    store.put(&pack, &[&body], &PutOptions::with_mod_time(later)).unwrap();
    let copied =
        |update| sync(store.as_ref(), &there, &with(update), &Silent).unwrap().copied.blobs;
    assert_eq!(copied(Update::Never), 0);
    assert_eq!(copied(Update::IfDifferent), 0);
    assert_eq!(copied(Update::IfOlder), 1);
}

#[test]
fn a_stop_is_obeyed_between_blobs() {
    struct Stop;
    impl SyncObserver for Stop {
        fn event(&self, _: SyncEvent<'_>) {}
        fn stop(&self) -> bool {
            true
        }
    }
    let (store, repo) = new_repository(&quick_create());
    write(&repo, 1);
    let there = MemoryStore::new();
    let error = sync(store.as_ref(), &there, &SyncOptions::default(), &Stop).unwrap_err();
    assert!(matches!(error, SyncError::Stopped), "{error}");
    copy(store.as_ref(), &there).unwrap();
}
