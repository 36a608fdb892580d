//! Trees of any shape are backed up and restored with few file descriptors.
//!
//! The limit belongs to the process, so each test runs itself once more in one of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use kopist_blob::MemoryStore;
use kopist_repo::{CreateOptions, Repository};
use kopist_snapshot::restore::{RestoreOptions, Silent, restore};
use kopist_testkit::tree::{Comparison, Rng, compare, list};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::{open, password, snapshot};

const LIMIT: u64 = 256;
const INSIDE: &str = "KOPIST_TEST_IS_ALONE";

/// Does something with few descriptors. What lists a tree for a test needs more.
fn with_few_descriptors<T>(action: impl FnOnce() -> T) -> T {
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(LIMIT), maximum: before.maximum };
    setrlimit(Resource::Nofile, few).unwrap();
    let result = action();
    setrlimit(Resource::Nofile, before).unwrap();
    result
}

/// Runs the test of this name again in a process of its own; tells whether this is that one.
fn is_alone(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("limits::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "{text}");
    false
}

/// A repository with many contents in a file, in memory.
fn repository_of_small_chunks() -> Repository {
    let store = Arc::new(MemoryStore::new());
    let options = CreateOptions {
        key_derivation: kopist_format::kdf::PBKDF2_KEY_DERIVATION.into(),
        splitter: "FIXED-128K".into(),
        ..CreateOptions::default()
    };
    kopist_repo::create(store.as_ref(), &password(), &options).unwrap();
    open(store)
}

fn there_and_back(source: &Path, target: &Path, options: &RestoreOptions) {
    with_few_descriptors(|| {
        let repo = repository_of_small_chunks();
        let manifest = snapshot(&repo, source);
        assert_eq!(manifest.stats.error_count, 0);
        let root = manifest.root_entry.unwrap();
        assert_eq!(root.summary.as_ref().unwrap().failed, 0);
        restore(&repo, &root, target, options, &Silent).unwrap();
    });
    let differences = compare(&list(source), &list(target), Comparison::restored());
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn many_directories() {
    if !is_alone("many_directories") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    for number in 0..6000 {
        let directory = source.join(number.to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("f"), number.to_string()).unwrap();
    }
    there_and_back(&source, &temp.path().join("target"), &RestoreOptions::default());
}

#[test]
fn deep_directories() {
    if !is_alone("deep_directories") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    // Something on each level, so that each is needed again when those below are done.
    let mut path = source.clone();
    for _ in 0..300 {
        path.push("d");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("f"), "x").unwrap();
        fs::create_dir(path.join("z")).unwrap();
    }
    let target = temp.path().join("target");
    there_and_back(&source, &target, &RestoreOptions::default());

    // All of it is extra now, but for the first file.
    let small = temp.path().join("small");
    fs::create_dir(&small).unwrap();
    fs::write(small.join("f"), "y").unwrap();
    let options = RestoreOptions { delete_extra: true, ..RestoreOptions::default() };
    there_and_back(&small, &target, &options);
}

#[test]
fn many_files_at_once() {
    if !is_alone("many_files_at_once") {
        return;
    }
    // Files that begin and end with the same contents: all are open until the last content.
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    let mut random = Rng::new(5);
    let (first, last) = (random.bytes(128 << 10), random.bytes(128 << 10));
    for number in 0..400 {
        fs::write(source.join(number.to_string()), [&*first, &*last].concat()).unwrap();
    }
    for atomic in [false, true] {
        let target = temp.path().join(format!("target{atomic}"));
        there_and_back(&source, &target, &RestoreOptions { atomic, ..RestoreOptions::default() });
    }
}
