//! An index may appear in an epoch only while that is the current one or the one before it.

use std::sync::Arc;

use jiff::SignedDuration;
use kopist_blob::{BlobId, BlobStore, MemoryStore, Operation, PutOptions, list_all};
use kopist_repo::{Clock, ManualClock, OpenOptions, RepoError, Repository, WriterOptions, create};
use parking_lot::Mutex;

use crate::common::{Meddled, open_options, password, quick_create, verify_everything};

type Event = Box<dyn Fn(&MemoryStore) + Send>;

struct World {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    repo: Repository,
}

/// A repository in whose store something happens just before an index blob arrives.
fn world(events: Vec<Event>) -> World {
    let store = Arc::new(MemoryStore::new());
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let (events, beneath) = (Mutex::new(events), Arc::clone(&store));
    let eventful = Meddled::new(Arc::clone(&store), move |operation, id| {
        if operation == Operation::Put
            && id.starts_with("xn")
            && let Some(event) = events.lock().pop()
        {
            event(&beneath);
        }
    });
    let clock = Arc::new(ManualClock::new("2026-11-21T12:00:00Z".parse().unwrap()));
    let options = OpenOptions { clock: clock.clone(), ..open_options() };
    let repo = Repository::open(Arc::new(eventful), &password(), options).unwrap();
    World { store, clock, repo }
}

fn advance_to(store: &MemoryStore, epoch: u64) {
    let marker = BlobId::from(format!("xe{epoch}"));
    store.put(&marker, &[b"epoch-marker"], &PutOptions::default()).unwrap();
}

fn indexes(world: &World) -> Vec<String> {
    let names = list_all(world.store.as_ref(), "xn").unwrap();
    names.iter().map(|b| b.id.as_str().split('_').next().unwrap().to_owned()).collect()
}

#[test]
fn an_epoch_that_ends_meanwhile_is_fine() {
    let world = world(vec![Box::new(|store| advance_to(store, 1))]);
    let writer = world.repo.writer(WriterOptions::default()).unwrap();
    writer.write_content(b"one", None, None).unwrap();
    writer.flush().unwrap();
    assert_eq!(indexes(&world), ["xn0"]);
    writer.write_content(b"two", None, None).unwrap();
    writer.flush().unwrap();
    assert_eq!(indexes(&world), ["xn0", "xn1"]);
    assert_eq!(verify_everything(&world.repo).verified, 2);
}

#[test]
fn two_epochs_are_too_many_and_the_index_is_taken_back() {
    let world = world(vec![Box::new(|store| advance_to(store, 2))]);
    let writer = world.repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_content(b"one", None, None).unwrap();
    assert!(matches!(writer.flush(), Err(RepoError::SlowIndexWrite)));
    assert!(indexes(&world).is_empty());
    // Nothing was lost: the next flush writes into the current epoch.
    writer.flush().unwrap();
    assert_eq!(indexes(&world), ["xn2"]);
    assert_eq!(world.repo.read_content(&id).unwrap(), b"one".as_slice());
}

#[test]
fn a_state_is_used_for_a_quarter_of_its_life_only() {
    let world = world(Vec::new());
    let writer = world.repo.writer(WriterOptions::default()).unwrap();
    writer.write_content(b"one", None, None).unwrap();
    // The listing of the opening says epoch 0; after 6 of 20 minutes it is too old to write by.
    advance_to(&world.store, 1);
    world.clock.advance(SignedDuration::from_mins(6));
    writer.flush().unwrap();
    assert_eq!(indexes(&world), ["xn1"]);
    let start: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    assert_eq!(world.clock.now().duration_since(start), SignedDuration::from_mins(6));
}
