//! Space of deleted data comes back, with all safety margins.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_blob::{BlobStore, ByteRange, MemoryStore, PutOptions, list_all};
use kopist_repo::{
    ClientIdentity, Clock, KeyRange, ManualClock, OpenOptions, Repository, VerifyOptions,
    WriterOptions,
};
use kopist_snapshot::maintenance::{self, MaintenanceOptions, MaintenanceOutcome, Mode};
use kopist_snapshot::upload::{Silent, UploadSource};
use kopist_snapshot::{SnapshotRequest, SourceInfo, store};
use kopist_testkit::golden::GoldenRepository;
use kopist_testkit::oracle::{self, Client};
use kopist_testkit::tree::Rng;

use crate::pair::{restores_to, snapshots, verify};

const NAME: &str = "maint-full-safety-days";

/// A golden repository that goes on living in memory, at the time at which it was left.
struct Later {
    golden: GoldenRepository,
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    repo: Repository,
}

impl Later {
    fn new() -> Self {
        let golden = kopist_testkit::golden::get(NAME);
        let folder = tempfile::tempdir().unwrap();
        let stored = FilesystemStore::open(FilesystemConfig::new(golden.unpack(folder.path())));
        let stored = stored.unwrap();
        let blobs = list_all(&stored, "").unwrap();
        let now = blobs.iter().map(|blob| blob.timestamp).max().unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let of_store = Arc::clone(&clock);
        let store = Arc::new(MemoryStore::with_clock(move || of_store.now()));
        copy(&stored, store.as_ref());
        let about = &golden.description;
        let options = OpenOptions {
            identity: ClientIdentity::new(&about.username, &about.hostname),
            clock: clock.clone(),
            ..OpenOptions::default()
        };
        let password = about.password.as_str().into();
        let repo = Repository::open(store.clone(), &password, options).unwrap();
        Self { golden, clock, store, repo }
    }

    /// Another snapshot of a tree that changes, and the one before the last two goes.
    fn snapshot(&self, round: u64, made: &mut Vec<String>) {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("changing"), Rng::new(round).bytes(60_000)).unwrap();
        fs::write(tree.path().join("same"), Rng::new(1000).bytes(10_000)).unwrap();
        let source = SourceInfo::new("golden", "goldenhost", "/tree");
        let request = SnapshotRequest::new(source, UploadSource::local(tree.path()).unwrap());
        let writer = self.repo.writer(WriterOptions::default()).unwrap();
        let created = kopist_snapshot::create(&writer, request, &Silent).unwrap();
        writer.flush().unwrap();
        made.push(created.manifest.id);
        // The repository's own policy may have expired some.
        let manifests = self.repo.manifests().unwrap();
        made.retain(|id| manifests.get(id).is_some());
        if made.len() > 3 {
            store::delete_snapshot(&writer, &made.remove(0)).unwrap();
            writer.flush().unwrap();
        }
    }

    fn maintain(&self) {
        let full = MaintenanceOptions { mode: Some(Mode::Full), ..Default::default() };
        let outcome = maintenance::run(&self.repo, &full, &|_| {}).unwrap();
        assert_eq!(outcome, MaintenanceOutcome::Ran(Mode::Full));
        let all = VerifyOptions { read_percent: 100.0, ..VerifyOptions::default() };
        self.repo.verify_contents(&all, &|error: &_| panic!("{error:?}")).unwrap();
    }

    /// The times of all tombstones.
    fn tombstones(&self) -> Vec<i64> {
        let mut times = Vec::new();
        self.repo
            .contents(&KeyRange::all(), &mut |entry| {
                if entry.deleted {
                    times.push(entry.timestamp);
                }
                Ok(())
            })
            .unwrap();
        times
    }

    fn pack_bytes(&self) -> u64 {
        ["p", "q"]
            .iter()
            .flat_map(|prefix| list_all(self.store.as_ref(), prefix).unwrap())
            .map(|blob| blob.length)
            .sum()
    }
}

