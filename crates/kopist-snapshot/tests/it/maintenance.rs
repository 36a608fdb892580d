//! Maintenance as a whole: when it runs, what it remembers, and that it takes nothing in use.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobStore, MemoryStore};
use kopist_format::format_blob::FormatVersion;
use kopist_format::maintenance::Schedule;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{
    ClientIdentity, Clock, CreateOptions, ManualClock, OpenOptions, Repository, VerifyOptions,
};
use kopist_snapshot::maintenance::{
    MaintenanceError, MaintenanceEvent, MaintenanceOptions, MaintenanceOutcome, Mode,
    SafetyParameters, claim, parameters, run, task,
};
use kopist_snapshot::restore::{RestoreOptions, Silent, restore};
use kopist_snapshot::store;

use crate::common::{blobs, open_at, password, snapshot, writer};

/// A repository whose storage and clients have one clock.
struct World {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    repo: Repository,
}

impl World {
    fn new(version: FormatVersion) -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        let of_store = Arc::clone(&clock);
        let store = Arc::new(MemoryStore::with_clock(move || of_store.now()));
        let options = CreateOptions {
            version,
            key_derivation: kopist_format::kdf::PBKDF2_KEY_DERIVATION.into(),
            ..CreateOptions::default()
        };
        kopist_repo::create(store.as_ref(), &password(), &options).unwrap();
        let repo = open_at(store.clone(), clock.clone());
        let world = Self { clock, store, repo };
        world.write(|writer| assert!(claim(writer).unwrap()));
        world
    }

    fn write<T>(&self, work: impl FnOnce(&kopist_repo::RepositoryWriter) -> T) -> T {
        let writer = writer(&self.repo);
        let value = work(&writer);
        writer.flush().unwrap();
        value
    }

    fn pass(&self, hours: i64) {
        self.clock.advance(SignedDuration::from_hours(hours));
    }

    fn run(&self, options: &MaintenanceOptions) -> Result<MaintenanceOutcome, MaintenanceError> {
        run(&self.repo, options, &|_| {})
    }

    fn full(&self, safety: SafetyParameters) {
        let options = MaintenanceOptions { mode: Some(Mode::Full), safety, ..Default::default() };
        assert_eq!(self.run(&options).unwrap(), MaintenanceOutcome::Ran(Mode::Full));
    }

    fn schedule(&self) -> Schedule {
        self.repo.maintenance_schedule().unwrap()
    }

    /// The repository as another client sees it.
    fn reopened(&self) -> Repository {
        open_at(self.store.clone(), self.clock.clone())
    }

    /// Everything that the index names can be read, and the snapshot is what it was.
    fn assert_whole(&self, manifest: &SnapshotManifest, tree: &Path) {
        let repo = self.reopened();
        let options = VerifyOptions { read_percent: 100.0, ..VerifyOptions::default() };
        let report = repo.verify_contents(&options, &|error: &_| panic!("{error:?}")).unwrap();
        assert!(report.verified > 0 && report.errors() == 0);
        let target = tempfile::tempdir().unwrap();
        let root = manifest.root_entry.as_ref().unwrap();
        let target = target.path().join("x");
        restore(&repo, root, &target, &RestoreOptions::default(), &Silent).unwrap();
        for file in ["kept", "common"] {
            assert_eq!(fs::read(tree.join(file)).unwrap(), fs::read(target.join(file)).unwrap());
        }
    }
}

