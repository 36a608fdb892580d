use std::sync::Arc;

use kopist_blob::{BlobError, BlobStore, FilesystemConfig, FilesystemStore, StorageConfig};

use super::{Context, Mode};

pub(super) fn open(
    storage: &StorageConfig,
    context: &Context,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let config = FilesystemConfig::from_storage(storage)?;
    let store = match context.mode {
        Mode::Connect => FilesystemStore::open(config)?,
        Mode::Create => FilesystemStore::create(config)?,
    };
    Ok(Arc::new(store))
}
