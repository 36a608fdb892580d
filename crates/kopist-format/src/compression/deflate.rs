//! gzip (also pgzip) and bare DEFLATE.

use std::io::Write;

use flate2::{
    Compression, Decompress, FlushDecompress, Status,
    bufread::MultiGzDecoder,
    write::{DeflateEncoder, GzEncoder},
};

use super::{
    CompressionError,
    bounded::{Bounded, read_all},
    first_capacity,
};

/// How hard to try.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Default,
    Fast,
    Best,
}

impl Level {
    fn compression(self) -> Compression {
        Compression::new(match self {
            Self::Default => 6,
            Self::Fast => 1,
            Self::Best => 9,
        })
    }
}

pub(super) fn gzip(
    name: &'static str,
    level: Level,
    input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<bool, CompressionError> {
    let mut bounded = Bounded { out, room, overflow: false };
    let mut encoder = GzEncoder::new(&mut bounded, level.compression());
    let result = encoder.write_all(input).and_then(|()| encoder.try_finish());
    drop(encoder);
    outcome(name, &result, &bounded)
}

pub(super) fn deflate(
    name: &'static str,
    level: Level,
    input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<bool, CompressionError> {
    let mut bounded = Bounded { out, room, overflow: false };
    let mut encoder = DeflateEncoder::new(&mut bounded, level.compression());
    let result = encoder.write_all(input).and_then(|()| encoder.try_finish());
    drop(encoder);
    outcome(name, &result, &bounded)
}

/// Running out of room means that compressing does not save; other failures are failures.
fn outcome(
    name: &'static str,
    result: &std::io::Result<()>,
    bounded: &Bounded<'_>,
) -> Result<bool, CompressionError> {
    match result {
        Ok(()) if !bounded.overflow => Ok(true),
        _ if bounded.overflow => Ok(false),
        Err(error) => Err(CompressionError::Failed { name, reason: error.to_string() }),
        Ok(()) => Ok(false),
    }
}

/// One or several members; what follows the last one must be another member, as in Go.
pub(super) fn gunzip(
    name: &'static str,
    stream: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    if stream.is_empty() {
        return Err(CompressionError::Corrupt { name, reason: "it is empty".into() });
    }
    read_all(name, &mut MultiGzDecoder::new(stream), stream.len(), limit)
}

/// What follows the final block is ignored, as in Go; its absence is not.
pub(super) fn inflate(
    name: &'static str,
    stream: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let corrupt = |reason: String| CompressionError::Corrupt { name, reason };
    let mut state = Decompress::new(false);
    let mut out = Vec::new();
    let mut room = first_capacity(limit, stream.len()).max(1);
    loop {
        out.try_reserve_exact(room).map_err(|_| CompressionError::OutOfMemory { name })?;
        let rest = stream.get(state.total_in() as usize..).unwrap_or_default();
        let before = (state.total_in(), out.len());
        let status = state
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|error| corrupt(error.to_string()))?;
        if out.len() > limit {
            return Err(CompressionError::TooLong { name, limit });
        }
        match status {
            Status::StreamEnd => return Ok(out),
            // full output: the next round has more room, one byte more than the limit at last
            _ if out.len() == out.capacity() => {
                room = out.len().min(limit - out.len()).max(1);
            }
            _ if (state.total_in(), out.len()) == before => {
                return Err(corrupt("it ends too early".into()));
            }
            _ => room = 0,
        }
    }
}
