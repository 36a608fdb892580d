//! Lost indexes and a lost format blob.

use std::collections::BTreeMap;

use kopist_blob::{BlobId, BlobStore, PutOptions, list_prefixes};
use kopist_format::format_blob::{FORMAT_BLOB, FormatVersion};
use kopist_repo::{
    ContentInfo, CreateOptions, KeyRange, Repository, WriterOptions, recover_format_blob,
};
use kopist_testkit::{
    golden,
    oracle::{self, Client},
};

use crate::common::{
    PASSWORD, filesystem, new_repository, noise, open, open_options, quick_create,
    verify_everything,
};

fn contents(repo: &Repository) -> BTreeMap<String, ContentInfo> {
    let mut found = BTreeMap::new();
    repo.contents(&KeyRange::all(), &mut |entry| {
        found.insert(entry.id.to_string(), entry.to_entry());
        Ok(())
    })
    .unwrap();
    found
}

fn recover(repo: &Repository, store: &dyn BlobStore) {
    let writer = repo.writer(WriterOptions::default()).unwrap();
    for pack in list_prefixes(store, &["p", "q"], 1).unwrap() {
        writer.recover_pack(&pack.id, pack.length).unwrap();
    }
    writer.flush().unwrap();
}

#[test]
fn an_index_comes_back_from_the_packs() {
    for version in [FormatVersion::V1, FormatVersion::V3] {
        let (store, repo) = new_repository(&CreateOptions { version, ..quick_create() });
        let writer = repo.writer(WriterOptions::default()).unwrap();
        for i in 0..30 {
            writer.write_content(&noise(i, 3000), None, None).unwrap();
        }
        writer.flush().unwrap();
        let before = contents(&repo);
        for index in list_prefixes(store.as_ref(), &["x", "n"], 1).unwrap() {
            store.delete(&index.id).unwrap();
        }
        let repo = open(store.clone());
        assert!(contents(&repo).is_empty());
        recover(&repo, store.as_ref());
        assert_eq!(contents(&open(store)), before);
    }
}

#[test]
fn indexes_of_packs_that_kopia_wrote() {
    for golden in
        golden::available(&["broken-missing-all-indexes", "broken-missing-all-indexes-v1"])
    {
        let folder = tempfile::tempdir().unwrap();
        let store = filesystem(&golden.unpack(folder.path()));
        let password = golden.description.password.as_str().into();
        let repo = Repository::open(store.clone(), &password, open_options()).unwrap();
        assert!(contents(&repo).is_empty());
        recover(&repo, store.as_ref());
        assert!(contents(&repo).len() > 10);
        verify_everything(&repo);
        assert!(repo.manifests().unwrap().entries().count() > 2);
    }
}

#[test]
fn the_format_blob_comes_back_from_the_packs() {
    let v1 = CreateOptions { version: FormatVersion::V1, ..quick_create() };
    let (store, repo) = new_repository(&v1);
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_content(b"kept", None, None).unwrap();
    writer.flush().unwrap();
    let format = BlobId::from(FORMAT_BLOB);
    let original = store.get(&format, kopist_blob::ByteRange::Full).unwrap();
    store.delete(&format).unwrap();
    let found = recover_format_blob(store.as_ref(), &["p", "q"]).unwrap().unwrap();
    assert_eq!(found, original);
    store.put(&format, &[&found], &PutOptions::default()).unwrap();
    assert_eq!(open(store).read_content(&id).unwrap(), b"kept".as_slice());

    let (store, repo) = new_repository(&quick_create());
    let writer = repo.writer(WriterOptions::default()).unwrap();
    writer.write_content(b"kept", None, None).unwrap();
    writer.flush().unwrap();
    assert_eq!(recover_format_blob(store.as_ref(), &["p", "q"]).unwrap(), None);
}

#[test]
fn an_old_repository_gets_epochs() {
    let v1 = CreateOptions { version: FormatVersion::V1, ..quick_create() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repository");
    std::fs::create_dir(&path).unwrap();
    let store = filesystem(&path);
    kopist_repo::create(store.as_ref(), &PASSWORD.into(), &v1).unwrap();
    let repo = open(store.clone());
    let write = |repo: &Repository, seed| {
        let writer = repo.writer(WriterOptions::default()).unwrap();
        writer.write_content(&noise(seed, 2000), None, None).unwrap();
        writer.flush().unwrap();
    };
    write(&repo, 1);
    write(&repo, 2);
    let before = contents(&repo);
    assert!(repo.upgrade_to_epochs().unwrap());
    assert!(!repo.upgrade_to_epochs().unwrap());
    assert_eq!(contents(&repo), before);
    write(&repo, 3);
    let again = open(store);
    assert_eq!(contents(&again).len(), 3);
    verify_everything(&again);
    assert_eq!((again.parameters().version, again.parameters().index_version), (2, 2));

    let Some(kopia) = oracle::find_or_skip("an_old_repository_gets_epochs") else { return };
    let client = Client::new(&kopia, &folder.path().join("client"), PASSWORD);
    client.ok(&["repository", "connect", "filesystem", "--path", path.to_str().unwrap()]);
    client.ok(&["content", "verify", "--full"]);
    let listed = client.json(&["content", "list", "--json"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
}
