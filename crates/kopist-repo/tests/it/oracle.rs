//! Kopia judges what we write.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use kopist_blob::{
    BlobStore,
    filesystem::{FilesystemConfig, FilesystemStore},
};
use kopist_format::{
    compression::Compressor, encryption::encryptions, format_blob::FormatVersion,
    hashing::HashAlgorithm, id::IdPrefix,
};
use kopist_repo::{CreateOptions, KeyRange, ObjectOptions, Repository, WriterOptions, create};
use kopist_testkit::oracle::{self, Client};
use serde_json::Value;

use crate::common::{PASSWORD, noise, open, password, quick_create, verify_everything};

fn connected(kopia: &Path, folder: &Path, repository: &Path) -> Client {
    let client = Client::new(kopia, &folder.join("client"), PASSWORD);
    let path = repository.to_str().unwrap();
    client.ok(&[
        "repository",
        "connect",
        "filesystem",
        "--path",
        path,
        "--override-username",
        "kopia",
        "--override-hostname",
        "oracle",
    ]);
    client
}

fn filesystem(path: &Path) -> Arc<dyn BlobStore> {
    std::fs::create_dir_all(path).unwrap();
    Arc::new(FilesystemStore::create(FilesystemConfig::new(path)).unwrap())
}

/// Data, metadata, compressed and not, an indirect object, deletions, several sessions.
fn write_sample(repo: &Repository) {
    let writer = repo.writer(WriterOptions::default()).unwrap();
    for i in 0..30 {
        writer.write_content(&noise(i, 4000 + i as usize * 17), None, None).unwrap();
    }
    let compressor = Compressor::by_name("zstd-fastest");
    let text = "compressible ".repeat(40_000);
    let options =
        ObjectOptions { compressor, metadata_compressor: compressor, ..Default::default() };
    writer.write_object(text.as_bytes(), options.clone()).unwrap();
    let large = noise(99, 9_000_000);
    let object = writer.write_object(&large, options.clone()).unwrap();
    writer.concatenate(&[object, object], compressor).unwrap();
    let directory = ObjectOptions { prefix: Some(IdPrefix::DIRECTORY), ..options };
    writer.write_object(text.as_bytes(), directory).unwrap();
    let labels = BTreeMap::from([("type".to_owned(), "test".to_owned())]);
    writer.put_manifest(&labels, &serde_json::json!({"a": ["<&>", 1]})).unwrap();
    writer.flush().unwrap();

    let doomed = writer.write_content(b"doomed", None, None).unwrap();
    writer.flush().unwrap();
    writer.delete_content(&doomed).unwrap();
    writer.flush().unwrap();
}

/// Kopia lists the same contents, reads all of them, and its indexes decode.
fn judge(kopia: &Path, folder: &Path, path: &Path, repo: &Repository) {
    let client = connected(kopia, folder, path);
    let outcome =
        client.run(&["content", "verify", "--full", "--include-deleted"]).expect_success();
    assert!(outcome.output().contains("Finished verifying"), "{outcome}");
    let listed = client.json(&["content", "list", "--json", "--deleted"]);
    let theirs: BTreeMap<String, Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["contentID"].as_str().unwrap().to_owned(), c.clone()))
        .collect();
    let mut ours = 0;
    repo.refresh().unwrap();
    repo.contents(&KeyRange::all(), &mut |entry| {
        let theirs = &theirs[&entry.id.to_string()];
        assert_eq!(theirs["packFile"], entry.pack);
        assert_eq!(theirs["packOffset"].as_u64().unwrap_or(0), u64::from(entry.offset));
        assert_eq!(theirs["length"], entry.packed_length);
        assert_eq!(theirs["originalLength"], entry.original_length);
        assert_eq!(theirs["deleted"].as_bool().unwrap_or(false), entry.deleted);
        assert_eq!(theirs["time"], entry.timestamp);
        ours += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(ours, theirs.len());
    client.run(&["index", "inspect", "--all"]).expect_success();
    let manifests = client.json(&["manifest", "list", "--json"]);
    assert!(manifests.to_string().contains("\"test\""), "{manifests}");
}

fn judge_options(kopia: &Path, options: &CreateOptions) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repository");
    let store = filesystem(&path);
    create(store.as_ref(), &password(), options).unwrap();
    let repo = open(store);
    write_sample(&repo);
    judge(kopia, folder.path(), &path, &repo);
    verify_everything(&repo);
}

#[test]
fn every_version_with_and_without_error_correction() {
    let Some(kopia) = oracle::find_or_skip("every_version_with_and_without_error_correction")
    else {
        return;
    };
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        for ecc_overhead_percent in [0, 5] {
            judge_options(
                &kopia,
                &CreateOptions { version, ecc_overhead_percent, ..quick_create() },
            );
        }
    }
    judge_options(&kopia, &CreateOptions::default());
}

#[test]
fn every_hash_and_every_encryption() {
    let Some(kopia) = oracle::find_or_skip("every_hash_and_every_encryption") else { return };
    for hash in HashAlgorithm::names() {
        judge_options(&kopia, &CreateOptions { hash: hash.into(), ..quick_create() });
    }
    for encryption in encryptions() {
        judge_options(&kopia, &CreateOptions { encryption: encryption.into(), ..quick_create() });
    }
}

#[test]
fn kopia_and_we_take_turns_in_one_repository() {
    let Some(kopia) = oracle::find_or_skip("kopia_and_we_take_turns_in_one_repository") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repository");
    std::fs::create_dir_all(&path).unwrap();
    let client = Client::new(&kopia, &folder.path().join("client"), PASSWORD);
    client.ok(&["repository", "create", "filesystem", "--path", path.to_str().unwrap()]);
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), noise(5, 100_000)).unwrap();

    let repo = open(crate::common::filesystem(&path));
    let before = repo.manifests().unwrap().entries().count();
    for round in 0..4 {
        std::fs::write(source.join(format!("f{round}")), noise(round, 50_000)).unwrap();
        client.ok(&["snapshot", "create", source.to_str().unwrap()]);
        let writer = repo.writer(WriterOptions::default()).unwrap();
        // The same bytes that Kopia has stored: nothing new.
        repo.refresh().unwrap();
        writer.write_content(&noise(round, 50_000), None, None).unwrap();
        assert_eq!(writer.stats().new_contents, 0);
        let labels = BTreeMap::from([("type".to_owned(), "test".to_owned())]);
        writer.replace_manifests(&labels, &round).unwrap();
        writer.write_content(&noise(1000 + round, 50_000), None, None).unwrap();
        writer.flush().unwrap();
        verify_everything(&repo);
    }
    client.run(&["content", "verify", "--full"]).expect_success();
    let shown = client.json(&["manifest", "list", "--json", "--filter", "type:test"]);
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(repo.manifests().unwrap().entries().count(), before + 5);
    let snapshots = client.json(&["snapshot", "list", "--json"]);
    assert_eq!(snapshots.as_array().map(Vec::len), Some(4));
}
