//! Snapshots that are repaired.

use std::fs;
use std::sync::Mutex;

use kopist_blob::{BlobStore as _, list_all};
use kopist_format::directory::{DirEntry, DirSummary, FailedEntry, UtcNanos};
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::Repository;
use kopist_snapshot::SnapshotError;
use kopist_snapshot::fix::{FixOptions, Fixer, Handling, InvalidFiles, Pattern, RemoveFiles, Rule};
use kopist_snapshot::verify::FileVerifier;
use kopist_testkit::tree::Rng;

use crate::common::{new_repository, open, paths, snapshot, tree, writer};
use crate::restore::{file, lost_object, write_directory, write_file};

const FAIL: FixOptions =
    FixOptions { parallel: 4, files: Handling::Fail, directories: Handling::Fail };

/// Repairs a snapshot; nothing if there was nothing to repair.
fn fixed(
    repo: &Repository,
    manifest: &SnapshotManifest,
    rule: &dyn Rule,
    options: FixOptions,
) -> Result<Option<SnapshotManifest>, SnapshotError> {
    let writer = writer(repo);
    let result = Fixer::new(&writer, rule, options).unwrap().snapshot(manifest, None);
    writer.flush().unwrap();
    result
}

fn without<'a>(names: &[&str], removed: &'a (dyn Fn(&str) + Sync)) -> RemoveFiles<'a> {
    let names = names.iter().map(|name| Pattern::parse(name).unwrap()).collect();
    RemoveFiles { objects: Vec::new(), names, removed }
}

fn of_root(root: DirEntry) -> SnapshotManifest {
    SnapshotManifest { root_entry: Some(root), ..SnapshotManifest::default() }
}

#[test]
fn what_is_removed_is_gone_and_the_rest_stays() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    fs::create_dir_all(source.join("untouched/deep")).unwrap();
    for name in ["f", "a/f", "a/b/f", "a/b/g", "untouched/h", "untouched/deep/i"] {
        fs::write(source.join(name), name).unwrap();
    }
    let (_, repo) = new_repository();
    let manifest = snapshot(&repo, &source);
    let told = Mutex::new(Vec::new());
    let tell = |path: &str| told.lock().unwrap().push(path.to_owned());
    let rule = without(&["f"], &tell);
    let new = fixed(&repo, &manifest, &rule, FAIL).unwrap().unwrap();
    assert_eq!(
        paths(&repo, &new),
        ["a/", "a/b/", "a/b/g", "untouched/", "untouched/deep/", "untouched/deep/i", "untouched/h"]
    );
    let mut told = told.into_inner().unwrap();
    told.sort();
    assert_eq!(told, ["a/b/f", "a/f", "f"]);
    let summary = new.root_entry.as_ref().unwrap().summary.as_ref().unwrap();
    assert_eq!((summary.files, summary.size, summary.dirs), (3, 5 + 11 + 16, 5));
    let root = |of: &SnapshotManifest| of.root_object().unwrap();
    let (old_tree, new_tree) = (tree(&repo, &root(&manifest)), tree(&repo, &root(&new)));
    assert_eq!(old_tree["untouched/"], new_tree["untouched/"]);
    assert_ne!(old_tree["a/"].object, new_tree["a/"].object);
    assert_eq!(old_tree["a/"].mtime, new_tree["a/"].mtime);
    // Once more there is nothing to do.
    assert!(fixed(&repo, &new, &rule_again(), FAIL).unwrap().is_none());
}

fn rule_again() -> RemoveFiles<'static> {
    without(&["f", "*.none"], &|_| panic!("nothing is left to remove"))
}

