//! Bytes of packs, through the caches.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange};
use parking_lot::Mutex;

use super::{ContentInfo, blocks::BlockCache};
use crate::cache::{CacheMeter, CacheOptions, DiskCache};

/// Larger metadata packs are not fetched as a whole.
const MAX_WHOLE_PACK: usize = 32 << 20;

/// Reads ranges of packs.
///
/// Data is read as asked for, each content once. Metadata (directories, manifests, lists of
/// chunks) is read again and again and in the neighbourhood of what was read before, so its packs
/// are kept as a whole on disk, or in blocks in memory when there is no disk cache.
#[derive(Debug)]
pub(crate) struct PackReader {
    store: Arc<dyn BlobStore>,
    contents: Option<DiskCache>,
    metadata: Option<DiskCache>,
    meter: Arc<CacheMeter>,
    blocks: BlockCache,
    /// Packs being fetched: who wants one of them waits.
    fetching: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// Where bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Storage,
    Cache,
}

impl PackReader {
    pub(crate) fn new(
        store: Arc<dyn BlobStore>,
        cache: Option<&CacheOptions>,
        max_pack_size: usize,
        meter: Arc<CacheMeter>,
    ) -> Self {
        let disk = |name, limit| {
            let cache = cache.filter(|_| limit > 0)?;
            Some(DiskCache::new(cache.sub_dir(name), limit))
        };
        let whole_packs = max_pack_size <= MAX_WHOLE_PACK;
        Self {
            contents: disk("contents", cache.map_or(0, |c| c.content_limit)),
            metadata: disk("metadata", cache.map_or(0, |c| c.metadata_limit))
                .filter(|_| whole_packs),
            meter,
            blocks: BlockCache::new(Arc::clone(&store)),
            fetching: Mutex::default(),
            store,
        }
    }

    /// The stored bytes of a content.
    pub(crate) fn fetch(&self, info: &ContentInfo) -> Result<(Bytes, From), BlobError> {
        let (offset, length) = (u64::from(info.offset), info.packed_length as usize);
        if !info.pack.starts_with('q') {
            return match &self.contents {
                None => Ok((self.fetch_uncached(info)?, From::Storage)),
                Some(cache) => {
                    let key = content_key(info);
                    let cached = cache.get_range(&key, 0, length);
                    self.meter.contents.note(cached.is_some());
                    if let Some(data) = cached {
                        return Ok((data, From::Cache));
                    }
                    let data = self.fetch_uncached(info)?;
                    cache.put(&key, &data);
                    Ok((data, From::Storage))
                }
            };
        }
        let Some(cache) = &self.metadata else {
            return Ok((self.blocks.read(&info.pack, offset, length)?, From::Cache));
        };
        if let Some(data) = cache.get_range(&info.pack, offset, length) {
            self.meter.metadata.note(true);
            return Ok((data, From::Cache));
        }
        let turn = Arc::clone(self.fetching.lock().entry(info.pack.to_string()).or_default());
        let held = turn.lock();
        // Someone else may have fetched it meanwhile.
        let cached = cache.get_range(&info.pack, offset, length);
        self.meter.metadata.note(cached.is_some());
        let result = match cached {
            Some(data) => Ok((data, From::Cache)),
            None => self.fetch_whole(cache, info).map(|data| (data, From::Storage)),
        };
        drop(held);
        self.fetching.lock().remove(info.pack.as_str());
        result
    }

    fn fetch_whole(&self, cache: &DiskCache, info: &ContentInfo) -> Result<Bytes, BlobError> {
        let pack = BlobId::from(info.pack.as_str());
        let data = self.store.get(&pack, ByteRange::Full)?;
        let start = info.offset as usize;
        let end = start + info.packed_length as usize;
        if end > data.len() {
            return Err(BlobError::InvalidRange {
                id: pack,
                offset: info.offset.into(),
                length: info.packed_length.into(),
                size: data.len() as u64,
            });
        }
        cache.put(&info.pack, &data);
        // A copy, so that a directory of some bytes does not keep 20 MiB in memory.
        Ok(Bytes::copy_from_slice(data.get(start..end).unwrap_or_default()))
    }

    /// The stored bytes of a content, from the storage whatever the caches have.
    pub(crate) fn fetch_uncached(&self, info: &ContentInfo) -> Result<Bytes, BlobError> {
        let pack = BlobId::from(info.pack.as_str());
        let (offset, length) = (info.offset.into(), info.packed_length.into());
        self.store.get(&pack, ByteRange::Bounded { offset, length })
    }

    /// Forgets what the caches have of a content, because it was damaged.
    pub(crate) fn forget(&self, info: &ContentInfo) {
        if info.pack.starts_with('q') {
            if let Some(cache) = &self.metadata {
                cache.remove(&info.pack);
            }
            self.blocks.forget(&info.pack);
        } else if let Some(cache) = &self.contents {
            cache.remove(&content_key(info));
        }
    }
}

/// The same content may lie in two packs in different forms; sealed bytes of one form are
/// interchangeable.
fn content_key(info: &ContentInfo) -> String {
    format!("{}-{:x}-{}", info.id, info.compression, info.packed_length)
}
