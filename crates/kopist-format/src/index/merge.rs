//! Many indexes as one, in key order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use super::{EntryRef, Index, IndexError, wins};

/// The winning entries of several indexes in key order, deleted ones included.
///
/// Needs memory for one cursor an index, whatever they weigh.
pub fn merge<B: AsRef<[u8]>>(indexes: &[Index<B>]) -> Merge<'_, B> {
    let cursors = indexes
        .iter()
        .enumerate()
        .filter_map(|(source, index)| Some(Reverse((index.key_at(0)?, source, 0))))
        .collect();
    Merge { indexes, cursors }
}

/// Iterator of [`merge`].
#[derive(Debug)]
pub struct Merge<'a, B> {
    indexes: &'a [Index<B>],
    /// The next key of each index, with its source and ordinal; the smallest key on top.
    cursors: BinaryHeap<Reverse<(&'a [u8], usize, usize)>>,
}

impl<B> Clone for Merge<'_, B> {
    fn clone(&self) -> Self {
        Self { indexes: self.indexes, cursors: self.cursors.clone() }
    }
}

impl<'a, B: AsRef<[u8]>> Merge<'a, B> {
    /// Takes the entry on top and moves its index forward.
    fn advance(&mut self) -> Option<(&'a [u8], Result<EntryRef<'a>, IndexError>)> {
        let mut top = self.cursors.peek_mut()?;
        let Reverse((key, source, ordinal)) = *top;
        let index = self.indexes.get(source)?;
        let entry = index.at(ordinal);
        match index.key_at(ordinal + 1) {
            Some(next) => *top = Reverse((next, source, ordinal + 1)),
            None => {
                PeekMut::pop(top);
            }
        }
        Some((key, entry))
    }
}

impl<'a, B: AsRef<[u8]>> Iterator for Merge<'a, B> {
    type Item = Result<EntryRef<'a>, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, best) = self.advance()?;
        let mut best = match best {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        while self.cursors.peek().is_some_and(|Reverse((next, ..))| *next == key) {
            match self.advance()?.1 {
                Ok(entry) if wins(&entry, &best).is_gt() => best = entry,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(best))
    }
}
