//! kopia and we store the same tree as the same objects.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use kopist_blob::BlobStore;
use kopist_snapshot::restore::{self, RestoreOptions, restore};
use kopist_snapshot::upload::Silent;
use kopist_snapshot::{SourceInfo, browse, gc};
use kopist_testkit::oracle::{self, Client};
use kopist_testkit::tree::{Comparison, RandomTree, Rng, TreeShape, compare, list};

use crate::common::{PASSWORD, blobs, filesystem, open, request, snapshot_with, writer};

/// A repository that kopia made, and kopia connected to it as user@host.
struct Shared {
    _temp: tempfile::TempDir,
    root: std::path::PathBuf,
    kopia: Client,
    path: std::path::PathBuf,
}

fn shared(kopia: &Path, create: &[&str]) -> Shared {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("repo");
    fs::create_dir(&path).unwrap();
    let kopia = Client::new(kopia, &temp.path().join("client"), PASSWORD);
    let mut arguments = vec![
        "repository",
        "create",
        "filesystem",
        "--path",
        path.to_str().unwrap(),
        "--override-username",
        "user",
        "--override-hostname",
        "host",
    ];
    arguments.extend(create);
    kopia.ok(&arguments);
    let root = temp.path().join("source");
    Shared { root, kopia, path, _temp: temp }
}

