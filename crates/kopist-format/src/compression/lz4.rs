//! LZ4 frames: written by kopia up to 0.22.3, no longer read by newer ones.

use lz4_flex::frame::FrameDecoder;

use super::{CompressionError, bounded::read_all};

pub(super) fn decompress(
    name: &'static str,
    stream: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut decoder = FrameDecoder::new(stream);
    let out = read_all(name, &mut decoder, stream.len(), limit)?;
    if decoder.get_ref().is_empty() {
        Ok(out)
    } else {
        Err(CompressionError::Corrupt { name, reason: "something follows its end".into() })
    }
}
