//! Caches save requests and decide nothing.

use std::{fs, path::Path, sync::Arc};

use kopist_blob::{MemoryStore, Operation, Recording};
use kopist_format::id::{ContentId, IdPrefix};
use kopist_repo::{CacheOptions, OpenOptions, Repository, WriterOptions, create};

use crate::common::{noise, open_options, password, quick_create};

type Store = Arc<Recording<MemoryStore>>;

fn repository() -> (Store, Vec<(ContentId, Vec<u8>)>) {
    let store = Arc::new(Recording::new(MemoryStore::new()));
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let repo = Repository::open(store.clone(), &password(), open_options()).unwrap();
    let mut written = Vec::new();
    for session in 0..3 {
        let writer = repo.writer(WriterOptions::default()).unwrap();
        for i in 0..10 {
            let data = noise(session * 100 + i, 5000);
            let prefix = (i % 2 == 0).then_some(IdPrefix::DIRECTORY);
            written.push((writer.write_content(&data, prefix, None).unwrap(), data));
        }
        writer.flush().unwrap();
    }
    (store, written)
}

fn open(store: &Store, cache: Option<CacheOptions>) -> Repository {
    let options = OpenOptions { cache, ..open_options() };
    Repository::open(store.clone(), &password(), options).unwrap()
}

fn read_all(repo: &Repository, written: &[(ContentId, Vec<u8>)]) {
    for (id, data) in written {
        assert_eq!(repo.read_content(id).unwrap(), data);
    }
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

#[test]
fn a_warm_cache_saves_the_requests() {
    let (store, written) = repository();
    let dir = tempfile::tempdir().unwrap();
    read_all(&open(&store, Some(CacheOptions::in_dir(dir.path()))), &written);
    store.clear();
    let repo = open(&store, Some(CacheOptions::in_dir(dir.path())));
    assert_eq!(store.count(Operation::Get), 2, "kopia.repository and kopia.blobcfg");
    store.clear();
    read_all(&repo, &written);
    assert_eq!(store.calls().len(), 0);
}

#[test]
fn without_a_disk_metadata_is_read_in_blocks() {
    let (store, written) = repository();
    let repo = open(&store, None);
    store.clear();
    let metadata: Vec<_> = written.iter().filter(|(id, _)| id.has_prefix()).cloned().collect();
    read_all(&repo, &metadata);
    read_all(&repo, &metadata);
    assert_eq!(store.count(Operation::Get), 3, "one block of each of three packs");
}

#[test]
fn a_warm_cache_does_not_hide_what_others_wrote() {
    let (store, written) = repository();
    let dir = tempfile::tempdir().unwrap();
    let repo = open(&store, Some(CacheOptions::in_dir(dir.path())));
    read_all(&repo, &written);
    let writer = open(&store, None).writer(WriterOptions::default()).unwrap();
    let new = writer.write_content(b"new", Some(IdPrefix::DIRECTORY), None).unwrap();
    writer.delete_content(&written[1].0).unwrap();
    writer.flush().unwrap();
    let repo = open(&store, Some(CacheOptions::in_dir(dir.path())));
    assert_eq!(repo.read_content(&new).unwrap(), b"new".as_slice());
    assert!(repo.content_info(&written[1].0).unwrap().unwrap().deleted);
}

#[test]
fn damage_in_the_cache_is_noticed_and_repaired() {
    let (store, written) = repository();
    let dir = tempfile::tempdir().unwrap();
    read_all(&open(&store, Some(CacheOptions::in_dir(dir.path()))), &written);
    for damage in [flip as fn(&mut Vec<u8>), cut, empty] {
        let found = files(dir.path());
        assert!(found.len() >= 3 + 15 + 3, "{found:?}");
        for file in found {
            let mut bytes = fs::read(&file).unwrap();
            damage(&mut bytes);
            fs::write(&file, bytes).unwrap();
        }
        read_all(&open(&store, Some(CacheOptions::in_dir(dir.path()))), &written);
    }
    store.clear();
    let repo = open(&store, Some(CacheOptions::in_dir(dir.path())));
    read_all(&repo, &written);
    assert_eq!(store.count(Operation::Get), 2, "everything was repaired");
}

#[allow(clippy::ptr_arg)] // one of several functions of this type
fn flip(bytes: &mut Vec<u8>) {
    for byte in bytes.iter_mut().step_by(997) {
        *byte ^= 1;
    }
}

fn cut(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() / 2);
}

fn empty(bytes: &mut Vec<u8>) {
    bytes.clear();
}

#[test]
fn a_cache_that_cannot_be_written_is_no_cache() {
    let (store, written) = repository();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    fs::write(&file, b"").unwrap();
    read_all(&open(&store, Some(CacheOptions::in_dir(file.join("cache")))), &written);
}

#[test]
fn limits_hold() {
    let (store, written) = repository();
    let dir = tempfile::tempdir().unwrap();
    let options = CacheOptions {
        content_limit: 30_000,
        metadata_limit: 70_000,
        ..CacheOptions::in_dir(dir.path())
    };
    let repo = open(&store, Some(options));
    read_all(&repo, &written);
    let size = |name: &str| -> u64 {
        files(&dir.path().join("kopist").join(name))
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .sum()
    };
    assert!((1..=30_000).contains(&size("contents")), "{}", size("contents"));
    assert!((1..=70_000).contains(&size("metadata")), "{}", size("metadata"));
}