fn source_tree(root: &Path, seed: u64) {
    let shape = TreeShape { directories: 25, files: 120, largest: 3_000_000, links: 8 };
    RandomTree::create(root, seed, shape);
    fs::create_dir_all(root.join("odd/empty")).unwrap();
    fs::write(root.join("odd/a\nb<&>\"\\é"), "odd").unwrap();
    fs::write(root.join("odd/nothing"), "").unwrap();
    fs::set_permissions(root.join("odd/nothing"), fs::Permissions::from_mode(0o6711)).unwrap();
    fs::set_permissions(root.join("odd/empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("../odd", root.join("odd/link")).unwrap();
    fs::write(root.join("odd/large"), Rng::new(9).bytes(13_000_000)).unwrap();
    fs::write(root.join("odd/.kopiaignore"), "*.skip\n").unwrap();
    fs::write(root.join("odd/x.skip"), "skip").unwrap();
}

/// Both make a snapshot of the same tree in the same repository: the same root, and the second
/// one adds no data.
fn same_objects(shared: &Shared, kopia_first: bool) {
    let root = shared.root.to_str().unwrap();
    let by_kopia = || {
        let json = shared.kopia.json(&["snapshot", "create", root, "--json"]);
        json["rootEntry"]["obj"].as_str().unwrap().to_owned()
    };
    let store = filesystem(&shared.path);
    let by_us = || {
        let repo = open(store.clone());
        // As if there were no previous snapshot: everything is read again.
        let mut request = request(&shared.root);
        request.upload.force_hash_percent = 100.0;
        let created = snapshot_with(&repo, request, &Silent);
        created.manifest.root_object().unwrap().to_string()
    };
    let count = |store: &dyn BlobStore| blobs(store, "p");
    let (theirs, ours) = if kopia_first {
        let theirs = by_kopia();
        let packs = count(&*store);
        let ours = by_us();
        assert_eq!(count(&*store), packs, "we added data that kopia had stored");
        (theirs, ours)
    } else {
        let ours = by_us();
        let packs = count(&*store);
        let theirs = by_kopia();
        assert_eq!(count(&*store), packs, "kopia added data that we had stored");
        (theirs, ours)
    };
    assert_eq!(ours, theirs);
}

fn judged_by_kopia(shared: &Shared) {
    // It remembers listings of the storage for 30 seconds.
    shared.kopia.ok(&["cache", "clear"]);
    shared.kopia.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    let list = shared.kopia.json(&["snapshot", "list", "--all", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn the_same_tree_is_the_same_object() {
    let Some(kopia) = oracle::find_or_skip("the_same_tree_is_the_same_object") else { return };
    for kopia_first in [true, false] {
        let shared = shared(&kopia, &[]);
        source_tree(&shared.root, 11);
        same_objects(&shared, kopia_first);
        judged_by_kopia(&shared);
    }
}

#[test]
fn policies_give_the_same_objects() {
    let Some(kopia) = oracle::find_or_skip("policies_give_the_same_objects") else { return };
    for kopia_first in [true, false] {
        let shared = shared(&kopia, &["--object-splitter=DYNAMIC-128K-BUZHASH"]);
        source_tree(&shared.root, 12);
        let root = shared.root.to_str().unwrap();
        shared.kopia.ok(&[
            "policy",
            "set",
            root,
            "--compression=zstd",
            "--metadata-compression=none",
            "--add-ignore=*.bin",
            "--add-never-compress=.txt",
            "--compression-min-size=100",
            "--max-file-size=20000000",
            "--parallel-upload-above-size-mib=2",
        ]);
        let nested = shared.root.join("odd");
        shared.kopia.ok(&[
            "policy",
            "set",
            nested.to_str().unwrap(),
            "--splitter=FIXED-1M",
            "--add-ignore=nothing",
        ]);
        same_objects(&shared, kopia_first);
        judged_by_kopia(&shared);
    }
}

#[test]
fn old_formats_give_the_same_objects() {
    let Some(kopia) = oracle::find_or_skip("old_formats_give_the_same_objects") else { return };
    let shared = shared(&kopia, &["--format-version=1"]);
    source_tree(&shared.root, 13);
    // Without compression: contents of this format are compressed before they are hashed, and
    // two encoders never agree on every byte.
    same_objects(&shared, true);
    judged_by_kopia(&shared);
}

#[test]
fn failures_are_the_same_objects() {
    let Some(kopia) = oracle::find_or_skip("failures_are_the_same_objects") else { return };
    let shared = shared(&kopia, &[]);
    fs::create_dir_all(shared.root.join("sub")).unwrap();
    fs::write(shared.root.join("f"), "1").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        shared.root.join("sub/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let root = shared.root.to_str().unwrap();
    shared.kopia.ok(&["policy", "set", root, "--ignore-unknown-types=false"]);
    let outcome = shared.kopia.run(&["snapshot", "create", root]).expect_failure();
    assert!(outcome.output().contains("unknown or unsupported entry type"), "{outcome}");
    let list = shared.kopia.json(&["snapshot", "list", root, "--json"]);
    let repo = open(filesystem(&shared.path));
    let ours = snapshot_with(&repo, request(&shared.root), &Silent).manifest;
    assert_eq!(ours.root_object().unwrap().to_string(), list[0]["rootEntry"]["obj"]);
    assert_eq!(SourceInfo::from(&ours.source).to_string(), format!("user@host:{root}"));
}

#[test]
fn kopia_restores_what_we_stored_and_we_what_it_stored() {
    let Some(kopia) = oracle::find_or_skip("kopia_restores_what_we_stored_and_we_what_it_stored")
    else {
        return;
    };
    let shared = shared(&kopia, &[]);
    source_tree(&shared.root, 14);
    fs::remove_file(shared.root.join("odd/x.skip")).unwrap();
    let root = shared.root.to_str().unwrap();
    let theirs = shared.kopia.json(&["snapshot", "create", root, "--json"]);
    let repo = open(filesystem(&shared.path));
    let ours = snapshot_with(&repo, request(&shared.root), &Silent).manifest;
    shared.kopia.ok(&["cache", "clear"]);

    let by_kopia = shared.root.with_extension("kopia");
    shared.kopia.ok(&["restore", &ours.id, by_kopia.to_str().unwrap()]);
    let by_us = shared.root.with_extension("kopist");
    let view = repo.manifests().unwrap();
    let named = browse::resolve(&repo, &view, theirs["id"].as_str().unwrap(), true).unwrap();
    restore(&repo, &named.entry, &by_us, &RestoreOptions::default(), &restore::Silent).unwrap();
    let source = list(&shared.root);
    for restored in [&by_kopia, &by_us] {
        let mut restored = list(restored);
        // kopia rounds the times of links.
        for (entry, original) in restored.iter_mut().zip(&source) {
            if entry.kind == 's' && entry.mtime_ns - original.mtime_ns < 1000 {
                entry.mtime_ns = original.mtime_ns;
            }
        }
        let differences = compare(&source, &restored, Comparison::restored());
        assert!(differences.is_empty(), "{differences}");
    }
    // The directories' times are the same, too.
    let both =
        compare(&list(&by_kopia), &list(&by_us), Comparison { times: false, ..Comparison::full() });
    assert!(both.is_empty(), "{both}");
}

#[test]
fn kopia_agrees_with_our_garbage_collection() {
    let Some(kopia) = oracle::find_or_skip("kopia_agrees_with_our_garbage_collection") else {
        return;
    };
    let shared = shared(&kopia, &[]);
    source_tree(&shared.root, 15);
    let root = shared.root.to_str().unwrap().to_owned();
    let first = shared.kopia.json(&["snapshot", "create", &root, "--json"]);
    fs::remove_dir_all(shared.root.join("odd")).unwrap();
    shared.kopia.ok(&["snapshot", "create", &root]);
    shared.kopia.ok(&["snapshot", "delete", first["id"].as_str().unwrap(), "--delete"]);
    let repo = open(filesystem(&shared.path));
    let options = gc::GcOptions {
        start: jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30),
        min_age: gc::MIN_AGE,
        parallel: 4,
        dry_run: false,
    };
    let stats = gc::collect(&writer(&repo), &options, &|| false).unwrap().stats;
    assert!(stats.unused.count > 3, "{stats:?}");
    shared.kopia.ok(&["cache", "clear"]);
    shared.kopia.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    // kopia's own collection finds nothing more, and nothing to bring back.
    let run = shared.kopia.run(&["maintenance", "run", "--full", "--safety=none"]).expect_success();
    let output = run.output();
    assert!(!output.contains("undeleted") || output.contains("GC undeleted 0"), "{output}");
    shared.kopia.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
}
