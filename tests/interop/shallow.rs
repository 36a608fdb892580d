//! Placeholders of shallow restores: both programs write the same ones, expand each other's, and
//! back up trees that hold them as the same objects.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{Comparison, RandomTree, TreeShape, compare, list};

use crate::pair::{Pair, id, root, snapshot};

fn source(folder: &Path) -> PathBuf {
    let source = folder.join("source");
    let shape = TreeShape { directories: 14, files: 60, largest: 100_000, links: 6 };
    RandomTree::create(&source, 41, shape);
    fs::create_dir_all(source.join("a/b/c")).unwrap();
    for (name, mode) in
        [("plain", 0o644), ("secret", 0o400), ("open", 0o666), ("setuid", 0o6755), ("none", 0)]
    {
        for directory in ["", "a", "a/b", "a/b/c"] {
            let path = source.join(directory).join(name);
            fs::write(&path, name.repeat(100)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    symlink("b/plain", source.join("a/link")).unwrap();
    // With the suffix this name would be too long.
    let long = "n".repeat(250);
    fs::create_dir(source.join(&long)).unwrap();
    fs::write(source.join(&long).join("inside"), "x").unwrap();
    fs::set_permissions(source.join("a/b"), fs::Permissions::from_mode(0o2750)).unwrap();
    source
}

#[track_caller]
fn same(ours: &Path, theirs: &Path, how: Comparison, what: &str) {
    let [ours, theirs] = [ours, theirs].map(|path| {
        let mut entries = list(path);
        // The directories around placeholders have the time at which they were made.
        for entry in &mut entries {
            if entry.kind == 'd' && entry.path.ends_with(".kopia-entry") {
                entry.mtime_ns = 0;
            }
        }
        entries
    });
    let found = compare(&theirs, &ours, how);
    assert!(found.is_empty(), "{what}:\n{found}");
}

/// Restores with a client and returns where, with the summary.
#[track_caller]
fn restored(client: &Client, name: &str, arguments: &[&str]) -> (PathBuf, String) {
    let target = client.folder().join(name);
    let arguments = [arguments, &[target.to_str().unwrap()]].concat();
    let outcome = client.run(&[&["restore"], arguments.as_slice()].concat()).expect_success();
    let summary = outcome.stderr.lines().find(|line| line.starts_with("Restored ")).unwrap();
    (target, summary.to_owned())
}

#[track_caller]
fn expand(client: &Client, tree: &Path, placeholders: &[&str], flags: &[&str]) -> Vec<String> {
    let paths: Vec<_> = placeholders
        .iter()
        .map(|name| tree.join(format!("{name}.kopia-entry")).to_str().unwrap().to_owned())
        .collect();
    let mut arguments = vec!["restore"];
    arguments.extend(paths.iter().map(String::as_str));
    arguments.extend(flags);
    let outcome = client.run(&arguments).expect_success();
    outcome.stderr.lines().filter(|l| l.starts_with("Restored ")).map(str::to_owned).collect()
}

#[test]
fn placeholders_are_the_same_and_go_both_ways() {
    let Some(pair) = Pair::created_by_kopia("placeholders_are_the_same_and_go_both_ways", &[])
    else {
        return;
    };
    let source = source(pair.folder.path());
    let made = snapshot(&pair.kopia, &source);
    let full = list(&restored(&pair.kopia, "full", &[id(&made)]).0);
    for (depth, min_size) in [(0, 0), (1, 0), (1, 450), (2, 0)] {
        let what = format!("depth {depth} size {min_size}");
        let flags = [format!("--shallow={depth}"), format!("--shallow-minsize={min_size}")];
        let arguments = [id(&made), flags[0].as_str(), flags[1].as_str()];
        let name = format!("shallow-{depth}-{min_size}");
        let (ours, our_summary) = restored(&pair.kopist, &name, &arguments);
        let (theirs, their_summary) = restored(&pair.kopia, &name, &arguments);
        same(&ours, &theirs, Comparison::full(), &what);
        assert_eq!(our_summary, their_summary, "{what}");
        // Both back up what either restored: the same objects.
        for tree in [&ours, &theirs] {
            let by_us = snapshot(&pair.kopist, tree);
            let by_kopia = snapshot(&pair.kopia, tree);
            assert_eq!(root(&by_us), root(&by_kopia), "{what}");
        }

        // And each expands what the other restored, step by step.
        if depth == 0 {
            let names = ["a", "plain", "secret"];
            let ours_of = expand(&pair.kopist, &theirs, &names, &[]);
            let theirs_of = expand(&pair.kopia, &ours, &names, &[]);
            assert_eq!(ours_of, theirs_of, "{what}");
            assert_eq!(ours_of.len(), 3);
            same(&theirs, &ours, Comparison::restored(), &what);
            assert!(ours.join("a/b.kopia-entry/.kopia-entry").is_file());
            assert!(!ours.join("a.kopia-entry").exists());
            expand(&pair.kopist, &theirs, &["a/b"], &["--shallow=1"]);
            expand(&pair.kopia, &ours, &["a/b"], &["--shallow=1"]);
            same(&theirs, &ours, Comparison::restored(), &what);
            assert!(ours.join("a/b/c/plain.kopia-entry").is_file());
        }
        // A full restore over a shallow one takes the placeholders' places.
        let (again, _) = restored(
            &pair.kopist,
            &name,
            &[id(&made), "--no-overwrite-symlinks", "--skip-existing"],
        );
        let found = compare(&full, &list(&again), Comparison::full());
        assert!(found.is_empty(), "{what}:\n{found}");
    }
}

#[test]
fn what_cannot_be_a_placeholder_or_be_expanded_is_refused() {
    let Some(pair) =
        Pair::created_by_kopist("what_cannot_be_a_placeholder_or_be_expanded_is_refused", &[])
    else {
        return;
    };
    let source = source(pair.folder.path());
    let made = snapshot(&pair.kopist, &source);
    for client in [&pair.kopist, &pair.kopia] {
        let (target, _) = restored(client, "tree", &[id(&made)]);
        let path = target.to_str().unwrap();
        // The real thing is there.
        client.run(&["restore", id(&made), path, "--shallow=0"]).expect_failure();
        let only = client.folder().join("only.kopia-entry");
        let only = only.to_str().unwrap();
        client.run(&["restore", only]).expect_failure();
        fs::write(only, "no entry").unwrap();
        client.run(&["restore", only]).expect_failure();
        client.run(&["restore", id(&made), only]).expect_failure();
    }
    let archive = pair.folder.path().join("x.tar");
    let archive = archive.to_str().unwrap();
    pair.kopist.run(&["restore", id(&made), archive, "--shallow=1"]).expect_failure();
    let target = pair.folder.path().join("negative");
    let target = target.to_str().unwrap();
    pair.kopist.run(&["restore", id(&made), target, "--shallow=-1"]).expect_failure();
}
