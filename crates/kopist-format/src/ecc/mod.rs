//! Error correction: `REED-SOLOMON-CRC32`, applied to what the encryption has sealed.
//!
//! The sealed bytes, with their length in front, are dealt out to *data shards*; *parity shards*
//! are computed from them, so that as many damaged shards as there are parity shards can be
//! restored. Each shard has a CRC in front that tells whether it is damaged.
//!
//! ```text
//! buffer = be32(n) || n bytes || zeros        dealt to data shards of S bytes, B blocks of them
//! stored = for each block, for each parity shard: be32(crc) || shard
//!       || for each data shard:                   be32(crc) || shard
//! ```
//!
//! Small inputs get 6+2 shards; large ones `data+parity` shards of full size, in several blocks,
//! and then the zeros at the end are not stored. `shape` has the arithmetic, `code` the
//! Reed–Solomon code, this file puts them together.
//!
//! Source: `kopia:repo/ecc/`.

mod code;
mod field;
mod shape;
#[cfg(test)]
mod tests;

use code::Code;
pub use shape::EccParameters;
use shape::{CRC_LENGTH, LENGTH_LENGTH, SMALL, Shape};

/// The one error correction of the format.
pub const REED_SOLOMON_CRC32: &str = "REED-SOLOMON-CRC32";

/// Why error correction did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EccError {
    /// The format names an error correction that does not exist.
    #[error("Unknown ECC algorithm: {name}")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// Not 1 to 100.
    #[error("invalid ECC overhead of {percent} percent: it must be between 1 and 100")]
    InvalidOverhead {
        /// The overhead as given.
        percent: i64,
    },
    /// More than the error correction can restore.
    #[error(
        "the data is damaged beyond what its error correction can restore \
         ({damaged} damaged shards in a block, {parity} can be restored); verify the repository"
    )]
    TooDamaged {
        /// Shards that fail their checksum.
        damaged: usize,
        /// Shards that can be restored.
        parity: usize,
    },
    /// The length inside contradicts the length outside.
    #[error("the error-corrected data claims {claimed} bytes but holds at most {held}")]
    InvalidLength {
        /// The length that is written in the data.
        claimed: u64,
        /// The most that the stored bytes can hold.
        held: usize,
    },
    /// Longer than its 32-bit length can say.
    #[error("{length} bytes are too long for error correction")]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
}

/// `REED-SOLOMON-CRC32` with the parameters of one repository.
pub struct ReedSolomon {
    parameters: EccParameters,
    small: Code,
    large: Code,
}

impl ReedSolomon {
    /// Prepares the code.
    pub fn new(parameters: EccParameters) -> Self {
        let large = Code::new(parameters.data_shards, parameters.parity_shards);
        Self { parameters, small: Code::new(SMALL.0, SMALL.1), large }
    }

    /// Length in bytes of what [`encode`](Self::encode) writes for `length` bytes.
    pub fn stored_length(&self, length: usize) -> usize {
        self.parameters.stored_length(length)
    }

    fn code(&self, shape: &Shape) -> &Code {
        if (shape.data, shape.parity) == SMALL { &self.small } else { &self.large }
    }

    /// Appends the protected form of `input` to `out`.
    pub fn encode(&self, input: &[u8], out: &mut Vec<u8>) -> Result<(), EccError> {
        let length =
            u32::try_from(input.len()).map_err(|_| EccError::TooLong { length: input.len() })?;
        let shape = self.parameters.shape_of_input(input.len());
        let size = shape.shard_size;

        let mut buffer = Vec::with_capacity(shape.data_bytes());
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(input);
        let used = buffer.len();
        buffer.resize(shape.data_bytes(), 0);

        out.reserve(self.stored_length(input.len()));
        let mut parity = vec![0; shape.parity * size];
        for block in buffer.chunks_exact(shape.data * size) {
            self.code(&shape).encode(block, &mut parity, size);
            for shard in parity.chunks_exact(size) {
                out.extend_from_slice(&crc32fast::hash(shard).to_be_bytes());
                out.extend_from_slice(shard);
            }
        }
        let stored = if shape.stores_padding { buffer.len() } else { used };
        for (i, shard) in buffer.chunks_exact(size).enumerate() {
            let left = stored.saturating_sub(i * size);
            if left == 0 {
                break;
            }
            out.extend_from_slice(&crc32fast::hash(shard).to_be_bytes());
            out.extend_from_slice(&shard[..size.min(left)]);
        }
        Ok(())
    }

    /// The input of [`encode`](Self::encode), with damage repaired.
    ///
    /// What comes back may still be wrong if a damaged shard happens to have the right CRC; the
    /// encryption inside finds that.
    pub fn decode(&self, stored: &[u8]) -> Result<Vec<u8>, EccError> {
        let decoded = self.decode_assuming(stored, None)?;
        if self.stored_length(decoded.len()) <= stored.len() {
            return Ok(decoded);
        }
        // Something is missing at the end that was taken for padding: once more, knowing the
        // length.
        self.decode_assuming(stored, Some(decoded.len()))
    }

    /// Decodes. Data shards behind the end of `stored` are padding, that is zeros; those that
    /// `length` bytes would reach are missing instead.
    fn decode_assuming(&self, stored: &[u8], length: Option<usize>) -> Result<Vec<u8>, EccError> {
        let shape = self.parameters.shape_of_stored(stored.len());
        let slot = CRC_LENGTH + shape.shard_size;
        let parity_end = shape.parity * shape.blocks * slot;
        let needed = length.map_or(0, |n| (LENGTH_LENGTH + n).div_ceil(shape.shard_size));

        let mut whole = stored.to_vec();
        whole.resize((shape.data + shape.parity) * shape.blocks * slot, 0);
        let (parity_part, data_part) = whole.split_at_mut(parity_end);

        let mut out = Vec::with_capacity(shape.data_bytes());
        let mut good = vec![false; shape.data + shape.parity];
        for block in 0..shape.blocks {
            let parity = &parity_part[block * shape.parity * slot..][..shape.parity * slot];
            let data = &mut data_part[block * shape.data * slot..][..shape.data * slot];
            for (i, shard) in data.chunks_exact(slot).enumerate() {
                let index = block * shape.data + i;
                let stored_here = parity_end + index * slot < stored.len();
                good[i] = if stored_here { is_intact(shard) } else { index >= needed };
            }
            if good[..shape.data].contains(&false) {
                for (i, shard) in parity.chunks_exact(slot).enumerate() {
                    good[shape.data + i] = is_intact(shard);
                }
                self.code(&shape).restore(data, parity, &good, slot, CRC_LENGTH)?;
            }
            for shard in data.chunks_exact(slot) {
                out.extend_from_slice(&shard[CRC_LENGTH..]);
            }
        }

        let held = out.len() - LENGTH_LENGTH.min(out.len());
        let claimed = match out.first_chunk::<LENGTH_LENGTH>() {
            Some(length) => u32::from_be_bytes(*length),
            None => 0,
        };
        let length = claimed as usize;
        if length > held {
            return Err(EccError::InvalidLength { claimed: claimed.into(), held });
        }
        out.truncate(LENGTH_LENGTH + length);
        out.drain(..LENGTH_LENGTH.min(out.len()));
        Ok(out)
    }
}

/// Whether `be32(crc) || shard` agrees with itself.
fn is_intact(slot: &[u8]) -> bool {
    slot.split_first_chunk::<CRC_LENGTH>()
        .is_some_and(|(crc, shard)| u32::from_be_bytes(*crc) == crc32fast::hash(shard))
}

impl std::fmt::Debug for ReedSolomon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parameters.fmt(f)
    }
}
