//! S2: Snappy's framing, with blocks of up to 4 MiB that may repeat the previous copy.
//!
//! A stream is a sequence of chunks: type, length (3 bytes, little-endian), body. The first names
//! the dialect; data chunks carry a masked CRC-32C of their plaintext. There is no mark at the
//! end, so a stream cut between two chunks looks whole: the caller compares lengths.

use super::{CompressionError, first_capacity, s2_block};

/// How hard to try.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effort {
    Fast,
    Better,
}

const IDENTIFIER: u8 = 0xff;
const COMPRESSED: u8 = 0x00;
const RAW: u8 = 0x01;
const S2: &[u8] = b"S2sTwO";
const SNAPPY: &[u8] = b"sNaPpY";
const CHECKSUM: usize = 4;
const CHUNK_HEADER: usize = 4;

/// Longest plaintext of a block in each dialect.
const S2_BLOCK: usize = 4 << 20;
const SNAPPY_BLOCK: usize = 64 << 10;
/// What kopia's writer uses, and we too.
const WRITE_BLOCK: usize = 1 << 20;

/// Appends the stream, unless it takes more than `room` bytes.
pub(super) fn compress(
    name: &'static str,
    effort: Effort,
    input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<bool, CompressionError> {
    let start = out.len();
    let mut snappy = snap::raw::Encoder::new();
    chunk(out, IDENTIFIER, None, S2);
    for block in input.chunks(WRITE_BLOCK) {
        let encoded = match effort {
            // snap's blocks are plain Snappy, which is valid S2
            Effort::Fast => snappy
                .compress_vec(block)
                .map_err(|error| CompressionError::Failed { name, reason: error.to_string() })?,
            Effort::Better => minlz::encode_better(block),
        };
        // a young encoder has to prove each block
        if matches!(effort, Effort::Better) {
            let mut back = Vec::with_capacity(block.len());
            let decoded = s2_block::decode(&encoded, block.len(), &mut back);
            if decoded.is_err() || back != block {
                let reason = "a block did not give its data back".into();
                return Err(CompressionError::Failed { name, reason });
            }
        }
        let checksum = Some(masked_crc(block));
        if encoded.len() < block.len() {
            chunk(out, COMPRESSED, checksum, &encoded);
        } else {
            chunk(out, RAW, checksum, block);
        }
        if out.len() - start > room {
            return Ok(false);
        }
    }
    Ok(true)
}

fn chunk(out: &mut Vec<u8>, kind: u8, checksum: Option<u32>, body: &[u8]) {
    let checksum = checksum.map(u32::to_le_bytes);
    let checksum = checksum.as_ref().map_or(&[][..], |bytes| &bytes[..]);
    let length = (checksum.len() + body.len()) as u32; // at most a block and a bit: below 2^24
    let [l0, l1, l2, _] = length.to_le_bytes();
    out.extend([kind, l0, l1, l2]);
    out.extend_from_slice(checksum);
    out.extend_from_slice(body);
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Decodes a stream of either dialect.
pub(super) fn decompress(
    name: &'static str,
    stream: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let corrupt = |reason: &str| CompressionError::Corrupt { name, reason: reason.into() };
    let mut out = Vec::new();
    out.try_reserve(first_capacity(limit, stream.len()))
        .map_err(|_| CompressionError::OutOfMemory { name })?;
    let mut rest = stream;
    let mut max_block = None;
    while let Some((&[kind, l0, l1, l2], tail)) = rest.split_first_chunk::<CHUNK_HEADER>() {
        let length = u32::from_le_bytes([l0, l1, l2, 0]) as usize;
        let (body, tail) = tail.split_at_checked(length).ok_or(corrupt("it ends in a chunk"))?;
        rest = tail;
        let max = match (kind, max_block) {
            (IDENTIFIER, _) => {
                max_block = Some(match body {
                    S2 => S2_BLOCK,
                    SNAPPY => SNAPPY_BLOCK,
                    _ => return Err(corrupt("its identifier is neither S2's nor Snappy's")),
                });
                continue;
            }
            (_, Some(max)) => max,
            (_, None) => return Err(corrupt("it does not begin with an identifier")),
        };
        match kind {
            COMPRESSED | RAW => {
                let (checksum, data) =
                    body.split_first_chunk::<CHECKSUM>().ok_or(corrupt("a chunk is too short"))?;
                let start = out.len();
                let length = if kind == RAW {
                    data.len()
                } else {
                    s2_block::decoded_length(data).ok_or(corrupt("a block without length"))?.0
                };
                if length > max {
                    return Err(corrupt("a block is too long"));
                }
                if length > limit - start {
                    return Err(CompressionError::TooLong { name, limit });
                }
                out.try_reserve(length).map_err(|_| CompressionError::OutOfMemory { name })?;
                if kind == RAW {
                    out.extend_from_slice(data);
                } else {
                    s2_block::decode(data, max, &mut out).map_err(corrupt)?;
                }
                let plain = out.get(start..).unwrap_or_default();
                if masked_crc(plain) != u32::from_le_bytes(*checksum) {
                    return Err(corrupt("a block has a wrong checksum"));
                }
            }
            0x02..=0x7f => return Err(corrupt("a chunk of unknown type")),
            _ => {} // padding, index, reserved
        }
    }
    if rest.is_empty() { Ok(out) } else { Err(corrupt("it ends in a chunk")) }
}
