//! The copy of the format blob at the beginning of packs, from which a lost `kopia.repository`
//! can be restored.
//!
//! ```text
//! le16(L) || C || le16(L)     C = format blob || HMAC-SHA256("kopia-repository", format blob)
//! ```
//!
//! L is the length of C. The length stands on both sides so that a copy can also be found at the
//! end of a blob. Only repositories whose password cannot change have these copies.

use aws_lc_rs::hmac;

use super::FormatError;

/// Not a secret: it only tells copies from other data.
const CHECKSUM_KEY: &[u8] = b"kopia-repository";
const CHECKSUM_LENGTH: usize = 32;
/// Longest C, in bytes.
const MAX_LENGTH: usize = 65_000;
/// How much of a blob is searched on each side, in bytes.
const MAX_SEARCHED: usize = 65_536;

/// Appends the copy of a format blob, with which a pack begins.
pub fn append_replica(format_blob: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
    let length = format_blob.len() + CHECKSUM_LENGTH;
    let too_long = FormatError::ReplicaTooLong { length: format_blob.len() };
    let Ok(short) = u16::try_from(length) else { return Err(too_long) };
    if length > MAX_LENGTH {
        return Err(too_long);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, CHECKSUM_KEY);
    out.reserve(length + 4);
    out.extend_from_slice(&short.to_le_bytes());
    out.extend_from_slice(format_blob);
    out.extend_from_slice(hmac::sign(&key, format_blob).as_ref());
    out.extend_from_slice(&short.to_le_bytes());
    Ok(())
}

/// The format blob whose copy stands at the beginning or at the end of a pack.
///
/// `pack` may be the whole pack or, to save reading, its first and last 65536 bytes one after the
/// other; not more is looked at.
pub fn find_replica(pack: &[u8]) -> Option<&[u8]> {
    at_start(&pack[..pack.len().min(MAX_SEARCHED)])
        .or_else(|| at_end(&pack[pack.len().saturating_sub(MAX_SEARCHED)..]))
}

fn at_start(chunk: &[u8]) -> Option<&[u8]> {
    let (length, rest) = chunk.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes(*length));
    // kopia wants something to follow, which is always so
    (length < rest.len()).then(|| check(rest.get(..length)?)).flatten()
}

fn at_end(chunk: &[u8]) -> Option<&[u8]> {
    let (rest, length) = chunk.split_last_chunk()?;
    let length = usize::from(u16::from_le_bytes(*length));
    (length < rest.len()).then(|| check(rest.get(rest.len() - length..)?)).flatten()
}

fn check(copy: &[u8]) -> Option<&[u8]> {
    if copy.len() > MAX_LENGTH {
        return None;
    }
    let (format_blob, checksum) = copy.split_last_chunk::<CHECKSUM_LENGTH>()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, CHECKSUM_KEY);
    hmac::verify(&key, format_blob, checksum).ok()?;
    Some(format_blob)
}
