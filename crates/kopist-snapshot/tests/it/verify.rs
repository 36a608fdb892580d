//! Verifying, and collecting what no snapshot uses.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobStore, ByteRange, PutOptions, list_all};
use kopist_repo::{Clock as _, KeyRange, ManualClock, Repository};
use kopist_snapshot::gc::{self, GcOptions, GcStats};
use kopist_snapshot::store;
use kopist_snapshot::verify::{Damage, VerifyOptions, VerifyStats, verify};
use kopist_snapshot::walk::Root;
use kopist_testkit::tree::{RandomTree, Rng, TreeShape};
use parking_lot::Mutex;

use crate::common::{new_repository, open, open_at, snapshot, writer};

fn all_roots(repo: &Repository) -> Vec<Root> {
    store::all_snapshots(&repo.manifests().unwrap(), &std::collections::BTreeMap::default())
        .into_iter()
        .map(|manifest| Root { label: manifest.id.clone(), entry: manifest.root_entry.unwrap() })
        .collect()
}

fn verify_all(repo: &Repository, options: &VerifyOptions) -> (VerifyStats, Vec<String>) {
    let found = Mutex::new(Vec::new());
    let stats = verify(repo, &all_roots(repo), options, &|damage: Damage| {
        found.lock().push(format!("{}: {}", damage.path, damage.error));
    })
    .unwrap();
    (stats, found.into_inner())
}

const READ_ALL: VerifyOptions =
    VerifyOptions { parallel: 4, files_percent: 100.0, max_errors: None, hashes: true };

#[test]
fn a_good_repository_verifies_and_each_object_is_seen_once() {
    let temp = tempfile::tempdir().unwrap();
    let mut random = RandomTree::create(temp.path(), 31, TreeShape::default());
    let (_, repo) = new_repository();
    let mut objects = BTreeSet::new();
    for _ in 0..3 {
        let manifest = snapshot(&repo, temp.path());
        objects.insert(manifest.root_object().unwrap());
        let tree = crate::common::tree(&repo, &manifest.root_object().unwrap());
        objects.extend(tree.values().map(|entry| entry.object.unwrap()));
        random.change(15);
    }
    for options in [VerifyOptions::default(), READ_ALL] {
        let (stats, damage) = verify_all(&repo, &options);
        assert_eq!(damage, Vec::<String>::new());
        assert_eq!(stats.objects, objects.len() as u64);
        assert_eq!(stats.read_bytes > 0, options.files_percent > 0.0);
    }
    let half = VerifyOptions { files_percent: 50.0, ..READ_ALL };
    let (all, _) = verify_all(&repo, &READ_ALL);
    let counts: std::collections::BTreeSet<u64> =
        (0..20).map(|_| verify_all(&repo, &half).0.read_files).collect();
    assert!(counts.iter().all(|count| *count > 0 && *count < all.read_files), "{counts:?}");
    // Else some files would never be read, however often one verifies.
    assert!(counts.len() > 1, "each run reads others");
}

#[test]
fn damage_is_found_and_named() {
    let temp = tempfile::tempdir().unwrap();
    for number in 0..20 {
        fs::write(temp.path().join(number.to_string()), Rng::new(number).bytes(4000)).unwrap();
    }
    let (blobs, repo) = new_repository();
    let manifest = snapshot(&repo, temp.path());
    let pack = list_all(&*blobs, "p").unwrap()[0].clone();
    let body = blobs.get(&pack.id, ByteRange::Full).unwrap().to_vec();
    let put = |body: &[u8]| blobs.put(&pack.id, &[body], &PutOptions::default()).unwrap();

    // A changed byte is only found by reading.
    let mut changed = body.clone();
    changed[body.len() / 2] ^= 1;
    put(&changed);
    let repo = open(blobs.clone());
    assert!(verify_all(&repo, &VerifyOptions::default()).1.is_empty());
    let (stats, damage) = verify_all(&repo, &READ_ALL);
    assert_eq!((stats.errors, damage.len()), (1, 1));
    assert!(damage[0].starts_with(&format!("{}/", manifest.id)), "{damage:?}");

    // A pack that is too short, and one that is gone, are found without.
    put(&body[..body.len() / 2]);
    let (stats, damage) = verify_all(&open(blobs.clone()), &VerifyOptions::default());
    assert!(stats.errors > 1 && stats.errors < 20, "{damage:?}");
    blobs.delete(&pack.id).unwrap();
    let (stats, damage) = verify_all(&open(blobs.clone()), &VerifyOptions::default());
    assert_eq!(stats.errors, 20);
    assert!(damage[0].contains("BLOB not found"), "{damage:?}");
    let few = VerifyOptions { max_errors: Some(1), parallel: 1, ..VerifyOptions::default() };
    let (stats, _) = verify_all(&open(blobs), &few);
    assert!(stats.errors >= 1);
}

