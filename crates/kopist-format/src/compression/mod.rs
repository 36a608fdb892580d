//! Compression of contents: a 4-byte header that names the algorithm, then its stream.
//!
//! [`Compressor`] is one row of the registry below, [`decompress`] reads any of them. Reading is
//! as strict as kopia's: truncation, trailing garbage and wrong checksums are errors, and the
//! output never grows beyond the limit that the caller gives (the length in the index entry).
//! Compressed bytes need not equal kopia's, since ids are hashes of the plaintext; only their
//! form must be one that kopia reads.
//!
//! ```
//! use kopist_format::compression::{Compressor, decompress};
//! let text = b"the same again, ".repeat(100);
//! let zstd = Compressor::by_name("zstd").unwrap();
//! let mut framed = Vec::new();
//! assert!(zstd.compress(&text, &mut framed)?);
//! assert_eq!(framed[..4], 0x1100_u32.to_be_bytes());
//! assert_eq!(decompress(&framed, Some(zstd.header()), text.len())?, text);
//! # Ok::<(), kopist_format::compression::CompressionError>(())
//! ```
//!
//! Sources: `kopia:repo/compression/`, `kopia:repo/content/content_manager_lock_free.go`.

mod bounded;
mod deflate;
mod lz4;
mod s2;
mod s2_block;
#[cfg(test)]
mod tests;
mod zstd;

/// Length of the header in front of the stream.
pub const HEADER_LENGTH: usize = 4;

/// Why something cannot be compressed or decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// A header id that this program does not know.
    #[error("unsupported compressor {header:x}: a newer program may have written this")]
    Unknown {
        /// The header id.
        header: u32,
    },
    /// Fewer than four bytes.
    #[error("compressed data of {length} bytes is too short for its header")]
    MissingHeader {
        /// Length of the data.
        length: usize,
    },
    /// The data names another algorithm than the index.
    #[error("invalid compression header, expected {expected:x} but got {found:x}")]
    HeaderMismatch {
        /// What the index says.
        expected: u32,
        /// What the data says.
        found: u32,
    },
    /// The algorithm can be read, but kopia no longer reads it.
    #[error("compression with {name} is no longer supported: choose another compressor")]
    ReadOnly {
        /// Name of the algorithm.
        name: &'static str,
    },
    /// The stream is damaged.
    #[error("damaged {name} stream: {reason}")]
    Corrupt {
        /// Name of the algorithm.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The stream holds more than it should.
    #[error("damaged {name} stream: it decompresses to more than {limit} bytes")]
    TooLong {
        /// Name of the algorithm.
        name: &'static str,
        /// What the caller allowed.
        limit: usize,
    },
    /// There is no memory for the output, or for the state of the algorithm.
    #[error("not enough memory to run {name}")]
    OutOfMemory {
        /// Name of the algorithm.
        name: &'static str,
    },
    /// The compressor failed, or its output did not give the input back.
    #[error("cannot compress with {name}: {reason}")]
    Failed {
        /// Name of the algorithm.
        name: &'static str,
        /// What it said.
        reason: String,
    },
}

/// One algorithm at one setting.
#[derive(Debug)]
struct Row {
    name: &'static str,
    header: u32,
    codec: Codec,
    status: Status,
}

/// What makes the stream.
#[derive(Debug, Clone, Copy)]
enum Codec {
    /// gzip members; also pgzip, which is gzip made in parallel.
    Gzip(deflate::Level),
    /// Bare DEFLATE.
    Deflate(deflate::Level),
    /// Zstandard at a level of libzstd.
    Zstd(i32),
    /// Snappy framing with S2 blocks.
    S2(s2::Effort),
    Lz4,
}

/// What may be done with an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Reads and writes.
    Current,
    /// Reads and writes, but is not offered.
    Deprecated,
    /// Only reads.
    ReadOnly,
}

const fn row(name: &'static str, header: u32, codec: Codec) -> Row {
    Row { name, header, codec, status: Status::Current }
}

use deflate::Level::{Best, Default as Normal, Fast};

/// All algorithms. Levels of zstd are those of libzstd whose ratio is nearest to (and not below)
/// what kopia's own encoder reaches.
static REGISTRY: [Row; 18] = [
    row("gzip", 0x1000, Codec::Gzip(Normal)),
    row("gzip-best-speed", 0x1001, Codec::Gzip(Fast)),
    row("gzip-best-compression", 0x1002, Codec::Gzip(Best)),
    row("zstd", 0x1100, Codec::Zstd(3)),
    row("zstd-fastest", 0x1101, Codec::Zstd(2)),
    row("zstd-better-compression", 0x1102, Codec::Zstd(7)),
    Row {
        name: "zstd-best-compression",
        header: 0x1103,
        codec: Codec::Zstd(12),
        status: Status::Deprecated,
    },
    row("s2-default", 0x1200, Codec::S2(s2::Effort::Fast)),
    row("s2-better", 0x1201, Codec::S2(s2::Effort::Better)),
    row("s2-parallel-4", 0x1202, Codec::S2(s2::Effort::Fast)),
    row("s2-parallel-8", 0x1203, Codec::S2(s2::Effort::Fast)),
    row("pgzip", 0x1300, Codec::Gzip(Normal)),
    row("pgzip-best-speed", 0x1301, Codec::Gzip(Fast)),
    row("pgzip-best-compression", 0x1302, Codec::Gzip(Best)),
    Row { name: "lz4", header: 0x1400, codec: Codec::Lz4, status: Status::ReadOnly },
    row("deflate-default", 0x1500, Codec::Deflate(Normal)),
    row("deflate-best-speed", 0x1501, Codec::Deflate(Fast)),
    row("deflate-best-compression", 0x1502, Codec::Deflate(Best)),
];

