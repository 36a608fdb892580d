//! A store that lives in memory: for tests and for trying things out.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::RwLock;

use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Feature, PutOptions, StorageConfig,
};

/// Keeps blobs in a map. Clones share their contents, so a clone is a second connection.
#[derive(Clone)]
pub struct MemoryStore {
    blobs: Arc<RwLock<BTreeMap<BlobId, (Bytes, Timestamp)>>>,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl MemoryStore {
    /// An empty store that stamps blobs with the system's time.
    #[allow(clippy::disallowed_methods)] // the store's own clock, as a server has one
    pub fn new() -> Self {
        Self::with_clock(Timestamp::now)
    }

    /// An empty store that stamps blobs with the time `now` tells.
    pub fn with_clock(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { blobs: Arc::default(), now: Arc::new(now) }
    }

    /// An independent copy of the present contents, as a disk image would be.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { blobs: Arc::new(RwLock::new(self.blobs.read().clone())), now: Arc::clone(&self.now) }
    }

    /// Number of blobs.
    pub fn len(&self) -> usize {
        self.blobs.read().len()
    }

    /// Whether there are no blobs.
    pub fn is_empty(&self) -> bool {
        self.blobs.read().is_empty()
    }

    /// Bytes of all blobs together.
    pub fn total_bytes(&self) -> u64 {
        self.blobs.read().values().map(|(data, _)| data.len() as u64).sum()
    }

    fn find(&self, id: &BlobId) -> Result<(Bytes, Timestamp), BlobError> {
        id.check()?;
        self.blobs.read().get(id).cloned().ok_or_else(|| BlobError::NotFound { id: id.clone() })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("blobs", &self.len()).finish_non_exhaustive()
    }
}

impl BlobStore for MemoryStore {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let (data, _) = self.find(id)?;
        match range {
            ByteRange::Full => Ok(data),
            ByteRange::Bounded { offset, length } => {
                let size = data.len() as u64;
                match offset.checked_add(length) {
                    Some(end) if end <= size => Ok(data.slice(offset as usize..end as usize)),
                    _ => Err(BlobError::InvalidRange { id: id.clone(), offset, length, size }),
                }
            }
        }
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        let (data, timestamp) = self.find(id)?;
        Ok(BlobMeta { id: id.clone(), length: data.len() as u64, timestamp })
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        id.check()?;
        if options.retention.is_some() {
            return Err(self.unsupported(Feature::Retention));
        }
        let timestamp = options.set_mod_time.unwrap_or_else(|| (self.now)());
        let data = Bytes::from(data.concat());
        let length = data.len() as u64;
        let mut blobs = self.blobs.write();
        if options.do_not_recreate && blobs.contains_key(id) {
            return Err(BlobError::AlreadyExists { id: id.clone() });
        }
        blobs.insert(id.clone(), (data, timestamp));
        Ok(BlobMeta { id: id.clone(), length, timestamp })
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        id.check()?;
        self.blobs.write().remove(id);
        Ok(())
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        // A copy, so that `visit` may change the store.
        let found: Vec<BlobMeta> = self
            .blobs
            .read()
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(prefix))
            .map(|(id, (data, timestamp))| BlobMeta {
                id: id.clone(),
                length: data.len() as u64,
                timestamp: *timestamp,
            })
            .collect();
        for meta in found {
            if visit(meta).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn storage_config(&self) -> StorageConfig {
        StorageConfig::new("memory", serde_json::json!({}))
    }

    fn display_name(&self) -> String {
        "Memory".to_owned()
    }
}