/// Copies all blobs with their times.
fn copy(from: &dyn BlobStore, to: &dyn BlobStore) {
    for blob in list_all(from, "").unwrap() {
        let data = from.get(&blob.id, ByteRange::Full).unwrap();
        to.put(&blob.id, &[&data], &PutOptions::with_mod_time(blob.timestamp)).unwrap();
    }
}

/// kopia's nine days of maintenance have left 54 tombstones, all renewed by its last rewrite. Under
/// kopist they go, and the room that the repository takes stays within bounds, whether maintenance
/// runs once a day or more often; kopia goes on with the result.
#[test]
fn space_of_deleted_data_comes_back_with_default_safety() {
    for hours in [24, 12, 5] {
        let later = Later::new();
        let left_by_kopia = later.tombstones();
        assert_eq!(left_by_kopia.len(), 54);
        let newest = left_by_kopia.into_iter().max().unwrap();
        let mut made = Vec::new();
        let rounds = 15 * 24 / hours as u64;
        let mut largest = [0, 0];
        for round in 0..rounds {
            later.clock.advance(SignedDuration::from_hours(hours));
            later.snapshot(round, &mut made);
            later.clock.advance(SignedDuration::from_mins(10));
            later.maintain();
            let half = usize::from(round * 2 >= rounds);
            largest[half] = later.pack_bytes().max(largest[half]);
            if half == 1 {
                let old = later.tombstones().into_iter().filter(|time| *time <= newest).count();
                assert_eq!(old, 0, "every {hours} h: tombstones of kopia in round {round}");
            }
        }
        // Each round writes 60 KB more than it needs in the end.
        assert!(largest[1] < largest[0] + 100_000, "every {hours} h, packs grow: {largest:?}");
        println!("every {hours} h: at most {largest:?} bytes of packs in either half");
        // Nothing is younger than it should be: what goes, goes by the margins.
        let oldest = later.tombstones().into_iter().min().unwrap();
        let age = later.clock.now().as_second() - oldest;
        assert!(age < 4 * 24 * 3600, "every {hours} h: a tombstone has stayed for {age} s");
        if hours == 12 {
            kopia_goes_on(&later, &made);
        }
    }
}

fn kopia_goes_on(later: &Later, made: &[String]) {
    let Some(kopia) = oracle::find_or_skip("kopia_goes_on") else { return };
    let about = &later.golden.description;
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repository");
    fs::create_dir(&repository).unwrap();
    copy(later.store.as_ref(), &FilesystemStore::open(FilesystemConfig::new(&repository)).unwrap());
    let client = Client::new(&kopia, &folder.path().join("client"), &about.password);
    connect(&client, &repository, &about.username, &about.hostname);
    let listed = snapshots(&client);
    assert_eq!(listed.len(), about.snapshots.len() + made.len());
    for safety in ["--safety=full", "--safety=none", "--safety=none"] {
        verify(&client);
        for snapshot in &about.snapshots {
            restores_to(&client, &snapshot.id, &about.trees[&snapshot.root]);
        }
        client.ok(&["maintenance", "run", "--full", safety]);
    }
    verify(&client);
    assert_eq!(snapshots(&client), listed);
    // What kopia read of the history is what kopist wrote.
    let info = client.json(&["maintenance", "info", "--json"]);
    let runs = info["schedule"]["runs"]["snapshot-gc"].as_array().unwrap();
    assert!(runs.len() > 30 && runs.iter().all(|run| run["success"] == true), "{info}");
    assert!(runs[3]["start"].as_str().unwrap().parse::<Timestamp>().unwrap() <= later.clock.now());
}

fn connect(client: &Client, repository: &Path, user: &str, host: &str) {
    let path = repository.to_str().unwrap();
    let place = ["repository", "connect", "filesystem", "--path", path];
    let identity = ["--override-username", user, "--override-hostname", host];
    client.ok(&[&place[..], &identity].concat());
}
