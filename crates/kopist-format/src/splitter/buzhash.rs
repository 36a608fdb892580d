//! Buzhash with 32 bits.

use super::{buzhash_table::TABLE, scan::Rolling};

/// XOR over the window of `TABLE[byte]` rotated left by the number of bytes after it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Buzhash(pub(super) u32);

impl Rolling for Buzhash {
    fn push(&mut self, entering: u8) {
        self.0 = self.0.rotate_left(1) ^ TABLE[usize::from(entering)];
    }

    fn roll(&mut self, leaving: u8, entering: u8) {
        // the leaving byte has been rotated 64 times, which is not at all
        self.0 = self.0.rotate_left(1) ^ TABLE[usize::from(leaving)] ^ TABLE[usize::from(entering)];
    }

    fn hits(self, mask: u64) -> bool {
        self.0 & mask as u32 == 0
    }
}
