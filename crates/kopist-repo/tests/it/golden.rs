//! Repositories written by Kopia are read completely and exactly.

use std::collections::BTreeMap;

use kopist_repo::{KeyRange, OpenOptions, RepoError, Repository, VerifyError, VerifyOptions};
use kopist_testkit::golden::{self, ContentEntry, GoldenRepository};
use rayon::prelude::*;
use serde_json::Value;

use crate::common::{filesystem, open_options, verify_everything};

/// Opened for reading only: a writer could compact manifests.
fn options() -> OpenOptions {
    OpenOptions { read_only: true, ..open_options() }
}

fn open(golden: &GoldenRepository, folder: &std::path::Path) -> Result<Repository, RepoError> {
    let store = filesystem(&golden.unpack(folder));
    Repository::open(store, &golden.description.password.as_str().into(), options())
}

fn contents(repo: &Repository) -> BTreeMap<String, ContentEntry> {
    let mut contents = BTreeMap::new();
    repo.contents(&KeyRange::all(), &mut |entry| {
        let id = entry.id.to_string();
        let content = ContentEntry {
            content_id: id.clone(),
            pack_file: entry.pack.to_owned(),
            pack_offset: entry.offset,
            length: entry.packed_length,
            original_length: entry.original_length,
            time: entry.timestamp,
            deleted: entry.deleted,
            format_version: entry.format_version,
            compression: entry.compression,
            encryption_key: entry.encryption_key,
        };
        assert_eq!(repo.content_info(&entry.id).unwrap().unwrap().as_ref(), *entry);
        assert!(contents.insert(id, content).is_none(), "each content comes once");
        Ok(())
    })
    .unwrap();
    contents
}

fn check(golden: &GoldenRepository) {
    let name = golden.name();
    let folder = tempfile::tempdir().unwrap();
    let oracle = golden.description.oracle.as_ref().unwrap();
    let repo = match open(golden, folder.path()) {
        Ok(repo) => repo,
        Err(e) => panic!("{name}: {e}"),
    };

    let ours = contents(&repo);
    let theirs: BTreeMap<String, ContentEntry> =
        oracle.contents.iter().map(|c| (c.content_id.clone(), c.clone())).collect();
    assert_eq!(ours, theirs, "{name}: contents");

    let mut active: Vec<String> =
        repo.active_index_blobs().unwrap().0.iter().map(ToString::to_string).collect();
    active.sort();
    let mut expected: Vec<String> = oracle
        .indexes_active
        .iter()
        .map(|index| index["id"].as_str().unwrap().to_owned())
        .collect();
    expected.sort();
    assert_eq!(active, expected, "{name}: active index blobs");

    let schedule = serde_json::to_value(repo.maintenance_schedule().unwrap()).unwrap();
    for (task, runs) in oracle.maintenance["schedule"]["runs"].as_object().into_iter().flatten() {
        let ours = schedule["runs"][task].as_array().map(Vec::len);
        assert_eq!(ours, runs.as_array().map(Vec::len), "{name}: runs of {task}");
    }

    let manifests = repo.manifests().unwrap();
    assert_eq!(manifests.entries().count(), oracle.manifests.len(), "{name}: manifests");
    for expected in &oracle.manifests {
        let id = expected["id"].as_str().unwrap();
        let entry = manifests.get(id).unwrap_or_else(|| panic!("{name}: manifest {id}"));
        assert_eq!(serde_json::to_value(&entry.labels).unwrap(), expected["labels"], "{name}");
        assert_eq!(entry.modified.to_string(), expected["mtime"].as_str().unwrap(), "{name}");
        let data: Value = manifests.payload(id).unwrap();
        assert_eq!(data, expected["data"], "{name}: manifest {id}");
    }

    assert_eq!(verify_everything(&repo).verified, oracle.contents.len() as u64, "{name}");
    for snapshot in &golden.description.snapshots {
        let root = snapshot.root.parse().unwrap();
        let data = repo.read_object(&root).unwrap();
        let mut reader = repo.open_object(&root).unwrap();
        let mut streamed = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut streamed).unwrap();
        assert_eq!(data, streamed, "{name}");
        assert_eq!(reader.len(), data.len() as u64, "{name}");
        let chunks = repo.object_chunks(&root).unwrap();
        assert_eq!(chunks.last().unwrap().end(), data.len() as u64, "{name}");
    }
}

#[test]
fn every_repository_that_kopia_reads() {
    let all = golden::all();
    let readable: Vec<_> = all
        .iter()
        .filter(|g| {
            !g.description.is_broken() && !["feature-required", "upg-locked"].contains(&g.name())
        })
        .collect();
    assert!(readable.len() >= 20);
    readable.par_iter().for_each(|golden| check(golden));
}

fn error_of(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    open(&golden::get(name), folder.path()).unwrap_err().to_string()
}

#[test]
fn what_must_not_be_opened_is_refused_with_kopias_words() {
    for golden in golden::available(&["feature-required", "upg-locked"]) {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&golden, folder.path()).unwrap_err();
        match golden.name() {
            "feature-required" => {
                assert!(matches!(error, RepoError::RequiredFeature(_)));
                assert!(error.to_string().contains("does not support feature"), "{error}");
            }
            _ => assert!(matches!(error, RepoError::UpgradeInProgress { .. }), "{error}"),
        }
    }
    for golden in golden::available(&["broken-format-bitflip", "broken-wrong-password"]) {
        let error = error_of(golden.name());
        assert!(error.contains("invalid repository password"), "{}: {error}", golden.name());
    }
    for golden in golden::available(&["broken-missing-format", "broken-missing-format-v1"]) {
        let error = error_of(golden.name());
        assert!(error.contains("not initialized"), "{}: {error}", golden.name());
    }
    for golden in golden::available(&["broken-bitflip-index", "broken-truncated-index"]) {
        let error = error_of(golden.name());
        assert!(error.contains("index blob xn"), "{}: {error}", golden.name());
    }
}

/// Kopia's figures of a full verification, if it came that far.
fn kopias_counters(golden: &GoldenRepository) -> Option<Value> {
    let command = golden.description.expected("content verify --full")?;
    let line = command.stderr.iter().find_map(|line| line.split_once("verifyCounters:\t"))?;
    serde_json::from_str(line.1).ok()
}

#[test]
fn damage_is_counted_as_kopia_counts_it() {
    let broken: Vec<_> = golden::all().into_iter().filter(|g| g.description.is_broken()).collect();
    let judged = broken.par_iter().filter(|golden| {
        let Some(theirs) = kopias_counters(golden) else { return false };
        let folder = tempfile::tempdir().unwrap();
        let repo = open(golden, folder.path()).unwrap();
        let options = VerifyOptions { read_percent: 100.0, ..VerifyOptions::default() };
        let report = repo.verify_contents(&options, &|_: &VerifyError| {}).unwrap();
        let ours = serde_json::json!({
            "verifiedContents": report.verified,
            "totalErrorCount": report.errors(),
            "contentsInMissingPacks": report.in_missing_packs,
            "contentsInTruncatedPacks": report.in_truncated_packs,
            "unreadableContents": report.unreadable,
            "readContents": report.read,
            "missingPacks": report.missing_packs,
            "truncatedPacks": report.truncated_packs,
            "corruptedPacks": report.corrupted_packs,
        });
        assert_eq!(ours, theirs, "{}", golden.name());
        true
    });
    assert!(judged.count() >= 5);
}
