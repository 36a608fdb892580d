//! One S2 or Snappy block: the plaintext length as a varint, then literals and copies.

/// The plaintext length a block declares, and the bytes behind it.
pub(super) fn decoded_length(block: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0_u64;
    for (i, byte) in block.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let length = u32::try_from(length).ok()?;
            return Some((length as usize, block.get(i + 1..)?));
        }
    }
    None
}

/// Appends the plaintext of a block to `out`, at most `max` bytes; all of it or an error.
pub(super) fn decode(block: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let (length, mut rest) = decoded_length(block).ok_or("a block without length")?;
    if length > max {
        return Err("a block is too long");
    }
    let start = out.len();
    let end = start + length;
    out.reserve(length);
    let mut previous_offset = 0_usize;
    while let Some((&tag, tail)) = rest.split_first() {
        rest = tail;
        let (high, kind) = (usize::from(tag >> 2), tag & 3);
        if kind == 0 {
            let literal = match high {
                60..=63 => 1 + little_endian(&mut rest, high - 59)?,
                _ => 1 + high,
            };
            if literal > end - out.len() {
                return Err("a block is longer than it says");
            }
            let (bytes, tail) = rest.split_at_checked(literal).ok_or("a block ends too early")?;
            rest = tail;
            out.extend_from_slice(bytes);
            continue;
        }
        let (offset, copied) = match kind {
            1 => {
                let low = little_endian(&mut rest, 1)?;
                match (usize::from(tag & 0xe0) << 3) | low {
                    0 => (previous_offset, repeat_length(&mut rest, high & 7)?),
                    offset => (offset, 4 + (high & 7)),
                }
            }
            2 => (little_endian(&mut rest, 2)?, 1 + high),
            _ => (little_endian(&mut rest, 4)?, 1 + high),
        };
        if offset == 0 || offset > out.len() - start {
            return Err("a copy from before the block");
        }
        if copied > end - out.len() {
            return Err("a block is longer than it says");
        }
        previous_offset = offset;
        copy(out, offset, copied);
    }
    if out.len() == end { Ok(()) } else { Err("a block is shorter than it says") }
}

/// Appends `length` bytes that begin `offset` before the end; they may overlap what is appended.
fn copy(out: &mut Vec<u8>, offset: usize, mut length: usize) {
    let from = out.len() - offset;
    while length > 0 {
        // everything since `from` repeats, so each round can take twice as much as the last
        let part = length.min(out.len() - from);
        out.extend_from_within(from..from + part);
        length -= part;
    }
}

/// The length of an S2 repeat, from the 3 bits that are a copy's length elsewhere.
fn repeat_length(rest: &mut &[u8], code: usize) -> Result<usize, &'static str> {
    Ok(match code {
        5 => little_endian(rest, 1)? + 8,
        6 => little_endian(rest, 2)? + 260,
        7 => little_endian(rest, 3)? + 65_540,
        short => short + 4,
    })
}

/// Takes an integer of 1 to 4 bytes.
fn little_endian(rest: &mut &[u8], size: usize) -> Result<usize, &'static str> {
    let (bytes, tail) = rest.split_at_checked(size).ok_or("a block ends too early")?;
    *rest = tail;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}
