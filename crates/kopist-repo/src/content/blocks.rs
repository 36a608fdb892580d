//! Blocks of metadata packs in memory, for when there is no disk cache.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange};
use parking_lot::Mutex;

const BLOCK: u64 = 512 << 10;
/// At most this many blocks are kept: 32 MiB.
const KEPT: usize = 64;
/// Lengths of this many packs are remembered.
const KEPT_LENGTHS: usize = 10_000;

/// Reads metadata packs in aligned blocks and keeps the last ones.
///
/// Directories that were written together are read together: one request serves many of them.
#[derive(Debug)]
pub(super) struct BlockCache {
    store: Arc<dyn BlobStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    clock: u64,
    blocks: HashMap<(String, u64), (Bytes, u64)>,
    lengths: HashMap<String, u64>,
}

impl BlockCache {
    pub(super) fn new(store: Arc<dyn BlobStore>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// `length` bytes at `offset` of a pack.
    pub(super) fn read(&self, pack: &str, offset: u64, length: usize) -> Result<Bytes, BlobError> {
        let end = offset + length as u64;
        let first = offset / BLOCK;
        let last = end.saturating_sub(1).max(offset) / BLOCK;
        if let Some(data) = self.assemble(pack, first, last, offset, length) {
            return Ok(data);
        }
        let id = BlobId::from(pack);
        let size = self.pack_length(&id)?;
        if end > size {
            return Err(BlobError::InvalidRange { id, offset, length: length as u64, size });
        }
        let start = first * BLOCK;
        let stop = size.min((last + 1) * BLOCK);
        let data =
            self.store.get(&id, ByteRange::Bounded { offset: start, length: stop - start })?;
        self.keep(pack, first, &data);
        let skip = (offset - start) as usize;
        Ok(Bytes::copy_from_slice(data.get(skip..skip + length).unwrap_or_default()))
    }

    fn assemble(
        &self,
        pack: &str,
        first: u64,
        last: u64,
        offset: u64,
        length: usize,
    ) -> Option<Bytes> {
        let mut state = self.state.lock();
        state.clock += 1;
        let now = state.clock;
        let mut out = BytesMut::with_capacity(length);
        let mut skip = (offset - first * BLOCK) as usize;
        for number in first..=last {
            let (block, used) = state.blocks.get_mut(&(pack.to_owned(), number))?;
            *used = now;
            let rest = block.get(skip..).unwrap_or_default();
            out.extend_from_slice(rest.get(..rest.len().min(length - out.len()))?);
            skip = 0;
        }
        (out.len() == length).then(|| out.freeze())
    }

    fn keep(&self, pack: &str, first: u64, data: &Bytes) {
        let mut state = self.state.lock();
        let now = state.clock;
        for (number, block) in data.chunks(BLOCK as usize).enumerate() {
            let key = (pack.to_owned(), first + number as u64);
            state.blocks.insert(key, (Bytes::copy_from_slice(block), now));
        }
        while state.blocks.len() > KEPT {
            let oldest = state.blocks.iter().min_by_key(|(_, (_, used))| *used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            state.blocks.remove(&key);
        }
    }

    fn pack_length(&self, id: &BlobId) -> Result<u64, BlobError> {
        if let Some(length) = self.state.lock().lengths.get(id.as_str()) {
            return Ok(*length);
        }
        let length = self.store.metadata(id)?.length;
        let mut state = self.state.lock();
        if state.lengths.len() >= KEPT_LENGTHS {
            state.lengths.clear();
        }
        state.lengths.insert(id.to_string(), length);
        Ok(length)
    }

    /// Drops the blocks of a pack.
    pub(super) fn forget(&self, pack: &str) {
        self.state.lock().blocks.retain(|(name, _), _| name != pack);
    }
}

#[cfg(test)]
mod tests {
    use kopist_blob::{MemoryStore, PutOptions};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_those_of_the_pack(
            size in 0_usize..3_000_000,
            ranges in proptest::collection::vec((0_usize..3_000_000, 0_usize..900_000), 1..8),
        ) {
            let store = MemoryStore::new();
            let data: Vec<u8> = (0..size).map(|i| (i / 7) as u8).collect();
            store.put(&BlobId::from("q1"), &[&data], &PutOptions::default()).unwrap();
            let cache = BlockCache::new(Arc::new(store));
            for (offset, length) in ranges {
                let read = cache.read("q1", offset as u64, length);
                match data.get(offset..offset + length) {
                    Some(expected) => prop_assert_eq!(&read.unwrap()[..], expected),
                    None => prop_assert!(read.is_err()),
                }
            }
        }
    }
}
