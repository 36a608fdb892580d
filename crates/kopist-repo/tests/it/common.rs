//! What the tests here share.

use std::{path::Path, sync::Arc};

use kopist_blob::{
    BlobStore, MemoryStore,
    filesystem::{FilesystemConfig, FilesystemStore},
};
use kopist_repo::{
    ClientIdentity, CreateOptions, OpenOptions, Repository, VerifyError, VerifyOptions,
    VerifyReport, create,
};
use secrecy::SecretString;

pub(crate) const PASSWORD: &str = "test password";

pub(crate) fn password() -> SecretString {
    PASSWORD.into()
}

/// Options of a test's client. The fast derivation of the key keeps the tests fast.
pub(crate) fn quick_create() -> CreateOptions {
    CreateOptions {
        key_derivation: kopist_format::kdf::PBKDF2_KEY_DERIVATION.into(),
        ..CreateOptions::default()
    }
}

pub(crate) fn open_options() -> OpenOptions {
    OpenOptions { identity: ClientIdentity::new("user", "host"), ..OpenOptions::default() }
}

/// A new repository in memory.
pub(crate) fn new_repository(options: &CreateOptions) -> (Arc<MemoryStore>, Repository) {
    let store = Arc::new(MemoryStore::new());
    create(store.as_ref(), &password(), options).unwrap();
    let repo = open(store.clone());
    (store, repo)
}

pub(crate) fn open(store: Arc<dyn BlobStore>) -> Repository {
    Repository::open(store, &password(), open_options()).unwrap()
}

pub(crate) fn filesystem(path: &Path) -> Arc<dyn BlobStore> {
    Arc::new(FilesystemStore::open(FilesystemConfig::new(path)).unwrap())
}

/// Bytes that do not compress, different for every seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Reads and hashes every content, deleted ones included; panics with every finding.
#[track_caller]
pub(crate) fn verify_everything(repo: &Repository) -> VerifyReport {
    let options =
        VerifyOptions { include_deleted: true, read_percent: 100.0, ..VerifyOptions::default() };
    let findings = parking_lot::Mutex::new(Vec::new());
    let report = repo
        .verify_contents(&options, &|e: &VerifyError| findings.lock().push(e.to_string()))
        .unwrap();
    assert_eq!(findings.into_inner(), Vec::<String>::new());
    assert_eq!(report.errors(), 0);
    assert_eq!(report.read, report.verified);
    report
}
