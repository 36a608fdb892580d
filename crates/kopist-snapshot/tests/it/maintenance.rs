//! Maintenance as a whole: when it runs, what it remembers, and that it takes nothing in use.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{
    BlobId, BlobStore, ByteRange, Fault, Faulty, LastChange, MemoryStore, Operation, PowerCut,
    PutOptions, When,
};
use kopist_format::format_blob::FormatVersion;
use kopist_format::id::ContentId;
use kopist_format::maintenance::Schedule;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{
    ClientIdentity, Clock, CreateOptions, KeyRange, ManualClock, OpenOptions, Repository,
    VerifyOptions,
};
use kopist_snapshot::maintenance::{
    MaintenanceError, MaintenanceEvent, MaintenanceOptions, MaintenanceOutcome,
    MaintenanceProgress, Mode, SafetyParameters, claim, parameters, run, task,
};
use kopist_snapshot::restore::{RestoreOptions, Silent, restore};
use kopist_snapshot::store;

use crate::common::{blobs, open_at, open_options, password, snapshot, writer};

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

/// A tombstone is younger than what it buries, also when everything happens in one second.
#[test]
fn without_margins_one_run_is_enough() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let world = World::new(version);
        let tree = tempfile::tempdir().unwrap();
        random_file(&tree.path().join("gone"), 2, 100_000);
        let only = snapshot(&world.repo, tree.path());
        world.write(|writer| store::delete_snapshot(writer, &only.id).unwrap());
        world.full(SafetyParameters::NONE);
        // What is left are the manifests.
        let packs = ["p", "q"].map(|kind| blobs(world.store.as_ref(), kind));
        assert_eq!(packs, [0, 1], "{version:?}");
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

/// Changes one byte of a content where it is stored.
fn damage(store: &dyn BlobStore, repo: &Repository, id: &ContentId) {
    let info = repo.content_info(id).unwrap().unwrap();
    change_byte(store, &info.pack.as_str().into(), info.offset as usize + 5);
}

/// Changes one byte of a blob; done twice, it is as before. Its time stays.
fn change_byte(store: &dyn BlobStore, blob: &BlobId, at: usize) {
    let time = store.metadata(blob).unwrap().timestamp;
    let mut body = store.get(blob, ByteRange::Full).unwrap().to_vec();
    body[at] ^= 1;
    store.put(blob, &[&body], &PutOptions::with_mod_time(time)).unwrap();
}

/// Runs full maintenance as another client and returns what it went around.
fn around(world: &World) -> (MaintenanceOutcome, Vec<String>) {
    let named = Mutex::new(Vec::new());
    let options = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
    let listener = |event: MaintenanceEvent| {
        if let MaintenanceEvent::Unreadable(what) = event {
            named.lock().unwrap().push(what.to_string());
        }
    };
    let outcome = run(&world.reopened(), &options, &listener).unwrap();
    (outcome, named.into_inner().unwrap())
}

#[test]
fn a_damaged_directory_stops_everything() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    world.pass(48);
    damage(world.store.as_ref(), &world.repo, &kept.root_object().unwrap().content());
    let packs = blobs(world.store.as_ref(), "p");
    let options = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
    let error = run(&world.reopened(), &options, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("nothing was deleted"), "{error}");
    assert_eq!(blobs(world.store.as_ref(), "p"), packs);
    let runs = &world.schedule().runs;
    assert!(runs.keys().eq([task::SNAPSHOT_GC]) && !runs[task::SNAPSHOT_GC][0].success);
}

