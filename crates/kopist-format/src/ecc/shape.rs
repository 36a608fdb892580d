//! How many shards of which size.

use super::{EccError, REED_SOLOMON_CRC32};

/// Length of the CRC in front of a shard.
pub(super) const CRC_LENGTH: usize = 4;
/// Length of the length in front of the data.
pub(super) const LENGTH_LENGTH: usize = 4;
/// Data and parity shards of small inputs.
pub(super) const SMALL: (usize, usize) = (6, 2);

/// What follows from the overhead that the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EccParameters {
    pub(super) overhead_percent: u32,
    pub(super) data_shards: usize,
    pub(super) parity_shards: usize,
    pub(super) max_shard_size: usize,
}

/// One input dealt out: `blocks` times `data + parity` shards of `shard_size` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) data: usize,
    pub(super) parity: usize,
    pub(super) shard_size: usize,
    pub(super) blocks: usize,
    /// Whether the zeros at the end of the data are stored.
    pub(super) stores_padding: bool,
}

impl Shape {
    /// Bytes in the data shards of all blocks.
    pub(super) fn data_bytes(&self) -> usize {
        self.data * self.shard_size * self.blocks
    }
}

impl EccParameters {
    /// The parameters for an overhead of 1 to 100 percent.
    pub fn new(overhead_percent: u32) -> Result<Self, EccError> {
        if !(1..=100).contains(&overhead_percent) {
            return Err(EccError::InvalidOverhead { percent: overhead_percent.into() });
        }
        let max_shard_size: u16 = match overhead_percent {
            1 => 1024,
            2 => 512,
            3 => 256,
            4..=6 => 128,
            _ => 64,
        };
        // What the CRCs leave of the overhead. The steps in 32 bits decide the result.
        let free = (overhead_percent as f32 - 400.0 / f32::from(max_shard_size)).max(0.01);
        let mut data_shards = 128;
        let mut parity_shards = ((128.0 * f64::from(free / 100.0)) as usize).clamp(1, 128);
        if parity_shards == 1 {
            parity_shards = 2;
            data_shards = ((2.0 * f64::from(100.0 / free)) as usize).clamp(128, 254);
        }
        let max_shard_size = usize::from(max_shard_size);
        Ok(Self { overhead_percent, data_shards, parity_shards, max_shard_size })
    }

    /// The parameters that a repository's format asks for. There is error correction only if both
    /// a name and an overhead are given.
    pub fn of_format(name: &str, overhead_percent: i64) -> Result<Option<Self>, EccError> {
        if name.is_empty() || overhead_percent == 0 {
            return Ok(None);
        }
        if name != REED_SOLOMON_CRC32 {
            return Err(EccError::Unknown { name: name.to_owned() });
        }
        let percent = u32::try_from(overhead_percent)
            .map_err(|_| EccError::InvalidOverhead { percent: overhead_percent })?;
        Self::new(percent).map(Some)
    }

    /// The overhead in percent.
    pub fn overhead_percent(&self) -> u32 {
        self.overhead_percent
    }

    fn all_shards(&self) -> usize {
        self.data_shards + self.parity_shards
    }

    /// Longest buffer (length and data) that is dealt to 6+2 shards.
    pub(super) fn small_input(&self) -> usize {
        2 * CRC_LENGTH * self.all_shards()
    }

    /// Longest stored form of such a buffer.
    pub(super) fn small_stored(&self) -> usize {
        (SMALL.0 + SMALL.1) * (CRC_LENGTH + self.small_input().div_ceil(SMALL.0))
    }

    /// Longest buffer that makes one block.
    pub(super) fn block_input(&self) -> usize {
        self.data_shards * self.max_shard_size
    }

    /// Stored form of a full block.
    pub(super) fn block_stored(&self) -> usize {
        self.all_shards() * (CRC_LENGTH + self.max_shard_size)
    }

    fn small(shard_size: usize) -> Shape {
        Shape { data: SMALL.0, parity: SMALL.1, shard_size, blocks: 1, stores_padding: true }
    }

    fn large(&self, shard_size: usize, blocks: usize, stores_padding: bool) -> Shape {
        let (data, parity) = (self.data_shards, self.parity_shards);
        Shape { data, parity, shard_size, blocks, stores_padding }
    }

    /// How `length` bytes are dealt out.
    pub(super) fn shape_of_input(&self, length: usize) -> Shape {
        let length = length + LENGTH_LENGTH;
        if length <= self.small_input() {
            Self::small(length.div_ceil(SMALL.0))
        } else if length <= self.block_input() {
            self.large(length.div_ceil(self.data_shards), 1, true)
        } else {
            self.large(self.max_shard_size, length.div_ceil(self.block_input()), false)
        }
    }

    /// How `length` stored bytes were dealt out.
    pub(super) fn shape_of_stored(&self, length: usize) -> Shape {
        let shard_size = |shards: usize| length.div_ceil(shards).max(CRC_LENGTH + 1) - CRC_LENGTH;
        if length <= self.small_stored() {
            Self::small(shard_size(SMALL.0 + SMALL.1))
        } else if length <= self.block_stored() {
            self.large(shard_size(self.all_shards()), 1, true)
        } else {
            self.large(self.max_shard_size, length.div_ceil(self.block_stored()), false)
        }
    }

    /// Length of the stored form of `length` bytes.
    pub(super) fn stored_length(&self, length: usize) -> usize {
        let shape = self.shape_of_input(length);
        let slot = CRC_LENGTH + shape.shard_size;
        let parity = shape.parity * shape.blocks * slot;
        if shape.stores_padding {
            parity + shape.data * shape.blocks * slot
        } else {
            let used = length + LENGTH_LENGTH;
            parity + used + CRC_LENGTH * used.div_ceil(shape.shard_size)
        }
    }
}
