//! The hash of a content: 1 to 32 bytes.

use std::{fmt, str::FromStr};

use super::{IdError, excerpt};

/// Longest hash of the format, in bytes.
pub const MAX_HASH_LENGTH: usize = 32;

/// The keyed hash of some plaintext, 1 to 32 bytes (16, 28 or 32 in real repositories).
///
/// Order is that of the bytes; the text form is lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    // Bytes past `len` are zero, so that the derived order equals the order of the slices.
    bytes: [u8; MAX_HASH_LENGTH],
    len: u8,
}

impl Hash {
    /// A hash of these bytes; 1 to 32 of them.
    pub fn new(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.is_empty() {
            return Err(IdError::Empty);
        }
        let mut out = Self { bytes: [0; MAX_HASH_LENGTH], len: bytes.len() as u8 };
        out.bytes
            .get_mut(..bytes.len())
            .ok_or(IdError::TooLong { bytes: bytes.len() })?
            .copy_from_slice(bytes);
        Ok(out)
    }

    /// The first `keep` bytes of a digest; `keep` comes from the table of algorithms.
    pub(crate) fn truncated(digest: &[u8; MAX_HASH_LENGTH], keep: usize) -> Self {
        let mut bytes = *digest;
        bytes[keep..].fill(0);
        Self { bytes, len: keep as u8 }
    }

    /// The bytes of the hash.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a hash is never empty")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The last 16 bytes, which the encryption takes as IV; all bytes of a shorter hash.
    pub fn iv(&self) -> &[u8] {
        let bytes = self.as_slice();
        &bytes[bytes.len().saturating_sub(16)..]
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_slice())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0; MAX_HASH_LENGTH];
        let len = read_hex(text, text, &mut bytes)?;
        Self::new(&bytes[..len])
    }
}

super::serde_as_text!(Hash);

/// Writes at most 32 bytes as lower-case hexadecimal.
pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut text = [0; 2 * MAX_HASH_LENGTH];
    let text = text.get_mut(..2 * bytes.len()).ok_or(fmt::Error)?;
    hex::encode_to_slice(bytes, text).map_err(|_| fmt::Error)?;
    f.write_str(std::str::from_utf8(text).map_err(|_| fmt::Error)?)
}

/// Reads hexadecimal digits of either case; `whole` is the id they are part of, for the message.
pub(super) fn read_hex(
    digits: &str,
    whole: &str,
    out: &mut [u8; MAX_HASH_LENGTH],
) -> Result<usize, IdError> {
    let len = digits.len() / 2;
    let out = out.get_mut(..len).ok_or(IdError::TooLong { bytes: len })?;
    hex::decode_to_slice(digits, out).map_err(|_| IdError::InvalidHash { text: excerpt(whole) })?;
    Ok(len)
}
