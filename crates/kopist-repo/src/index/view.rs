//! All committed contents of a repository at one moment.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    sync::Arc,
};

use kopist_format::{
    id::ContentId,
    index::{EntryRef, wins},
};

use super::{KeyRange, Segment};
use crate::error::Result;

/// The place of an entry in an [`IndexView`]: stable for the life of the view, below
/// [`IndexView::ordinals`], and meaningless in any other view.
pub type Ordinal = u64;

/// An immutable set of sorted indexes that reads as one.
///
/// Of the entries with one id, [`wins`] picks the same one in every client. A winner that is a
/// tombstone at or below the watermark does not exist at all.
///
/// See `docs/decisions/merged-index.md` for why the indexes are not rewritten into one.
pub struct IndexView {
    parts: Vec<(Ordinal, Arc<Segment>)>,
    watermark: Option<i64>,
    ordinals: Ordinal,
    revision: u64,
}

impl IndexView {
    /// A view of these segments; `watermark` in Unix seconds.
    pub(crate) fn new(segments: Vec<Arc<Segment>>, watermark: Option<i64>, revision: u64) -> Self {
        let mut ordinals = 0;
        let parts = segments
            .into_iter()
            .map(|segment| {
                let base = ordinals;
                ordinals += segment.index.len() as u64;
                (base, segment)
            })
            .collect();
        Self { parts, watermark, ordinals, revision }
    }

    /// One more than the largest ordinal. Some ordinals below it belong to entries that lost.
    pub fn ordinals(&self) -> Ordinal {
        self.ordinals
    }

    /// Grows with every change of the committed contents within this process.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The deletion watermark in Unix seconds, if there is one.
    pub fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// How many separate sorted indexes a lookup has to consult.
    pub fn segment_count(&self) -> usize {
        self.parts.len()
    }

    /// How many index blobs it was made of.
    pub fn blob_count(&self) -> usize {
        self.parts.iter().map(|(_, segment)| segment.blobs.len()).sum()
    }

    fn hides(&self, entry: &EntryRef<'_>) -> bool {
        entry.deleted && self.watermark.is_some_and(|watermark| entry.timestamp <= watermark)
    }

    /// The entry of a content, deleted ones included, and its ordinal.
    pub fn find(&self, id: &ContentId) -> Result<Option<(Ordinal, EntryRef<'_>)>> {
        let mut best: Option<(Ordinal, EntryRef<'_>)> = None;
        for (base, segment) in &self.parts {
            let Some(position) = segment.position(id) else { continue };
            let entry = segment.at(position)?;
            if best.as_ref().is_none_or(|(_, best)| wins(&entry, best).is_gt()) {
                best = Some((base + position as u64, entry));
            }
        }
        Ok(best.filter(|(_, entry)| !self.hides(entry)))
    }

    /// The entries of a range in key order, one for each content, deleted ones included.
    pub fn entries(&self, range: &KeyRange) -> Entries<'_> {
        let heads = self.parts.iter().enumerate().filter_map(|(part, (_, segment))| {
            let position = segment.index.lower_bound_key(range.start());
            Some(Reverse((segment.index.key_at(position)?, part, position)))
        });
        Entries { view: self, heads: heads.collect(), range: range.clone() }
    }
}

impl std::fmt::Debug for IndexView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexView")
            .field("segments", &self.parts.len())
            .field("ordinals", &self.ordinals)
            .field("watermark", &self.watermark)
            .field("revision", &self.revision)
            .finish()
    }
}

/// An entry and its place.
type Found<'a> = (Ordinal, EntryRef<'a>);

/// Iterator of [`IndexView::entries`].
pub struct Entries<'a> {
    view: &'a IndexView,
    /// The next key of each segment, with part and position; the smallest key on top.
    heads: BinaryHeap<Reverse<(&'a [u8], usize, usize)>>,
    range: KeyRange,
}

impl<'a> Entries<'a> {
    /// Takes the entry on top and moves its segment forward.
    fn advance(&mut self) -> Option<(&'a [u8], Result<Found<'a>>)> {
        let view: &'a IndexView = self.view;
        let mut top = self.heads.peek_mut()?;
        let Reverse((key, part, position)) = *top;
        let (base, segment) = view.parts.get(part)?;
        match segment.index.key_at(position + 1) {
            Some(next) => *top = Reverse((next, part, position + 1)),
            None => {
                PeekMut::pop(top);
            }
        }
        Some((key, segment.at(position).map(|entry| (base + position as u64, entry))))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(Ordinal, EntryRef<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((key, ..)) = *self.heads.peek()?;
            if !self.range.is_before_end(key) {
                return None;
            }
            let mut best = match self.advance()?.1 {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            while self.heads.peek().is_some_and(|Reverse((next, ..))| *next == key) {
                match self.advance()?.1 {
                    Ok(other) if wins(&other.1, &best.1).is_gt() => best = other,
                    Ok(_) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            if !self.view.hides(&best.1) {
                return Some(Ok(best));
            }
        }
    }
}
