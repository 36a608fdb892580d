//! A store as it was at some time, from the versions that its bucket keeps.
//!
//! [`Versioned`] is what a kind of store must tell of its versions, [`Past`] the view that all of
//! them share: it reads what counted at the time and refuses every change.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions, Retention,
    StorageConfig,
};

use crate::http::{Fetched, read};
use crate::site::Site;

/// A version of a blob.
pub(super) struct Version {
    pub(super) meta: BlobMeta,
    /// What the service calls it.
    pub(super) name: String,
}

/// A store whose bucket can keep what was replaced or deleted.
pub(super) trait Versioned: BlobStore {
    fn site(&self) -> &Site;

    /// Whether the bucket does so.
    fn keeps_versions(&self) -> Result<bool, BlobError>;

    /// Reads a blob, or one version of it, as [`read`] demands.
    fn fetch(
        &self,
        id: &BlobId,
        version: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<Fetched, BlobError>;

    /// Calls `visit` with the version that counted at `time` of each blob of a prefix that was
    /// there, in the order of their ids.
    fn list_at(
        &self,
        time: Timestamp,
        prefix: &str,
        visit: &mut dyn FnMut(Version) -> ControlFlow<()>,
    ) -> Result<(), BlobError>;
}

/// The store, or a view of it if a time is given.
pub(super) fn at(
    time: Option<Timestamp>,
    store: impl Versioned + 'static,
) -> Result<Arc<dyn BlobStore>, BlobError> {
    let Some(time) = time else { return Ok(Arc::new(store)) };
    if !store.keeps_versions()? {
        let site = store.site();
        return Err(site.invalid(format!(
            "cannot create point-in-time view for non-versioned {}: turn versioning on, or leave \
             out --point-in-time",
            site.settings.place.trim_start_matches('-')
        )));
    }
    Ok(Arc::new(Past { store, time }))
}

/// A view that cannot be changed.
#[derive(Debug)]
struct Past<S> {
    store: S,
    time: Timestamp,
}

impl<S: Versioned> Past<S> {
    fn find(&self, id: &BlobId) -> Result<Version, BlobError> {
        id.check()?;
        let mut first = None;
        self.store.list_at(self.time, id.as_str(), &mut |version| {
            // An id comes before all that it begins.
            first = Some(version);
            ControlFlow::Break(())
        })?;
        first
            .filter(|version| version.meta.id == *id)
            .ok_or_else(|| BlobError::NotFound { id: id.clone() })
    }
}

fn refused(operation: Operation, id: &BlobId) -> BlobError {
    BlobError::ReadOnly { operation, target: id.into() }
}

impl<S: Versioned> BlobStore for Past<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let version = self.find(id)?;
        read(
            self.store.site(),
            id,
            range,
            |range| self.store.fetch(id, Some(&version.name), range),
            || Ok(version.meta.length),
        )
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        Ok(self.find(id)?.meta)
    }

    fn put(&self, id: &BlobId, _: &[&[u8]], _: &PutOptions) -> Result<BlobMeta, BlobError> {
        Err(refused(Operation::Put, id))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        Err(refused(Operation::Delete, id))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.store.list_at(self.time, prefix, &mut |version| visit(version.meta))
    }

    fn storage_config(&self) -> StorageConfig {
        self.store.storage_config()
    }

    fn display_name(&self) -> String {
        self.store.display_name()
    }

    fn extend_retention(&self, id: &BlobId, _: &Retention) -> Result<(), BlobError> {
        Err(refused(Operation::ExtendRetention, id))
    }

    fn is_read_only(&self) -> bool {
        true
    }
}
