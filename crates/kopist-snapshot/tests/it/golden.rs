//! Every snapshot of the golden repositories restores to what kopia restored.

use std::collections::BTreeMap;
use std::path::Path;

use kopist_repo::{OpenOptions, Repository};
use kopist_snapshot::restore::{RestoreOptions, Silent, restore};
use kopist_snapshot::verify::{Damage, VerifyOptions, verify};
use kopist_snapshot::walk::Root;
use kopist_snapshot::{browse, store};
use kopist_testkit::golden::{self, GoldenRepository};
use kopist_testkit::tree::{Comparison, Entry, compare, list};
use rayon::prelude::*;

use crate::common::{filesystem, open_options};

/// Opened for reading only: a writer could compact manifests.
fn open(golden: &GoldenRepository, folder: &Path) -> Result<Repository, kopist_repo::RepoError> {
    let store = filesystem(&golden.unpack(folder));
    let options = OpenOptions { read_only: true, ..open_options() };
    Repository::open(store, &golden.description.password.as_str().into(), options)
}

/// kopia sets the times of links in microseconds, rounded up; we set them exactly.
fn with_kopias_link_times(mut listing: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut listing {
        if entry.kind == 's' {
            entry.mtime_ns = (entry.mtime_ns + 999).div_euclid(1000) * 1000;
        }
    }
    listing
}

fn check(golden: &GoldenRepository) {
    let name = golden.name();
    let folder = tempfile::tempdir().unwrap();
    let Ok(repo) = open(golden, folder.path()) else {
        // A few cannot be opened, by anyone; kopist-repo has tests of those.
        assert!(golden.description.trees.is_empty(), "{name} does not open");
        return;
    };
    let view = repo.manifests().unwrap();
    let snapshots = store::all_snapshots(&view, &BTreeMap::new());
    assert_eq!(snapshots.len(), golden.description.snapshots.len(), "{name}");
    for expected in &golden.description.snapshots {
        let found = store::load_snapshot(&view, &expected.id).unwrap();
        assert_eq!(found.root_object().unwrap().to_string(), expected.root, "{name}");
        assert_eq!(found.description, expected.description);
        assert_eq!(found.tags, expected.tags);
        assert_eq!(found.pins, expected.pins);
        assert_eq!(found.incomplete, expected.incomplete);
        assert_eq!(found.source.path, expected.source.path);
        let start = expected.start_time.parse().unwrap();
        assert_eq!(found.start_time, start, "{name}");
    }
    let roots: Vec<Root> = snapshots
        .iter()
        .filter_map(|manifest| {
            Some(Root { label: manifest.id.clone(), entry: manifest.root_entry.clone()? })
        })
        .collect();
    let options = VerifyOptions { files_percent: 100.0, ..VerifyOptions::default() };
    let stats = verify(&repo, &roots, &options, &|damage: Damage| {
        panic!("{name}: {}: {}", damage.path, damage.error);
    });
    assert_eq!(stats.unwrap().errors, 0, "{name}");
    for (number, (root, expected)) in golden.description.trees.iter().enumerate() {
        let target = folder.path().join(format!("restored{number}"));
        let named = browse::resolve(&repo, &view, root, false).unwrap();
        restore(&repo, &named.entry, &target, &RestoreOptions::default(), &Silent)
            .unwrap_or_else(|error| panic!("{name} {root}: {error}"));
        let restored = with_kopias_link_times(list(&target));
        let differences = compare(expected, &restored, Comparison::full());
        assert!(differences.is_empty(), "{name} {root}:\n{differences}");
    }
}

#[test]
fn every_snapshot_restores_as_kopia_restored_it() {
    let all = golden::all();
    let intact: Vec<_> = all.iter().filter(|golden| !golden.description.is_broken()).collect();
    assert!(intact.len() > 10);
    intact.par_iter().for_each(|golden| check(golden));
}

#[test]
fn what_is_damaged_is_reported_and_the_rest_comes_back() {
    let all = golden::all();
    let broken: Vec<_> = all.iter().filter(|golden| golden.description.is_broken()).collect();
    broken.par_iter().for_each(|golden| check_broken(golden));
}

fn check_broken(golden: &GoldenRepository) {
    let name = golden.name();
    let folder = tempfile::tempdir().unwrap();
    let Ok(repo) = open(golden, folder.path()) else {
        assert!(golden.description.visible_snapshots.is_empty(), "{name} does not open");
        return;
    };
    for (number, expected) in golden.description.expected_restore.iter().enumerate() {
        let view = repo.manifests().unwrap();
        let target = folder.path().join(format!("restored{number}"));
        let named = browse::resolve(&repo, &view, &expected.snapshot, false)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
        let stats = restore(&repo, &named.entry, &target, &options, &Silent).unwrap();
        let intact = &golden.description.trees_intact[&expected.root];
        let found = compare(intact, &list(&target), Comparison::contents());
        // A part of a file is there only where kopia leaves one too.
        for (path, _) in &found.different {
            assert!(expected.different.contains(path), "{name}: {path} is not whole");
        }
        assert!(found.unexpected.is_empty(), "{name}: {:?}", found.unexpected);
        let mut bad: Vec<String> = found.missing;
        bad.extend(found.different.into_iter().map(|(path, _)| path));
        let mut kopias: Vec<String> = expected.missing.clone();
        kopias.extend(expected.different.clone());
        // Never less than kopia brings back, and every loss is counted.
        bad.sort();
        for path in &bad {
            assert!(kopias.contains(path), "{name}: {path} is lost, kopia restores it");
        }
        assert_eq!(stats.ignored_errors > 0, !bad.is_empty(), "{name}: {bad:?}");
    }
}