#[test]
fn a_damaged_manifest_keeps_what_it_may_need_and_the_rest_goes_on() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    world.pass(48);
    // The newest content of manifests, which does not hold the parameters of maintenance.
    let newest = world.newest_manifest_content();
    damage(world.store.as_ref(), &world.repo, &newest);
    for _ in 0..4 {
        let (outcome, named) = around(&world);
        assert_eq!(outcome, MaintenanceOutcome::NothingMarked(Mode::Full));
        assert!(named[0].contains(&newest.to_string()), "{named:?}");
        world.pass(25);
    }
    let repo = world.reopened();
    repo.contents(&KeyRange::all(), &mut |entry| {
        assert!(!entry.deleted, "{} was deleted", entry.id);
        Ok(())
    })
    .unwrap();
    let schedule = world.schedule();
    assert!(schedule.runs[task::SNAPSHOT_GC].iter().all(|run| !run.success));
    assert!(schedule.runs[task::SNAPSHOT_GC][0].error.contains(&newest.to_string()));
    assert!(schedule.runs[task::REWRITE_FULL].iter().all(|run| run.success));
    assert!(!schedule.runs.contains_key(task::DROP_DELETED));

    // Repaired, it counts again, and garbage goes.
    damage(world.store.as_ref(), &repo, &newest);
    let before = world.store_size();
    for _ in 0..6 {
        let (outcome, named) = around(&world);
        assert_eq!((outcome, named.len()), (MaintenanceOutcome::Ran(Mode::Full), 0));
        world.pass(25);
    }
    assert!(world.store_size() + 2_500_000 < before);
    world.assert_whole(&kept, tree.path());
}

#[test]
fn a_damaged_session_marker_keeps_its_packs_and_the_rest_goes_on() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    let put = |name: &str| {
        world.store.put(&name.into(), &[b"what is this"], &PutOptions::default()).unwrap();
    };
    let marker = "s00112233445566778899aabbccddeeff-s0123456789abcdef147";
    let of_session = "p00112233445566778899aabbccddeeff-s0123456789abcdef147";
    let other = "p00112233445566778899aabbccddeefe-s1123456789abcdef147";
    for name in [marker, of_session, other] {
        put(name);
    }
    for _ in 0..7 {
        world.pass(25);
        let (outcome, named) = around(&world);
        assert_eq!(outcome, MaintenanceOutcome::Ran(Mode::Full));
        assert!(named.iter().all(|what| what.contains(marker)), "{named:?}");
    }
    let has = |name: &str| world.store.metadata(&name.into()).is_ok();
    assert!(has(marker) && has(of_session) && !has(other));
    // One whose name does not tell the session only makes all others wait longer.
    put("sodd");
    put(other);
    let mut hours = 0;
    while has(other) {
        world.pass(25);
        hours += 25;
        around(&world);
    }
    assert!((96..150).contains(&hours), "{hours}");
    assert!(has("sodd") && has(of_session));
    world.assert_whole(&kept, tree.path());
}

#[test]
fn a_damaged_schedule_is_set_aside_and_begun_anew() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    world.full(SafetyParameters::FULL);
    world.pass(25);
    let schedule = "kopia.maintenance".into();
    change_byte(world.store.as_ref(), &schedule, 20);
    let damaged = world.store.get(&schedule, ByteRange::Full).unwrap();
    assert!(world.repo.maintenance_schedule().unwrap_err().is_damage());
    let (outcome, named) = around(&world);
    assert_eq!((outcome, named.len()), (MaintenanceOutcome::Ran(Mode::Full), 1));
    let runs = world.schedule().runs;
    assert!(runs[task::SNAPSHOT_GC].len() == 1 && !runs.contains_key(task::DROP_DELETED));
    let copies = kopist_blob::list_all(world.store.as_ref(), "kopia.maintenance.").unwrap();
    assert_eq!(copies.len(), 1);
    assert!(named[0].contains(copies[0].id.as_str()), "{named:?}");
    assert_eq!(world.store.get(&copies[0].id, ByteRange::Full).unwrap(), damaged);
    for _ in 0..4 {
        world.pass(25);
        assert_eq!(around(&world).1.len(), 0);
    }
    world.assert_whole(&kept, tree.path());
}

