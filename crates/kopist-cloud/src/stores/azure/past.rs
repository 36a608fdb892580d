//! The store as it was at some time, from the versions that the container keeps.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions, Retention,
    StorageConfig,
};

use super::AzureStore;
use super::list::{Found, blobs};
use crate::http::read;

/// What listings of versions tell besides.
const INCLUDE: &str = "metadata,versions,deletedwithversions";

/// A view that cannot be changed. Of each blob it shows the version that counted at `time`.
#[derive(Debug)]
pub(super) struct Past {
    store: AzureStore,
    time: Timestamp,
}

impl Past {
    pub(super) fn new(store: AzureStore, time: Timestamp) -> Result<Self, BlobError> {
        let mut versioned = false;
        blobs(&store, "kopia.repository", INCLUDE, &mut |found| {
            versioned |= !found.version.is_empty();
            ControlFlow::Continue(())
        })?;
        if !versioned {
            return Err(store.api.site().invalid(
                "cannot create point-in-time view for non-versioned container: turn versioning \
                 on, or leave out --point-in-time",
            ));
        }
        Ok(Self { store, time })
    }

    /// The versions that counted, of all blobs of a prefix.
    fn versions(&self, prefix: &str) -> Result<BTreeMap<BlobId, Found>, BlobError> {
        let mut newest: BTreeMap<BlobId, Found> = BTreeMap::new();
        blobs(&self.store, prefix, INCLUDE, &mut |found| {
            let made: Option<Timestamp> = found.version.parse().ok();
            let made = made.unwrap_or(found.meta.timestamp);
            if made <= self.time
                && newest.get(&found.meta.id).is_none_or(|known| known.version <= found.version)
            {
                newest.insert(found.meta.id.clone(), found);
            }
            ControlFlow::Continue(())
        })?;
        newest.retain(|_, found| !found.deleted);
        Ok(newest)
    }

    fn find(&self, id: &BlobId) -> Result<Found, BlobError> {
        id.check()?;
        self.versions(id.as_str())?.remove(id).ok_or_else(|| BlobError::NotFound { id: id.clone() })
    }

    fn refused(operation: Operation, id: &BlobId) -> BlobError {
        BlobError::ReadOnly { operation, target: id.into() }
    }
}

impl BlobStore for Past {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let found = self.find(id)?;
        read(
            self.store.api.site(),
            id,
            range,
            |range| self.store.fetch(id, Some(&found.version), range),
            || Ok(found.meta.length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        Ok(self.find(id)?.meta)
    }

    fn put(&self, id: &BlobId, _: &[&[u8]], _: &PutOptions) -> Result<BlobMeta, BlobError> {
        Err(Self::refused(Operation::Put, id))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        Err(Self::refused(Operation::Delete, id))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        for (_, found) in self.versions(prefix)? {
            if visit(found.meta).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn storage_config(&self) -> StorageConfig {
        self.store.storage_config()
    }

    fn display_name(&self) -> String {
        self.store.display_name()
    }

    fn extend_retention(&self, id: &BlobId, _: &Retention) -> Result<(), BlobError> {
        Err(Self::refused(Operation::ExtendRetention, id))
    }

    fn is_read_only(&self) -> bool {
        true
    }
}
