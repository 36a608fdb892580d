//! Bytes that look random and follow from a seed: data to measure and to test with.

use crate::error::CommandError;

/// A generator (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Pseudo(u64);

impl Pseudo {
    /// The generator of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that nobody can predict, for names that must not collide.
    pub(super) fn from_system() -> Result<Self, CommandError> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|e| CommandError::new(format!("random numbers: {e}")))?;
        Ok(Self(u64::from_le_bytes(seed)))
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number of 128 bits.
    pub(super) fn next_wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// Fills a buffer.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_follows_from_the_seed() {
        let bytes = |seed| {
            let mut buffer = [0; 19];
            Pseudo::new(seed).fill(&mut buffer);
            buffer
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
        // The published first output for seed 0.
        assert_eq!(Pseudo::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