#[test]
fn failures_of_the_backup_are_not_forgotten() {
    let (_, repo) = new_repository();
    let good = file("good", write_file(&repo, b"1"), 1);
    let bad = file("bad", write_file(&repo, b"22"), 2);
    let mut inner = DirEntry {
        name: b"d"[..].into(),
        ..write_directory(&repo, vec![good.clone(), bad.clone()])
    };
    let error = |path: &str| FailedEntry { path: path.into(), error: "denied".into() };
    let summary = |own: &DirSummary, errors: Vec<FailedEntry>| {
        let failed = errors.len() as i64;
        Some(Box::new(DirSummary { failed, ignored_errors: 1, errors, ..own.clone() }))
    };
    let own = *inner.summary.take().unwrap();
    inner.summary = summary(&own, vec![error("d/x")]);
    let mut root = write_directory(&repo, vec![inner, bad]);
    let own = *root.summary.take().unwrap();
    root.summary = summary(&own, vec![error("d/x"), error("y")]);
    let rule = without(&["bad"], &|_| {});
    let new = fixed(&repo, &of_root(root), &rule, FAIL).unwrap().unwrap();
    let summary = new.root_entry.unwrap().summary.unwrap();
    assert_eq!((summary.files, summary.failed, summary.ignored_errors), (1, 2, 1));
    assert_eq!(summary.errors, [error("d/x"), error("y")]);
}

#[test]
fn what_cannot_be_read_is_handled_as_asked() {
    let (store, repo) = new_repository();
    let lost = file("lost", write_file(&repo, &Rng::new(1).bytes(5000)), 5000);
    let packs = list_all(&*store, "p").unwrap();
    let good = file("good", write_file(&repo, &Rng::new(2).bytes(5000)), 5000);
    let missing = DirEntry {
        name: b"missing"[..].into(),
        mtime: UtcNanos(77),
        object: Some(lost_object("k00112233445566778899aabbccddeeff")),
        ..write_directory(&repo, vec![])
    };
    let manifest = of_root(write_directory(&repo, vec![lost, good, missing]));
    store.delete(&packs[0].id).unwrap();
    let repo = open(store);
    let told = Mutex::new(Vec::new());
    let found = |path: &str, _: &SnapshotError| told.lock().unwrap().push(path.to_owned());
    let rule = InvalidFiles { verifier: FileVerifier::new(&repo, 100.0).unwrap(), found: &found };
    let run = |files, directories| {
        fixed(&repo, &manifest, &rule, FixOptions { parallel: 1, files, directories })
    };
    assert!(run(Handling::Fail, Handling::Keep).is_err());
    assert!(run(Handling::Keep, Handling::Fail).is_err());
    assert!(run(Handling::Keep, Handling::Keep).unwrap().is_none());
    let new = run(Handling::Remove, Handling::Stub).unwrap().unwrap();
    assert_eq!(paths(&repo, &new), [".INVALID.missing", "good"]);
    let stub = tree(&repo, &new.root_object().unwrap()).remove(".INVALID.missing").unwrap();
    assert_eq!(stub.mtime, UtcNanos(77));
    let text = repo.read_object(&stub.object.unwrap()).unwrap();
    assert_eq!(text.len() as i64, stub.size);
    let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(text["entry"]["obj"], "k00112233445566778899aabbccddeeff");
    let new = run(Handling::Stub, Handling::Keep).unwrap().unwrap();
    let root = new.root_entry.unwrap();
    assert_eq!(root.summary.unwrap().files, 2);
    assert!(told.into_inner().unwrap().iter().all(|path| path == "lost"));
}

#[test]
fn a_root_cannot_be_removed() {
    let (_, repo) = new_repository();
    let root = DirEntry { name: b"top"[..].into(), ..write_directory(&repo, vec![]) };
    let manifest = of_root(root);
    let rule = without(&["top"], &|_| {});
    assert!(fixed(&repo, &manifest, &rule, FAIL).is_err());
    let stub = FixOptions { directories: Handling::Stub, ..FAIL };
    let new = fixed(&repo, &manifest, &rule, stub).unwrap().unwrap();
    assert_eq!(&*new.root_entry.unwrap().name, b".INVALID.top");
}

#[test]
fn deep_trees_do_not_end_the_program() {
    let (_, repo) = new_repository();
    let mut entry = write_directory(&repo, vec![file("f", write_file(&repo, b"1"), 1)]);
    for _ in 0..1500 {
        let inner = DirEntry { name: b"d"[..].into(), ..entry };
        entry = write_directory(&repo, vec![inner]);
    }
    let rule = without(&["f"], &|_| {});
    let new = fixed(&repo, &of_root(entry), &rule, FAIL).unwrap().unwrap();
    let summary = new.root_entry.unwrap().summary.unwrap();
    assert_eq!((summary.files, summary.dirs), (0, 1501));
}
