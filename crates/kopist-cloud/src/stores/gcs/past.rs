//! The store as it was at some time, from the generations that the bucket keeps.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions, Retention,
    StorageConfig,
};
use serde_json::Value;

use super::GcsStore;
use super::resource::Resource;
use crate::http::read;

/// A view that cannot be changed. Of each blob it shows the generation that counted at `time`.
#[derive(Debug)]
pub(super) struct Past {
    store: GcsStore,
    time: Timestamp,
}

impl Past {
    pub(super) fn new(store: GcsStore, time: Timestamp) -> Result<Self, BlobError> {
        let target = store.api.site().target();
        let url = format!("{}?fields=versioning", store.api.bucket_url());
        let bucket: Value =
            store.attempts.run(|| store.api.json("GET", &url, None, Operation::Open, &target))?;
        if bucket.pointer("/versioning/enabled") != Some(&Value::Bool(true)) {
            return Err(store.api.site().invalid(
                "cannot create point-in-time view for non-versioned bucket: turn versioning on, \
                 or leave out --point-in-time",
            ));
        }
        Ok(Self { store, time })
    }

    /// The generations that counted, of all blobs of a prefix.
    fn generations(&self, prefix: &str) -> Result<BTreeMap<BlobId, Resource>, BlobError> {
        let mut newest: BTreeMap<BlobId, Resource> = BTreeMap::new();
        self.store.objects(prefix, true, &mut |id, resource| {
            if resource.time_created <= self.time
                && newest.get(&id).is_none_or(|known| known.time_created <= resource.time_created)
            {
                newest.insert(id, resource);
            }
            ControlFlow::Continue(())
        })?;
        newest.retain(|_, resource| resource.time_deleted.is_none_or(|gone| gone >= self.time));
        Ok(newest)
    }

    fn find(&self, id: &BlobId) -> Result<Resource, BlobError> {
        id.check()?;
        self.generations(id.as_str())?
            .remove(id)
            .ok_or_else(|| BlobError::NotFound { id: id.clone() })
    }

    fn refused(operation: Operation, id: &BlobId) -> BlobError {
        BlobError::ReadOnly { operation, target: id.into() }
    }
}

impl BlobStore for Past {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let resource = self.find(id)?;
        read(
            self.store.api.site(),
            id,
            range,
            |range| self.store.fetch(id, Some(&resource.generation), range),
            || Ok(resource.meta(id.clone()).length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        Ok(self.find(id)?.meta(id.clone()))
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
        for (id, resource) in self.generations(prefix)? {
            if visit(resource.meta(id)).is_break() {
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