/// An algorithm at one setting, known by its header id.
#[derive(Clone, Copy)]
pub struct Compressor(&'static Row);

impl Compressor {
    /// The compressor of a policy. `None` for a name nobody knows, which kopia takes as no
    /// compression.
    pub fn by_name(name: &str) -> Option<Self> {
        REGISTRY.iter().find(|row| row.name == name).map(Self)
    }

    /// The compressor of an index entry.
    pub fn by_header(header: u32) -> Result<Self, CompressionError> {
        let row = REGISTRY.iter().find(|row| row.header == header);
        row.map(Self).ok_or(CompressionError::Unknown { header })
    }

    /// All compressors, in order of their header ids.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        REGISTRY.iter().map(Self)
    }

    /// The name that policies use.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The header id: first four bytes of compressed data, big-endian, and a field of the index.
    pub fn header(self) -> u32 {
        self.0.header
    }

    /// What may be done with it.
    pub fn status(self) -> Status {
        self.0.status
    }

    /// Appends header and stream to `out` and returns true; or, if that would not be shorter than
    /// the input, leaves `out` alone and returns false: the input is then stored as it is.
    ///
    /// # Errors
    /// If kopia no longer reads this algorithm (`lz4`), or if there is no memory.
    pub fn compress(self, input: &[u8], out: &mut Vec<u8>) -> Result<bool, CompressionError> {
        let name = self.0.name;
        if self.0.status == Status::ReadOnly {
            return Err(CompressionError::ReadOnly { name });
        }
        // the stream must save at least one byte after the header
        let Some(room) = input.len().checked_sub(HEADER_LENGTH + 1) else { return Ok(false) };
        let start = out.len();
        out.extend(self.0.header.to_be_bytes());
        let saved = match self.0.codec {
            Codec::Gzip(level) => deflate::gzip(name, level, input, room, out),
            Codec::Deflate(level) => deflate::deflate(name, level, input, room, out),
            Codec::Zstd(level) => zstd::compress(name, level, input, room, out),
            Codec::S2(effort) => s2::compress(name, effort, input, room, out),
            Codec::Lz4 => Err(CompressionError::ReadOnly { name }),
        };
        if !matches!(saved, Ok(true)) {
            out.truncate(start);
        }
        saved
    }
}

impl PartialEq for Compressor {
    fn eq(&self, other: &Self) -> bool {
        self.0.header == other.0.header
    }
}

impl Eq for Compressor {}

impl std::hash::Hash for Compressor {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.header.hash(state);
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl std::fmt::Display for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0.name)
    }
}

/// The header id of compressed data and the stream behind it.
pub fn split_header(framed: &[u8]) -> Result<(u32, &[u8]), CompressionError> {
    match framed.split_first_chunk::<HEADER_LENGTH>() {
        Some((header, stream)) => Ok((u32::from_be_bytes(*header), stream)),
        None => Err(CompressionError::MissingHeader { length: framed.len() }),
    }
}

/// Decompresses header and stream into at most `limit` bytes.
///
/// `expected_header` is the header id of the index entry; contents compressed at object level
/// (`Z`) have none. The caller compares the length of the result with what it expects, since some
/// streams (s2) do not tell that their end is missing.
///
/// # Errors
/// If the header is unknown or not the expected one, the stream is damaged, or the limit is
/// passed. Memory stays below about `limit` plus a few MiB, whatever the stream says.
pub fn decompress(
    framed: &[u8],
    expected_header: Option<u32>,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let (found, stream) = split_header(framed)?;
    if let Some(expected) = expected_header.filter(|expected| *expected != found) {
        return Err(CompressionError::HeaderMismatch { expected, found });
    }
    let Row { name, codec, .. } = Compressor::by_header(found)?.0;
    let out = match codec {
        Codec::Gzip(_) => deflate::gunzip(name, stream, limit),
        Codec::Deflate(_) => deflate::inflate(name, stream, limit),
        Codec::Zstd(_) => zstd::decompress(name, stream, limit),
        Codec::S2(_) => s2::decompress(name, stream, limit),
        Codec::Lz4 => lz4::decompress(name, stream, limit),
    };
    out.map(trimmed)
}

/// Limits up to this are taken as the length of the output: that of any content but the largest.
const PLAUSIBLE_LIMIT: usize = 8 << 20;

/// Capacity to start with: the limit if it is plausible, else some multiple of the input.
fn first_capacity(limit: usize, input: usize) -> usize {
    limit.min(input.saturating_mul(8).max(PLAUSIBLE_LIMIT))
}

/// Gives memory back that a limit far above the output has taken.
fn trimmed(mut out: Vec<u8>) -> Vec<u8> {
    if out.capacity() / 2 > out.len() {
        out.shrink_to_fit();
    }
    out
}