fn collect(repo: &Repository, start: Timestamp, dry_run: bool) -> GcStats {
    let options = GcOptions { start, min_age: gc::MIN_AGE, parallel: 3, dry_run };
    gc::collect(&writer(repo), &options, &|| false).unwrap().stats
}

fn live_and_deleted(repo: &Repository) -> (usize, usize) {
    let (mut live, mut deleted) = (0, 0);
    repo.refresh().unwrap();
    repo.contents(&KeyRange::all(), &mut |entry| {
        *(if entry.deleted { &mut deleted } else { &mut live }) += 1;
        Ok(())
    })
    .unwrap();
    (live, deleted)
}

#[test]
fn only_what_no_snapshot_uses_is_marked() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path();
    let write = |name: &str, seed| fs::write(source.join(name), Rng::new(seed).bytes(9_000_000));
    write("stays", 1).unwrap();
    write("goes", 2).unwrap();
    let (blobs, _) = new_repository();
    let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
    let repo = open_at(blobs, clock.clone());
    let first = snapshot(&repo, source);
    fs::remove_file(source.join("goes")).unwrap();
    let second = snapshot(&repo, source);
    let later = || clock.now() + SignedDuration::from_hours(25);

    // Everything is used.
    assert_eq!(collect(&repo, later(), false).unused.count, 0);
    let deleting = writer(&repo);
    store::delete_snapshot(&deleting, &first.id).unwrap();
    deleting.flush().unwrap();
    // Unused, but too young.
    let young = collect(&repo, clock.now(), false);
    assert!(young.unused.count == 0 && young.too_recent.count > 0);
    assert_eq!(live_and_deleted(&repo).1, 0);
    // A dry run changes nothing.
    let dry = collect(&repo, later(), true);
    assert!(dry.unused.count >= 3);
    assert_eq!(live_and_deleted(&repo).1, 0);
    let real = collect(&repo, later(), false);
    assert_eq!(real, dry);
    assert_eq!(live_and_deleted(&repo).1 as u64, real.unused.count);
    let (stats, damage) = verify_all(&repo, &READ_ALL);
    assert!(damage.is_empty() && stats.objects >= 2, "{damage:?}");
    // Once more: nothing is left to do.
    let again = collect(&repo, later(), false);
    assert_eq!((again.unused.count, again.recovered.count), (0, 0));

    // A manifest that refers to deleted contents brings them back to life.
    clock.advance(SignedDuration::from_hours(1));
    let saving = writer(&repo);
    store::save_snapshot(&saving, &first).unwrap();
    saving.flush().unwrap();
    let back = collect(&repo, later(), false);
    assert_eq!(back.recovered.count, real.unused.count);
    assert_eq!(live_and_deleted(&repo).1, 0);
    assert!(verify_all(&repo, &READ_ALL).1.is_empty());
    assert_ne!(first.root_object(), second.root_object());
}

#[test]
fn nothing_is_deleted_when_anything_cannot_be_read() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("d")).unwrap();
    fs::write(temp.path().join("d/f"), "1").unwrap();
    let (_, repo) = new_repository();
    let mut manifest = snapshot(&repo, temp.path());
    let start = Timestamp::now() + SignedDuration::from_hours(30);
    let options = GcOptions { start, min_age: gc::MIN_AGE, parallel: 2, dry_run: false };

    // A snapshot whose root is missing.
    let saving = writer(&repo);
    manifest.root_entry.as_mut().unwrap().object =
        Some("k00112233445566778899aabbccddeeff".parse().unwrap());
    let broken = store::save_snapshot(&saving, &manifest).unwrap();
    // Something unused, that could be deleted.
    saving.write_content(b"unused", None, None).unwrap();
    saving.flush().unwrap();
    let error = gc::collect(&writer(&repo), &options, &|| false).unwrap_err();
    assert!(error.to_string().contains("nothing was deleted"), "{error}");
    assert_eq!(live_and_deleted(&repo).1, 0);
    saving.delete_manifest(&broken).unwrap();

    // A manifest that cannot be parsed.
    let labels = [("type".to_owned(), "snapshot".to_owned())].into();
    let odd = saving.put_manifest(&labels, &serde_json::json!({"startTime": 5})).unwrap();
    saving.flush().unwrap();
    let around = gc::collect(&writer(&repo), &options, &|| false).unwrap();
    assert!(around.unreadable[0].reason.contains(odd.as_str()), "{around:?}");
    assert!(around.stats.held_back.count >= 1 && around.stats.unused.count == 0, "{around:?}");
    assert_eq!(live_and_deleted(&repo).1, 0);
    saving.delete_manifest(&odd).unwrap();
    saving.flush().unwrap();
    assert!(gc::collect(&writer(&repo), &options, &|| false).unwrap().stats.unused.count >= 1);
    assert!(verify_all(&repo, &READ_ALL).1.is_empty());
}
