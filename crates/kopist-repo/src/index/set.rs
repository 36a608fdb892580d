//! Sets of contents as bitmaps.

use super::{IndexView, Ordinal};

/// A set of contents of one [`IndexView`]: one bit for each ordinal, so that marking a hundred
/// million contents takes 12.5 MB.
#[derive(Clone)]
pub struct ContentSet {
    words: Vec<u64>,
    len: u64,
}

impl ContentSet {
    /// The empty set over the ordinals of `view`.
    pub fn new(view: &IndexView) -> Self {
        Self::with_ordinals(view.ordinals())
    }

    fn with_ordinals(ordinals: Ordinal) -> Self {
        Self { words: vec![0; usize::try_from(ordinals.div_ceil(64)).unwrap_or(0)], len: 0 }
    }

    /// Adds a content; `false` if it was there. An ordinal of another view is not added.
    pub fn insert(&mut self, ordinal: Ordinal) -> bool {
        let (word, bit) = place(ordinal);
        match self.words.get_mut(word) {
            Some(bits) if *bits & bit == 0 => {
                *bits |= bit;
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether the content is in the set.
    pub fn contains(&self, ordinal: Ordinal) -> bool {
        let (word, bit) = place(ordinal);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many contents are in the set.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn place(ordinal: Ordinal) -> (usize, u64) {
    (usize::try_from(ordinal / 64).unwrap_or(usize::MAX), 1 << (ordinal % 64))
}

impl std::fmt::Debug for ContentSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentSet({} of {} ordinals)", self.len, self.words.len() * 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_independent() {
        let mut set = ContentSet::with_ordinals(130);
        for ordinal in [0, 63, 64, 129] {
            assert!(set.insert(ordinal) && !set.insert(ordinal) && set.contains(ordinal));
        }
        assert!(!set.contains(1) && !set.contains(65) && set.len() == 4);
        assert!(!set.insert(100_000) && !set.contains(100_000));
    }
}
