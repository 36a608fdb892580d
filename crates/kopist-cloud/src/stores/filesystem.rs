use std::sync::Arc;

use kopist_blob::{BlobError, BlobStore, FilesystemConfig, FilesystemStore, StorageConfig};

use super::Mode;

pub(super) fn open(storage: &StorageConfig, mode: Mode) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = FilesystemConfig::from_storage(storage)?;
    let store = match mode {
        Mode::Connect => FilesystemStore::open(config)?,
        Mode::Create => FilesystemStore::create(config)?,
    };
    Ok(Arc::new(store))
}
