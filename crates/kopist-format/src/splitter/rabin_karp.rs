//! Rabin-Karp: the window as a polynomial over GF(2), modulo one of degree 53.

use super::scan::{Rolling, WINDOW};

const POLYNOMIAL: u64 = 0x002e_3e3e_4a30_5605;
const DEGREE: u32 = 53;
/// The byte of the value that leaves it on the next shift by 8.
const TOP_SHIFT: u32 = DEGREE - 8;

/// What a byte contributes when it leaves: byte · x^(8 · 63).
pub(super) static OUT: [u64; 256] = out_table();
/// What takes a byte back below the degree after a shift: (byte · x^53 mod P) with byte · x^53.
pub(super) static MOD: [u64; 256] = mod_table();

/// value · x mod P.
const fn times_x(value: u64) -> u64 {
    let value = value << 1;
    if value >> DEGREE == 0 { value } else { value ^ POLYNOMIAL }
}

const fn times_x_to(mut value: u64, power: usize) -> u64 {
    let mut i = 0;
    while i < power {
        value = times_x(value);
        i += 1;
    }
    value
}

const fn out_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = times_x_to(byte as u64, 8 * (WINDOW - 1));
        byte += 1;
    }
    table
}

const fn mod_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = times_x_to(byte as u64, DEGREE as usize) | ((byte as u64) << DEGREE);
        byte += 1;
    }
    table
}

/// Value of the window, below x^53.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RabinKarp(pub(super) u64);

impl Rolling for RabinKarp {
    fn push(&mut self, entering: u8) {
        let top = (self.0 >> TOP_SHIFT) as u8;
        self.0 = ((self.0 << 8) | u64::from(entering)) ^ MOD[usize::from(top)];
    }

    fn roll(&mut self, leaving: u8, entering: u8) {
        self.0 ^= OUT[usize::from(leaving)];
        self.push(entering);
    }

    fn hits(self, mask: u64) -> bool {
        self.0 & mask == 0
    }
}
