//! Arithmetic in GF(2⁸) with the polynomial 0x11D and the generator 2, by tables of logarithms.

/// Logarithms to base 2 (that of 0 is unused) and powers of 2, repeated so that the sum of two
/// logarithms is a valid index.
struct Tables {
    log: [u8; 256],
    exp: [u8; 512],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables { log: [0; 256], exp: [0; 512] };
    let mut power = 1u16;
    let mut i = 0;
    while i < 255 {
        tables.exp[i] = power as u8;
        tables.exp[i + 255] = power as u8;
        tables.log[power as usize] = i as u8;
        power <<= 1;
        if power & 0x100 != 0 {
            power ^= 0x11D;
        }
        i += 1;
    }
    tables
}

/// The product of two elements.
pub(super) fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 { 0 } else { power(log(a) + log(b)) }
}

/// The logarithm of a nonzero element, below 255.
pub(super) fn log(a: u8) -> usize {
    usize::from(TABLES.log[usize::from(a)])
}

/// 2 to the power of `exponent`.
pub(super) fn power(exponent: usize) -> u8 {
    TABLES.exp[exponent % 255]
}
