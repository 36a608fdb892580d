//! An index may appear in an epoch only while that is the current one or the one before it.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use jiff::SignedDuration;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, MemoryStore, PutOptions, StorageConfig,
    list_all,
};
use kopist_repo::{Clock, ManualClock, OpenOptions, RepoError, Repository, WriterOptions, create};
use parking_lot::Mutex;

use crate::common::{open_options, password, quick_create, verify_everything};

type Event = Box<dyn Fn(&MemoryStore) + Send>;

/// A store in which something happens just before an index blob arrives.
struct Eventful {
    inner: Arc<MemoryStore>,
    events: Mutex<Vec<Event>>,
}

impl std::fmt::Debug for Eventful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Eventful")
    }
}

impl BlobStore for Eventful {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.inner.get(id, range)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.inner.metadata(id)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        if id.starts_with("xn")
            && let Some(event) = self.events.lock().pop()
        {
            event(&self.inner);
        }
        self.inner.put(id, data, options)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.inner.delete(id)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.inner.list(prefix, visit)
    }

    fn storage_config(&self) -> StorageConfig {
        self.inner.storage_config()
    }

    fn display_name(&self) -> String {
        self.inner.display_name()
    }
}

struct World {
    store: Arc<Eventful>,
    clock: Arc<ManualClock>,
    repo: Repository,
}

fn world(events: Vec<Event>) -> World {
    let inner = Arc::new(MemoryStore::new());
    create(inner.as_ref(), &password(), &quick_create()).unwrap();
    let store = Arc::new(Eventful { inner, events: Mutex::new(events) });
    let clock = Arc::new(ManualClock::new("2026-11-21T12:00:00Z".parse().unwrap()));
    let options = OpenOptions { clock: clock.clone(), ..open_options() };
    let repo = Repository::open(store.clone(), &password(), options).unwrap();
    World { store, clock, repo }
}

fn advance_to(store: &MemoryStore, epoch: u64) {
    let marker = BlobId::from(format!("xe{epoch}"));
    store.put(&marker, &[b"epoch-marker"], &PutOptions::default()).unwrap();
}

fn indexes(world: &World) -> Vec<String> {
    let names = list_all(world.store.inner.as_ref(), "xn").unwrap();
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
    advance_to(&world.store.inner, 1);
    world.clock.advance(SignedDuration::from_mins(6));
    writer.flush().unwrap();
    assert_eq!(indexes(&world), ["xn1"]);
    let start: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    assert_eq!(world.clock.now().duration_since(start), SignedDuration::from_mins(6));
}