fn random_file(path: &Path, seed: u64, length: usize) {
    let mut state = seed | 1;
    let bytes: Vec<u8> = (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    fs::write(path, bytes).unwrap();
}

/// Two snapshots with something in common; the first one is deleted again.
fn one_of_two(world: &World, tree: &Path) -> SnapshotManifest {
    random_file(&tree.join("common"), 1, 100_000);
    random_file(&tree.join("gone"), 2, 3_000_000);
    let first = snapshot(&world.repo, tree);
    fs::remove_file(tree.join("gone")).unwrap();
    random_file(&tree.join("kept"), 3, 200_000);
    world.pass(1);
    let second = snapshot(&world.repo, tree);
    world.write(|writer| store::delete_snapshot(writer, &first.id).unwrap());
    second
}

#[test]
fn it_runs_when_it_is_due() {
    let world = World::new(FormatVersion::default());
    let auto = MaintenanceOptions::default();
    // Nothing has ever run: everything is due.
    assert_eq!(world.run(&auto).unwrap(), MaintenanceOutcome::Ran(Mode::Full));
    let mut expected = [
        task::ADVANCE_EPOCH,
        task::CLEANUP_EPOCH_MARKERS,
        task::CLEANUP_LOGS,
        task::COMPACT_SINGLE,
        task::DELETE_SUPERSEDED_INDEXES,
        task::GENERATE_RANGE,
        task::REWRITE_FULL,
        task::SNAPSHOT_GC,
    ];
    expected.sort_unstable();
    assert!(world.schedule().runs.keys().eq(expected), "{:?}", world.schedule().runs.keys());
    assert!(world.schedule().runs.values().flatten().all(|run| run.success));
    assert_eq!(world.run(&auto).unwrap(), MaintenanceOutcome::NotDue);
    world.pass(1);
    assert_eq!(world.run(&auto).unwrap(), MaintenanceOutcome::Ran(Mode::Quick));
    assert_eq!(world.run(&auto).unwrap(), MaintenanceOutcome::NotDue);
    world.pass(23);
    assert_eq!(world.run(&auto).unwrap(), MaintenanceOutcome::Ran(Mode::Full));
    assert_eq!(world.schedule().runs[task::SNAPSHOT_GC].len(), 2);
    // Packs that the rewrite left behind may go now.
    assert!(world.schedule().runs.contains_key(task::DELETE_ORPHANED_FULL));
}

#[test]
fn only_the_owner_runs_it() {
    let world = World::new(FormatVersion::default());
    let other = OpenOptions {
        identity: ClientIdentity::new("other", "host"),
        clock: world.clock.clone(),
        ..OpenOptions::default()
    };
    let store: Arc<dyn BlobStore> = world.store.clone();
    let repo = Repository::open(store.clone(), &password(), other.clone()).unwrap();
    let refused = run(&repo, &MaintenanceOptions::default(), &|_| {}).unwrap_err();
    assert_eq!(refused.to_string(), "maintenance must be run by designated user: user@host");
    assert_eq!(world.schedule(), Schedule::default());
    assert!(!claim(&writer(&repo)).unwrap());
    let force = MaintenanceOptions { force: true, ..MaintenanceOptions::default() };
    assert!(run(&repo, &force, &|_| {}).is_ok());
    let read_only = OpenOptions { read_only: true, ..other };
    let repo = Repository::open(store, &password(), read_only).unwrap();
    assert!(matches!(run(&repo, &force, &|_| {}), Err(MaintenanceError::ReadOnly)));
    assert_eq!(parameters(&world.repo.manifests().unwrap()).unwrap().owner, "user@host");
}

#[test]
fn one_at_a_time_on_a_machine() {
    let world = World::new(FormatVersion::default());
    let dir = tempfile::tempdir().unwrap();
    let lock = Some(dir.path().join("config.mlock"));
    let options = MaintenanceOptions { lock, ..MaintenanceOptions::default() };
    let inner = |event: MaintenanceEvent| {
        if matches!(event, MaintenanceEvent::Began(_)) {
            let full = MaintenanceOptions { mode: Some(Mode::Full), ..options.clone() };
            assert_eq!(world.run(&full).unwrap(), MaintenanceOutcome::Busy);
        }
    };
    assert_eq!(run(&world.repo, &options, &inner).unwrap(), MaintenanceOutcome::Ran(Mode::Full));
}

#[test]
fn clocks_must_agree() {
    let world = World::new(FormatVersion::default());
    let late: Timestamp = world.clock.now() + SignedDuration::from_mins(6);
    let clock = Arc::new(ManualClock::new(late));
    let repo = open_at(world.store.clone(), clock);
    let error = run(&repo, &MaintenanceOptions::default(), &|_| {}).unwrap_err();
    assert!(error.to_string().starts_with("clock skew detected: "), "{error}");
    // Nothing was done, but the next run is noted.
    assert!(world.schedule().runs.is_empty());
}

#[test]
fn without_margins_garbage_goes_and_the_rest_stays() {
    for version in [FormatVersion::default(), FormatVersion::V1] {
        let world = World::new(version);
        let tree = tempfile::tempdir().unwrap();
        let kept = one_of_two(&world, tree.path());
        let before = world.store_size();
        for _ in 0..3 {
            world.full(SafetyParameters::NONE);
            world.pass(1);
        }
        assert!(world.store_size() + 2_500_000 < before, "{version:?}: nothing was freed");
        world.assert_whole(&kept, tree.path());
    }
}

#[test]
fn with_margins_garbage_waits_for_days() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    let before = world.store_size();
    // Younger than a day: not even marked.
    world.full(SafetyParameters::FULL);
    assert!(world.store_size() >= before);
    let mut freed_after = None;
    for day in 1..10 {
        world.pass(25);
        world.full(SafetyParameters::FULL);
        world.assert_whole(&kept, tree.path());
        if freed_after.is_none() && world.store_size() + 2_500_000 < before {
            freed_after = Some(day);
        }
    }
    let freed_after = freed_after.expect("garbage is freed in the end");
    assert!(freed_after > 1, "freed after {freed_after} day");
}

#[test]
fn a_damaged_snapshot_stops_everything() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    one_of_two(&world, tree.path());
    world.pass(48);
    // The directory of the snapshot that is kept is lost.
    for pack in kopist_blob::list_all(world.store.as_ref(), "q").unwrap() {
        world.store.delete(&pack.id).unwrap();
    }
    let repo = open_at(world.store.clone(), world.clock.clone());
    let packs = blobs(world.store.as_ref(), "p");
    let options = MaintenanceOptions { mode: Some(Mode::Full), force: true, ..Default::default() };
    assert!(run(&repo, &options, &|_| {}).is_err());
    assert_eq!(blobs(world.store.as_ref(), "p"), packs);
}

impl World {
    fn store_size(&self) -> u64 {
        let blobs = kopist_blob::list_all(self.store.as_ref(), "").unwrap();
        blobs.iter().filter(|blob| blob.id.as_str().starts_with('p')).map(|blob| blob.length).sum()
    }
}
