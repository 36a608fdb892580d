//! The Reed–Solomon code, seen as interpolation.
//!
//! For each byte position the data shards' bytes are taken as the values of a polynomial (of
//! degree below `data`) at the points 0, 1, …, data−1 of GF(2⁸); the parity shards' bytes are its
//! values at the next points data, data+1, …. Any `data` shards determine the polynomial and so
//! all others: encoding and restoring are the same sum,
//!
//! ```text
//! value at x = Σ over known points k of  L(k, x) · value at k,   L(k, x) = Π (x−j)/(k−j), j ≠ k
//! ```
//!
//! This is the code that other libraries describe as a Vandermonde matrix times the inverse of
//! its upper square: row x of that product consists of just these `L(k, x)`.

use super::{
    EccError,
    field::{log, multiply, power},
};

/// A code of `data + parity` shards, at most 256.
pub(super) struct Code {
    data: usize,
    parity: usize,
    /// For each group of up to eight parity shards and each data shard its products.
    groups: Vec<Vec<Products>>,
}

/// For one data shard the products of its byte with eight coefficients, one in each byte of a
/// `u64`, as tables by the low and the high half of the byte: 256 bytes, so that those of all
/// shards stay in the first-level cache.
#[derive(Clone, Copy)]
struct Products {
    low: [u64; 16],
    high: [u64; 16],
}

impl Products {
    fn new(coefficients: [u8; 8]) -> Self {
        let row = |byte: u8| u64::from_le_bytes(coefficients.map(|c| multiply(c, byte)));
        Self {
            low: std::array::from_fn(|i| row(i as u8)),
            high: std::array::from_fn(|i| row((i as u8) << 4)),
        }
    }

    fn of(&self, byte: u8) -> u64 {
        self.low[usize::from(byte & 15)] ^ self.high[usize::from(byte >> 4)]
    }
}

impl Code {
    /// `data + parity` must be at most 256; the callers' arithmetic guarantees it.
    pub(super) fn new(data: usize, parity: usize) -> Self {
        let points: Vec<u8> = (0..data).map(|i| i as u8).collect();
        let rows: Vec<Vec<u8>> =
            (data..data + parity).map(|x| coefficients(&points, x as u8)).collect();
        let groups = rows
            .chunks(8)
            .map(|group| {
                (0..data)
                    .map(|k| {
                        let mut column = [0; 8];
                        for (coefficient, row) in column.iter_mut().zip(group) {
                            *coefficient = row[k];
                        }
                        Products::new(column)
                    })
                    .collect()
            })
            .collect();
        Self { data, parity, groups }
    }

    /// Computes the parity shards of one block of data shards, all of `size` bytes.
    pub(super) fn encode(&self, data: &[u8], parity: &mut [u8], size: usize) {
        let mut sums = vec![0u64; size];
        for (group, parity) in self.groups.iter().zip(parity.chunks_mut(8 * size)) {
            sums.fill(0);
            for (products, shard) in group.iter().zip(data.chunks_exact(size)) {
                for (sum, &byte) in sums.iter_mut().zip(shard) {
                    *sum ^= products.of(byte);
                }
            }
            for (i, shard) in parity.chunks_exact_mut(size).enumerate() {
                for (byte, sum) in shard.iter_mut().zip(&sums) {
                    *byte = (sum >> (8 * i)) as u8;
                }
            }
        }
    }

    /// Restores the data shards that are not `good` (data shards first, then parity). Shards stand
    /// in slots of `slot` bytes, `skip` bytes in front of each are not part of the code.
    pub(super) fn restore(
        &self,
        data: &mut [u8],
        parity: &[u8],
        good: &[bool],
        slot: usize,
        skip: usize,
    ) -> Result<(), EccError> {
        let known: Vec<u8> = (0..self.data + self.parity)
            .filter(|&i| good[i])
            .map(|i| i as u8)
            .take(self.data)
            .collect();
        if known.len() < self.data {
            let damaged = good.iter().filter(|good| !**good).count();
            return Err(EccError::TooDamaged { damaged, parity: self.parity });
        }
        let mut restored = vec![0; slot - skip];
        for lost in (0..self.data).filter(|&i| !good[i]) {
            restored.fill(0);
            for (&point, coefficient) in known.iter().zip(coefficients(&known, lost as u8)) {
                let point = usize::from(point);
                let shard = match point.checked_sub(self.data) {
                    None => &data[point * slot..],
                    Some(row) => &parity[row * slot..],
                };
                let products: [u8; 256] =
                    std::array::from_fn(|byte| multiply(coefficient, byte as u8));
                for (sum, &byte) in restored.iter_mut().zip(&shard[skip..slot]) {
                    *sum ^= products[usize::from(byte)];
                }
            }
            data[lost * slot + skip..][..slot - skip].copy_from_slice(&restored);
        }
        Ok(())
    }
}

/// `L(k, x)` for each of the `points` k; `x` is not one of them.
fn coefficients(points: &[u8], x: u8) -> Vec<u8> {
    // In this field subtraction is exclusive or.
    let numerator: usize = points.iter().map(|&j| log(x ^ j)).sum();
    points
        .iter()
        .map(|&k| {
            let others = points.iter().filter(|&&j| j != k);
            let denominator = log(x ^ k) + others.map(|&j| log(k ^ j)).sum::<usize>();
            // −d ≡ 254·d modulo 255, the order of the field's units
            power(numerator + 254 * denominator)
        })
        .collect()
}
