//! What the tests here share.

use std::{fmt, ops::ControlFlow, path::Path, sync::Arc};

use bytes::Bytes;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, MemoryStore, Operation, PutOptions,
    StorageConfig,
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

/// A store to which something happens before a blob is read or written: what another client does
/// just then.
pub(crate) struct Meddled<F> {
    inner: Arc<MemoryStore>,
    meddle: F,
}

impl<F: Fn(Operation, &BlobId) + Send + Sync> Meddled<F> {
    pub(crate) fn new(inner: Arc<MemoryStore>, meddle: F) -> Self {
        Self { inner, meddle }
    }
}

impl<F> fmt::Debug for Meddled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddled")
    }
}

impl<F: Fn(Operation, &BlobId) + Send + Sync> BlobStore for Meddled<F> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        (self.meddle)(Operation::Get, id);
        self.inner.get(id, range)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.inner.metadata(id)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        (self.meddle)(Operation::Put, id);
        self.inner.put(id, data, options)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.inner.delete(id)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.inner.list(prefix, visit)
    }

    fn storage_config(&self) -> StorageConfig {
        self.inner.storage_config()
    }

    fn display_name(&self) -> String {
        self.inner.display_name()
    }
}
