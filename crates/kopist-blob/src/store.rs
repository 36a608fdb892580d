use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    BlobError, BlobId, BlobMeta, ByteRange, Capacity, Feature, Leftovers, PutOptions, Retention,
    StorageConfig,
};

/// A place that keeps named blobs. See the [crate documentation](crate) for what every store
/// promises.
///
/// One store is shared by all threads; every call may be made at any time from any of them.
/// Every call blocks until the store has answered.
pub trait BlobStore: Send + Sync + Debug {
    /// Reads a blob, or exactly the bytes asked for.
    ///
    /// # Errors
    /// [`NotFound`](BlobError::NotFound), also for an empty range;
    /// [`InvalidRange`](BlobError::InvalidRange) if the blob ends before the range does.
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError>;

    /// Length and timestamp of one blob.
    ///
    /// # Errors
    /// [`NotFound`](BlobError::NotFound).
    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError>;

    /// Writes a blob whose bytes are the concatenation of `data`, replacing one of the same id.
    ///
    /// When this returns, the blob is durable and visible to everyone; until then nobody sees
    /// any part of it. After an error either the old state or the complete new blob is there.
    /// The result holds the store's own timestamp.
    fn put(&self, id: &BlobId, data: &[&[u8]], options: &PutOptions)
    -> Result<BlobMeta, BlobError>;

    /// Deletes a blob. Deleting what does not exist succeeds.
    fn delete(&self, id: &BlobId) -> Result<(), BlobError>;

    /// Calls `visit` for every blob whose id starts with `prefix`, as plain text: `xn0_` and
    /// `p12` are prefixes, the empty one means all. The order is unspecified; every blob appears
    /// once. `visit` runs on the calling thread and ends the listing with
    /// [`ControlFlow::Break`], which is not an error.
    ///
    /// A blob that is written or deleted meanwhile may appear or not.
    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError>;

    /// How to open this store again, here or in another process.
    fn storage_config(&self) -> StorageConfig;

    /// The store in words for people, such as `Filesystem: /backups`. Never holds a secret.
    fn display_name(&self) -> String;

    /// Prolongs the lock of a blob to now + period.
    ///
    /// # Errors
    /// [`Unsupported`](BlobError::Unsupported) by default.
    fn extend_retention(&self, _id: &BlobId, _retention: &Retention) -> Result<(), BlobError> {
        Err(self.unsupported(Feature::Retention))
    }

    /// Size and free space of the volume.
    ///
    /// # Errors
    /// [`Unsupported`](BlobError::Unsupported) by default: most stores are not volumes.
    fn capacity(&self) -> Result<Capacity, BlobError> {
        Err(self.unsupported(Feature::Capacity))
    }

    /// Removes what interrupted writes left behind, if the store can have such remains at all.
    /// Only remains that are at least a day old at `now` go, so that a write in progress
    /// anywhere is never disturbed. Safe at any time; meant for maintenance.
    fn sweep_leftovers(&self, _now: Timestamp) -> Result<Leftovers, BlobError> {
        Ok(Leftovers::default())
    }

    /// Whether writes are bound to fail with [`ReadOnly`](BlobError::ReadOnly).
    fn is_read_only(&self) -> bool {
        false
    }

    /// Forgets whatever the store remembers about the other side.
    fn flush_caches(&self) {}

    /// Releases connections. The store must not be used afterwards.
    fn close(&self) -> Result<(), BlobError> {
        Ok(())
    }

    /// The error for something this store cannot do.
    #[doc(hidden)]
    fn unsupported(&self, feature: Feature) -> BlobError {
        BlobError::Unsupported { feature, store: self.display_name() }
    }
}

/// Writes the methods of [`BlobStore`] that a wrapper hands on unchanged:
/// `forward!(self => self.inner; get, metadata);` inside an `impl BlobStore for …`.
macro_rules! forward {
    ($self:ident => $inner:expr; $($method:ident),* $(,)?) => {
        $(crate::store::forward!(@$method $self $inner);)*
    };
    (@get $self:ident $inner:expr) => {
        fn get(&$self, id: &crate::BlobId, range: crate::ByteRange)
            -> Result<bytes::Bytes, crate::BlobError> { $inner.get(id, range) }
    };
    (@metadata $self:ident $inner:expr) => {
        fn metadata(&$self, id: &crate::BlobId)
            -> Result<crate::BlobMeta, crate::BlobError> { $inner.metadata(id) }
    };
    (@put $self:ident $inner:expr) => {
        fn put(&$self, id: &crate::BlobId, data: &[&[u8]], options: &crate::PutOptions)
            -> Result<crate::BlobMeta, crate::BlobError> { $inner.put(id, data, options) }
    };
    (@delete $self:ident $inner:expr) => {
        fn delete(&$self, id: &crate::BlobId)
            -> Result<(), crate::BlobError> { $inner.delete(id) }
    };
    (@list $self:ident $inner:expr) => {
        fn list(
            &$self,
            prefix: &str,
            visit: &mut dyn FnMut(crate::BlobMeta) -> std::ops::ControlFlow<()>,
        ) -> Result<(), crate::BlobError> { $inner.list(prefix, visit) }
    };
    (@extend_retention $self:ident $inner:expr) => {
        fn extend_retention(&$self, id: &crate::BlobId, retention: &crate::Retention)
            -> Result<(), crate::BlobError> { $inner.extend_retention(id, retention) }
    };
    (@capacity $self:ident $inner:expr) => {
        fn capacity(&$self) -> Result<crate::Capacity, crate::BlobError> { $inner.capacity() }
    };
    (@sweep_leftovers $self:ident $inner:expr) => {
        fn sweep_leftovers(&$self, now: jiff::Timestamp)
            -> Result<crate::Leftovers, crate::BlobError> { $inner.sweep_leftovers(now) }
    };
    // What no wrapper but `ReadOnly` changes.
    (@identity $self:ident $inner:expr) => {
        fn storage_config(&$self) -> crate::StorageConfig { $inner.storage_config() }
        fn display_name(&$self) -> String { $inner.display_name() }
        fn flush_caches(&$self) { $inner.flush_caches(); }
        fn close(&$self) -> Result<(), crate::BlobError> { $inner.close() }
    };
    (@is_read_only $self:ident $inner:expr) => {
        fn is_read_only(&$self) -> bool { $inner.is_read_only() }
    };
}
pub(crate) use forward;

/// Shared stores are stores, so that wrappers nest over `Arc<dyn BlobStore>`.
impl<S: BlobStore + ?Sized> BlobStore for Arc<S> {
    forward!(self => (**self); get, metadata, put, delete, list, extend_retention, capacity,
        sweep_leftovers, identity, is_read_only);
}