/// Without epochs, logs say which indexes were replaced by merged ones, and which logs may go.
#[test]
fn damaged_logs_of_merged_indexes_are_kept_and_the_rest_goes_on() {
    let world = World::new(FormatVersion::V1);
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    let names = |prefix: &str| -> Vec<String> {
        let listed = kopist_blob::list_all(world.store.as_ref(), prefix).unwrap();
        listed.into_iter().map(|blob| blob.id.to_string()).collect()
    };
    let before = world.store_size();
    // The first collection marks, a later one drops, which merges all indexes.
    while names("m").is_empty() {
        world.pass(25);
        world.full(SafetyParameters::FULL);
    }
    let log = names("m").remove(0);
    change_byte(world.store.as_ref(), &log.as_str().into(), 40);
    let indexes = names("n");
    world.assert_whole(&kept, tree.path());
    for _ in 0..4 {
        world.pass(25);
        let (outcome, named) = around(&world);
        assert_eq!(outcome, MaintenanceOutcome::Ran(Mode::Full));
        assert!(!named.is_empty() && named.iter().all(|what| what.contains(&log)), "{named:?}");
    }
    assert!(names("m").contains(&log), "it is kept");
    assert!(indexes.iter().all(|index| names("n").contains(index)), "nothing is merged");
    let runs = world.schedule().runs;
    assert!(
        [task::SNAPSHOT_GC, task::REWRITE_FULL, task::DELETE_ORPHANED_FULL].iter().all(|task| runs
            [*task]
            .len()
            >= 4
            && runs[*task].iter().all(|run| run.success))
    );
    world.assert_whole(&kept, tree.path());

    // A backup relies on what is there only: the pack of `kept` is lost here.
    let lost = content_of(&world.reopened(), &kept, "kept");
    let pack = world.repo.content_info(&lost).unwrap().unwrap().pack;
    let stored = world.store.get(&pack.as_str().into(), ByteRange::Full).unwrap();
    world.store.delete(&pack.as_str().into()).unwrap();
    let again = open_at(world.store.clone(), world.clock.clone());
    let other = tempfile::tempdir().unwrap();
    fs::copy(tree.path().join("kept"), other.path().join("kept")).unwrap();
    let made = snapshot(&again, other.path());
    let written = world.reopened().content_info(&lost).unwrap().unwrap();
    assert_ne!(written.pack, pack);
    assert_eq!(content_of(&world.reopened(), &made, "kept"), lost);
    world.reopened().read_content(&lost).unwrap();
    world.store.put(&pack.as_str().into(), &[&stored], &PutOptions::default()).unwrap();

    // Repaired, it counts again, and packs that nothing names go; then the schedule that lets it
    // go is damaged.
    change_byte(world.store.as_ref(), &log.as_str().into(), 40);
    for _ in 0..3 {
        world.pass(25);
        assert_eq!(around(&world).1, [""; 0]);
    }
    assert!(world.store_size() + 2_500_000 < before);
    let schedule = names("l").remove(0);
    change_byte(world.store.as_ref(), &schedule.as_str().into(), 40);
    for _ in 0..3 {
        world.pass(25);
        let (outcome, named) = around(&world);
        assert_eq!(outcome, MaintenanceOutcome::Ran(Mode::Full));
        assert!(named.iter().all(|what| what.contains(&schedule)) && !named.is_empty());
    }
    assert!(names("l").contains(&schedule));
    world.assert_whole(&kept, tree.path());
}

/// The content of a file of one content.
fn content_of(repo: &Repository, manifest: &SnapshotManifest, name: &str) -> ContentId {
    let entries = crate::common::tree(repo, &manifest.root_object().unwrap());
    entries[name].object.unwrap().content()
}

