//! Placeholders, written and expanded.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use kopist_format::directory::DirEntry;
use kopist_snapshot::restore::{RestoreError, RestoreOptions, Silent, placeholder};
use kopist_testkit::tree::{RandomTree, TreeShape};

use crate::common::{new_repository, snapshot};
use crate::restore::{
    assert_same, file, lost_object, restore_to, root_of, write_directory, write_file,
};

fn shallow(depth: u32) -> RestoreOptions {
    RestoreOptions { shallow: Some(depth), ..RestoreOptions::default() }
}

#[test]
fn a_tree_unfolds_level_by_level() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    RandomTree::create(&source, 61, TreeShape::default());
    fs::create_dir_all(source.join("x/y/z")).unwrap();
    fs::write(source.join("x/y/z/f"), "f").unwrap();
    symlink("y", source.join("x/link")).unwrap();
    let (_, repo) = new_repository();
    let manifest = snapshot(&repo, &source);
    let target = temp.path().join("target");
    let stats = restore_to(&repo, &root_of(&manifest), &target, &shallow(0)).unwrap();
    assert_eq!(
        stats.symlinks,
        fs::read_dir(&source)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_symlink())
            .count() as u64
    );
    assert!(target.join("x.kopia-entry/.kopia-entry").is_file());
    assert!(!target.join("x").exists());
    let mode = fs::metadata(target.join("x.kopia-entry/.kopia-entry")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o222, 0);
    // A backup of it holds the same data, without reading any.
    let again = snapshot(&repo, &target);
    let (before, after) = (root_of(&manifest).summary.unwrap(), root_of(&again).summary.unwrap());
    assert_eq!((before.files, before.size, before.dirs), (after.files, after.size, after.dirs));

    // Expanded until nothing is left to expand, it is the tree.
    for _ in 0..20 {
        for entry in walk(&target) {
            if placeholder::real_path(&entry).is_some() && entry.exists() {
                placeholder::expand(&repo, &entry, &RestoreOptions::default(), &Silent).unwrap();
                assert!(!entry.exists());
            }
        }
    }
    assert_same(&source, &target);
}

/// Every path below, those of placeholders without what is in them.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() && placeholder::real_path(&path).is_none() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn a_placeholder_stays_until_everything_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let good = file("good", write_file(&repo, b"good"), 4);
    let lost = file("lost", lost_object("00112233445566778899aabbccddeeff"), 15);
    let inner = write_directory(&repo, vec![good.clone(), lost]);
    let inner = DirEntry { name: b"d"[..].into(), ..inner };
    let root = write_directory(&repo, vec![inner, good]);
    let target = temp.path().join("target");
    restore_to(&repo, &root, &target, &shallow(0)).unwrap();
    let path = target.join("d.kopia-entry");
    let options =
        RestoreOptions { ignore_errors: true, shallow: Some(9), ..RestoreOptions::default() };
    let stats = placeholder::expand(&repo, &path, &options, &Silent).unwrap();
    assert_eq!((stats.files, stats.ignored_errors), (1, 1));
    assert!(path.join(".kopia-entry").is_file());
    // The same when everything is restored over the placeholders.
    let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
    restore_to(&repo, &root, &target, &options).unwrap();
    assert!(path.join(".kopia-entry").is_file());
    assert!(target.join("good").is_file());
    assert!(!target.join("good.kopia-entry").exists());
}

#[test]
fn what_a_snapshot_itself_calls_a_placeholder_is_restored() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let root = write_directory(
        &repo,
        vec![
            file("f", write_file(&repo, b"1"), 1),
            file("f.kopia-entry", write_file(&repo, b"22"), 2),
        ],
    );
    let target = temp.path().join("target");
    for _ in 0..2 {
        restore_to(&repo, &root, &target, &RestoreOptions::default()).unwrap();
        assert_eq!(fs::read(target.join("f.kopia-entry")).unwrap(), b"22");
    }
}

#[test]
fn placeholders_do_not_lead_out_of_the_target() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let inner = write_directory(&repo, vec![file("f", write_file(&repo, b"1"), 1)]);
    let root = write_directory(&repo, vec![DirEntry { name: b"d"[..].into(), ..inner }]);
    let outside = temp.path().join("outside");
    let target = temp.path().join("target");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&target).unwrap();
    symlink(&outside, target.join("d.kopia-entry")).unwrap();
    restore_to(&repo, &root, &target, &shallow(0)).unwrap_err();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // Restored for real, the link goes and not what it leads to.
    fs::write(outside.join("mine"), "1").unwrap();
    restore_to(&repo, &root, &target, &RestoreOptions::default()).unwrap();
    assert!(!target.join("d.kopia-entry").is_symlink());
    assert!(outside.join("mine").exists());
    // What is no entry is not expanded.
    let nonsense = temp.path().join("x.kopia-entry");
    fs::write(&nonsense, "{").unwrap();
    let options = RestoreOptions::default();
    let error = placeholder::expand(&repo, &nonsense, &options, &Silent).unwrap_err();
    assert!(matches!(error, RestoreError::Placeholder { .. }), "{error}");
}
