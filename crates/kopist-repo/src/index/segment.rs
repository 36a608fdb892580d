//! One sorted index in a view.

use std::sync::Arc;

use kopist_format::{
    id::ContentId,
    index::{EntryRef, Index, encode, merge},
};
use sha2::{Digest, Sha256};

use crate::{
    cache::{IndexBytes, IndexFiles, SharedIndexBytes},
    error::{RepoError, Result},
};

/// Segments with fewer entries are merged into one: opening a repository with a thousand tiny
/// index blobs must not make every lookup search a thousand times.
const SMALL: usize = 10_000;
/// More segments than this are merged as well, the smallest first.
const MAX_SEGMENTS: usize = 32;
/// At most this many entries are merged, which takes less than a second.
const MAX_MERGED: usize = 4_000_000;
/// Merged indexes of up to this many bytes stay in memory.
const IN_MEMORY: usize = 4 << 20;

/// One sorted index: an index blob, or several small ones merged.
pub(crate) struct Segment {
    /// The index blobs that it stands for, sorted.
    pub(crate) blobs: Vec<Arc<str>>,
    pub(crate) index: Index<SharedIndexBytes>,
    /// The file of the cache that it needs, if it is a merged one.
    pub(crate) file: Option<String>,
}

impl Segment {
    /// Parses the content of one index blob.
    pub(crate) fn parse(blob: &str, bytes: IndexBytes, overhead: u32) -> Result<Self> {
        let index = Index::parse(bytes.into(), overhead)
            .map_err(|e| RepoError::format(format!("index blob {blob}"), e))?;
        Ok(Self { blobs: vec![blob.into()], index, file: None })
    }

    /// The winners of several segments as one; `None` if they do not fit one index of version 2.
    ///
    /// A large result goes into a file of the cache, so that it does not stay in memory.
    pub(crate) fn merge(
        segments: &[Arc<Self>],
        files: Option<&IndexFiles>,
    ) -> Result<Option<Self>> {
        let mut blobs: Vec<_> = segments.iter().flat_map(|s| s.blobs.iter().cloned()).collect();
        blobs.sort_unstable();
        let name = merged_name(&blobs);
        if let Some(bytes) = files.and_then(|files| files.load(&name))
            && let Ok(index) = Index::parse(bytes.into(), 0)
        {
            return Ok(Some(Self { blobs, index, file: Some(name) }));
        }
        let indexes: Vec<_> = segments.iter().map(|segment| segment.index.clone()).collect();
        let Ok(bytes) = encode(2, merge(&indexes)) else { return Ok(None) };
        let (bytes, file) = match files {
            Some(files) if bytes.len() > IN_MEMORY => (files.store(&name, bytes), Some(name)),
            _ => (IndexBytes::Owned(bytes), None),
        };
        let index =
            Index::parse(bytes.into(), 0).map_err(|e| RepoError::format("merged index", e))?;
        Ok(Some(Self { blobs, index, file }))
    }

    /// Where `id` is, if it is here.
    pub(crate) fn position(&self, id: &ContentId) -> Option<usize> {
        let position = self.index.lower_bound_key(id.key());
        (self.index.key_at(position) == Some(id.key())).then_some(position)
    }

    /// The entry at a position.
    pub(crate) fn at(&self, position: usize) -> Result<EntryRef<'_>> {
        self.index.at(position).map_err(|e| {
            let blob = self.blobs.first().map_or("", |blob| blob);
            RepoError::format(format!("index blob {blob}"), e)
        })
    }
}

/// The name of the cache file of a merged index: it depends on what was merged.
fn merged_name(blobs: &[Arc<str>]) -> String {
    let mut hasher = Sha256::new();
    for blob in blobs {
        hasher.update(blob.as_bytes());
        hasher.update(b"\n");
    }
    format!("merged-{}", hex::encode(hasher.finalize()))
}

/// Chooses which segments are merged: all small ones, and more of the smallest if there are too
/// many. `lengths` are numbers of entries; the result are positions, the smallest first.
pub(crate) fn choose_merged(lengths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|position| (lengths[*position], *position));
    let superfluous = (lengths.len() + 1).saturating_sub(MAX_SEGMENTS);
    let mut entries = 0;
    let chosen: Vec<usize> = order
        .into_iter()
        .enumerate()
        .take_while(|(rank, position)| {
            entries += lengths[*position];
            entries <= MAX_MERGED && (*rank < superfluous || lengths[*position] < SMALL)
        })
        .map(|(_, position)| position)
        .collect();
    if chosen.len() > 1 { chosen } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_ones_and_the_superfluous_ones_are_merged() {
        assert_eq!(choose_merged(&[]), [0; 0]);
        assert_eq!(choose_merged(&[5]), [0; 0]);
        assert_eq!(choose_merged(&[5, 1_000_000]), [0; 0]);
        assert_eq!(choose_merged(&[1_000_000, 5, 7]), [1, 2]);
        let middle = vec![SMALL; MAX_SEGMENTS];
        assert_eq!(choose_merged(&middle), [0; 0]);
        let middle = vec![SMALL; MAX_SEGMENTS + 3];
        assert_eq!(choose_merged(&middle), [0, 1, 2, 3]);
        // Merging has a limit, whatever comes.
        let large = vec![MAX_MERGED / 2; 100];
        assert_eq!(choose_merged(&large), [0, 1]);
    }
}