#[test]
fn damaged_data_stays_where_it_is_and_the_rest_is_moved() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    random_file(&tree.path().join("one"), 1, 50_000);
    snapshot(&world.repo, tree.path());
    random_file(&tree.path().join("two"), 2, 50_000);
    snapshot(&world.repo, tree.path());
    world.pass(3);
    let mut data = Vec::new();
    world
        .repo
        .contents(&KeyRange::unprefixed(), &mut |entry| {
            data.push(entry.to_entry());
            Ok(())
        })
        .unwrap();
    assert_eq!(data.len(), 2);
    damage(world.store.as_ref(), &world.repo, &data[0].id);
    let (outcome, named) = around(&world);
    assert_eq!(outcome, MaintenanceOutcome::Ran(Mode::Full));
    assert!(named.len() == 1 && named[0].contains(&data[0].id.to_string()), "{named:?}");
    let repo = world.reopened();
    let info = |id| repo.content_info(id).unwrap().unwrap();
    assert_eq!(info(&data[0].id), data[0]);
    let moved = info(&data[1].id);
    assert_ne!(moved.pack, data[1].pack);
    // Moving does not make it younger: unused contents must get old enough to be collected.
    assert_eq!(moved.timestamp, data[1].timestamp + 1);
    world.pass(200);
    around(&world);
    assert!(world.store.metadata(&data[0].pack.as_str().into()).is_ok());
    assert!(world.store.metadata(&data[1].pack.as_str().into()).is_err());
}

#[test]
fn two_at_once_learn_of_each_other() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    world.pass(30);
    let other = world.reopened();
    let full = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
    // While one collects, another does everything.
    let nested = AtomicBool::new(false);
    let listener = |event: MaintenanceEvent| {
        if matches!(event, MaintenanceEvent::Task(task::SNAPSHOT_GC)) {
            nested.store(true, Ordering::SeqCst);
            assert_eq!(run(&other, &full, &|_| {}).unwrap(), MaintenanceOutcome::Ran(Mode::Full));
        }
    };
    run(&world.repo, &full, &listener).unwrap();
    assert!(nested.into_inner());
    let runs = world.schedule().runs;
    assert_eq!(runs[task::SNAPSHOT_GC].len(), 2, "neither record hides the other");
    assert_eq!(runs[task::REWRITE_FULL].len(), 1, "what one has rewritten must settle for both");
    world.assert_whole(&kept, tree.path());
}

struct Stopping(AtomicUsize);

impl MaintenanceProgress for Stopping {
    fn event(&self, _: MaintenanceEvent) {}

    fn stop(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) >= 4
    }
}

#[test]
fn it_stops_when_it_is_told_to() {
    let world = World::new(FormatVersion::default());
    let tree = tempfile::tempdir().unwrap();
    let kept = one_of_two(&world, tree.path());
    world.pass(30);
    let full = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
    let stopped = run(&world.repo, &full, &Stopping(AtomicUsize::new(0))).unwrap_err();
    assert!(matches!(stopped, MaintenanceError::Stopped), "{stopped}");
    assert!(!world.schedule().runs.contains_key(task::CLEANUP_LOGS));
    world.assert_whole(&kept, tree.path());
    world.full(SafetyParameters::FULL);
}

/// A world in which the next full run has something to do in every task.
fn ripe(version: FormatVersion, tree: &Path) -> (World, SnapshotManifest) {
    let world = World::new(version);
    random_file(&tree.join("common"), 1, 30_000);
    random_file(&tree.join("gone"), 2, 60_000);
    let first = snapshot(&world.repo, tree);
    fs::remove_file(tree.join("gone")).unwrap();
    random_file(&tree.join("gone too"), 4, 40_000);
    world.pass(1);
    let second = snapshot(&world.repo, tree);
    world.write(|writer| store::delete_snapshot(writer, &first.id).unwrap());
    for _ in 0..3 {
        world.pass(30);
        world.full(SafetyParameters::FULL);
    }
    fs::remove_file(tree.join("gone too")).unwrap();
    random_file(&tree.join("kept"), 3, 20_000);
    world.pass(1);
    let kept = snapshot(&world.repo, tree);
    world.write(|writer| store::delete_snapshot(writer, &second.id).unwrap());
    world.pass(30);
    (world, kept)
}

/// The same world once more.
fn fork(world: &World) -> World {
    let clock = Arc::new(ManualClock::new(world.clock.now()));
    let of_store = Arc::clone(&clock);
    let store = Arc::new(MemoryStore::with_clock(move || of_store.now()));
    for blob in kopist_blob::list_all(world.store.as_ref(), "").unwrap() {
        let data = world.store.get(&blob.id, ByteRange::Full).unwrap();
        store.put(&blob.id, &[&data], &PutOptions::with_mod_time(blob.timestamp)).unwrap();
    }
    let repo = open_at(store.clone(), clock.clone());
    World { clock, store, repo }
}

