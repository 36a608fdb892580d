//! One sorted index in a view.

use std::sync::Arc;

use kopist_format::{
    id::ContentId,
    index::{EntryRef, Index, IndexBuilder},
};

use crate::{
    cache::{IndexBytes, SharedIndexBytes},
    error::{RepoError, Result},
};

/// Segments with fewer entries are merged into one: opening a repository with a thousand tiny
/// index blobs must not make every lookup search a thousand times.
pub(crate) const SMALL: usize = 10_000;

/// One sorted index: an index blob, or several small ones merged.
pub(crate) struct Segment {
    /// The index blobs that it stands for, sorted.
    pub(crate) blobs: Vec<Arc<str>>,
    pub(crate) index: Index<SharedIndexBytes>,
}

impl Segment {
    /// Parses the content of one index blob.
    pub(crate) fn parse(blob: &str, bytes: IndexBytes, overhead: u32) -> Result<Self> {
        let index = Index::parse(bytes.into(), overhead)
            .map_err(|e| RepoError::format(format!("index blob {blob}"), e))?;
        Ok(Self { blobs: vec![blob.into()], index })
    }

    /// The winners of several segments as one, in memory; `None` if they do not fit version 2.
    pub(crate) fn merge(segments: &[Arc<Self>]) -> Result<Option<Self>> {
        let mut builder = IndexBuilder::new();
        for segment in segments {
            for position in 0..segment.index.len() {
                builder.add_ref(&segment.at(position)?);
            }
        }
        let mut blobs: Vec<_> = segments.iter().flat_map(|s| s.blobs.iter().cloned()).collect();
        blobs.sort_unstable();
        let Ok(mut shards) = builder.build_stable(2) else { return Ok(None) };
        match (shards.pop(), shards.is_empty()) {
            (Some(bytes), true) => {
                let index = Index::parse(IndexBytes::Owned(bytes).into(), 0)
                    .map_err(|e| RepoError::format("merged index", e))?;
                Ok(Some(Self { blobs, index }))
            }
            _ => Ok(None),
        }
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
