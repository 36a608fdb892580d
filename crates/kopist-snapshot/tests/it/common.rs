//! What the tests here share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_blob::{BlobStore, MemoryStore, list_all};
use kopist_format::directory::{DirEntry, DirectoryManifest};
use kopist_format::id::ObjectId;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{
    ClientIdentity, Clock, CreateOptions, OpenOptions, Repository, RepositoryWriter, WriterOptions,
};
use kopist_snapshot::upload::{Silent, UploadProgress, UploadSource};
use kopist_snapshot::{Created, SnapshotRequest, SourceInfo};
use secrecy::SecretString;

pub(crate) const PASSWORD: &str = "test password";

pub(crate) fn password() -> SecretString {
    PASSWORD.into()
}

pub(crate) fn open_options() -> OpenOptions {
    OpenOptions { identity: ClientIdentity::new("user", "host"), ..OpenOptions::default() }
}

/// A new repository in memory, with a key that is quick to derive.
pub(crate) fn new_repository() -> (Arc<MemoryStore>, Repository) {
    let store = Arc::new(MemoryStore::new());
    let options = CreateOptions {
        key_derivation: kopist_format::kdf::PBKDF2_KEY_DERIVATION.into(),
        ..CreateOptions::default()
    };
    kopist_repo::create(store.as_ref(), &password(), &options).unwrap();
    let repo = open(store.clone());
    (store, repo)
}

pub(crate) fn open(store: Arc<dyn BlobStore>) -> Repository {
    Repository::open(store, &password(), open_options()).unwrap()
}

pub(crate) fn open_at(store: Arc<dyn BlobStore>, clock: Arc<dyn Clock>) -> Repository {
    Repository::open(store, &password(), OpenOptions { clock, ..open_options() }).unwrap()
}

pub(crate) fn filesystem(path: &Path) -> Arc<dyn BlobStore> {
    Arc::new(FilesystemStore::open(FilesystemConfig::new(path)).unwrap())
}

pub(crate) fn writer(repo: &Repository) -> RepositoryWriter {
    repo.writer(WriterOptions::default()).unwrap()
}

pub(crate) fn source(path: &str) -> SourceInfo {
    SourceInfo::new("user", "host", path)
}

pub(crate) fn request(path: &Path) -> SnapshotRequest {
    let tree = UploadSource::local(path).unwrap();
    SnapshotRequest::new(source(path.to_str().unwrap()), tree)
}

/// Makes a snapshot and flushes it.
pub(crate) fn snapshot_with(
    repo: &Repository,
    request: SnapshotRequest,
    progress: &dyn UploadProgress,
) -> Created {
    let writer = writer(repo);
    let created = kopist_snapshot::create(&writer, request, progress).unwrap();
    writer.flush().unwrap();
    created
}

pub(crate) fn snapshot(repo: &Repository, path: &Path) -> SnapshotManifest {
    snapshot_with(repo, request(path), &Silent).manifest
}

/// Every entry below a directory object by its path; directories end in `/`.
pub(crate) fn tree(repo: &Repository, root: &ObjectId) -> BTreeMap<String, DirEntry> {
    let mut found = BTreeMap::new();
    collect(repo, root, "", &mut found);
    found
}

fn collect(repo: &Repository, object: &ObjectId, base: &str, out: &mut BTreeMap<String, DirEntry>) {
    let directory = DirectoryManifest::parse(&repo.read_object(object).unwrap()).unwrap();
    for entry in directory.entries {
        let path = format!("{base}{}", entry.name_text());
        if entry.is_dir() {
            collect(repo, &entry.object.unwrap(), &format!("{path}/"), out);
            out.insert(format!("{path}/"), entry);
        } else {
            out.insert(path, entry);
        }
    }
}

pub(crate) fn paths(repo: &Repository, manifest: &SnapshotManifest) -> Vec<String> {
    tree(repo, &manifest.root_object().unwrap()).into_keys().collect()
}

/// Number of blobs whose names begin with `prefix`.
pub(crate) fn blobs(store: &dyn BlobStore, prefix: &str) -> usize {
    list_all(store, prefix).unwrap().len()
}