/// After whatever happened to it, a world is whole, and so it is after more maintenance. Returns
/// how much room it takes then.
fn recovers(world: &World, kept: &SnapshotManifest, tree: &Path, rounds: usize) -> u64 {
    world.assert_whole(kept, tree);
    world.repo.refresh().unwrap();
    for _ in 0..rounds {
        world.full(SafetyParameters::FULL);
        world.pass(30);
    }
    world.assert_whole(kept, tree);
    world.store_size()
}

const ROUNDS: usize = 6;

fn cut_off_between_any_two_changes(version: FormatVersion) {
    let tree = tempfile::tempdir().unwrap();
    let (world, kept) = ripe(version, tree.path());
    let full = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
    let undisturbed = fork(&world);
    let counter = Arc::new(PowerCut::never(undisturbed.store.clone()));
    let repo = open_at(counter.clone(), undisturbed.clock.clone());
    run(&repo, &full, &|_| {}).unwrap();
    let changes = counter.changes();
    assert!(changes > 15, "{changes}");
    let enough = recovers(&undisturbed, &kept, tree.path(), ROUNDS) + 10_000;
    for cut in 0..changes {
        let last = if cut % 2 == 0 { LastChange::Lost } else { LastChange::Applied };
        let world = fork(&world);
        let store = Arc::new(PowerCut::after(world.store.clone(), cut, last));
        let repo = open_at(store, world.clock.clone());
        assert!(run(&repo, &full, &|_| {}).is_err(), "cut after {cut}");
        let room = recovers(&world, &kept, tree.path(), ROUNDS + 2);
        assert!(room <= enough, "cut after {cut}: {room} bytes instead of {enough}");
    }
}

#[test]
fn cut_off_between_any_two_changes_with_epochs() {
    cut_off_between_any_two_changes(FormatVersion::V3);
}

#[test]
fn cut_off_between_any_two_changes_without_epochs() {
    cut_off_between_any_two_changes(FormatVersion::V1);
}

#[test]
fn any_operation_may_fail() {
    let tree = tempfile::tempdir().unwrap();
    let (world, kept) = ripe(FormatVersion::V3, tree.path());
    let full = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
    for operation in [Operation::Get, Operation::Put, Operation::List, Operation::Delete] {
        // Reads are many and alike.
        let step = if operation == Operation::Get { 3 } else { 1 };
        for number in (1..).step_by(step) {
            let world = fork(&world);
            let faulty = Faulty::new(world.store.clone(), 1);
            let faulty = faulty.with(operation, When::Nth(number), Fault::Permanent);
            let faulty = Arc::new(faulty);
            let options = OpenOptions { clock: world.clock.clone(), ..open_options() };
            // What opening needs is not in question here.
            let Ok(repo) = Repository::open(faulty.clone(), &password(), options) else { continue };
            let ended = run(&repo, &full, &|_| {});
            recovers(&world, &kept, tree.path(), 1);
            if faulty.injected() == 0 {
                assert!(ended.is_ok() && number > 1, "{operation:?} {number}");
                break;
            }
        }
    }
}

impl World {
    fn newest_manifest_content(&self) -> ContentId {
        let mut newest = None;
        self.repo
            .contents(&KeyRange::prefix('m'), &mut |entry| {
                if newest.is_none_or(|(time, _)| time < entry.timestamp) {
                    newest = Some((entry.timestamp, entry.id));
                }
                Ok(())
            })
            .unwrap();
        newest.unwrap().1
    }

    fn store_size(&self) -> u64 {
        let blobs = kopist_blob::list_all(self.store.as_ref(), "").unwrap();
        blobs.iter().filter(|blob| blob.id.as_str().starts_with('p')).map(|blob| blob.length).sum()
    }
}
