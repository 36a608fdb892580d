//! Blobs that are encrypted as a whole: indexes, session markers, logs.
//!
//! Such a blob is named after its payload's hash, and encrypted like a content with the last 16
//! bytes of that hash as IV, which a reader takes from the name:
//!
//! ```text
//! name = prefix || hex(hash(payload)) [|| "-" || suffix]
//! IV   = the 32 hexadecimal digits in front of the first "-"
//! ```
//!
//! Source: `kopia:internal/blobcrypto/blob_crypto.go`.

#[cfg(test)]
mod tests;

use crate::{
    encryption::{ContentCipher, EncryptionError},
    hashing::ContentHasher,
};

/// Why a blob cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobCryptoError {
    /// Too short to have an IV in it.
    #[error("blob id too short: {name:?}")]
    NameTooShort {
        /// The name.
        name: String,
    },
    /// Something else than hexadecimal digits where the IV should be.
    #[error("invalid blob ID: {name:?} has no hash in it")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The encryption; on opening mostly damage.
    #[error("blob {name}: {source}")]
    Encryption {
        /// The name, or its prefix if it was to be made.
        name: String,
        /// What happened.
        source: EncryptionError,
    },
}

/// The name and the body of a blob with this payload; `suffix` may be empty.
///
/// The same payload gives the same name again (with another body, as nonces are random).
pub fn seal_blob(
    hasher: &ContentHasher,
    cipher: &ContentCipher,
    payload: &[u8],
    prefix: &str,
    suffix: &str,
) -> Result<(String, Vec<u8>), BlobCryptoError> {
    let hash = hasher.hash(payload);
    let separator = if suffix.is_empty() { "" } else { "-" };
    let name = format!("{prefix}{hash}{separator}{suffix}");
    let mut body = Vec::with_capacity(cipher.sealed_length(payload.len()));
    // Taken from the name, as readers do, so that a prefix with a dash is found at once.
    let iv = iv_of_name(&name)?;
    cipher
        .seal(payload, &iv, &mut body)
        .map_err(|source| BlobCryptoError::Encryption { name: prefix.to_owned(), source })?;
    Ok((name, body))
}

/// The payload of the blob with this name and body.
pub fn open_blob(
    cipher: &ContentCipher,
    name: &str,
    body: &[u8],
) -> Result<Vec<u8>, BlobCryptoError> {
    cipher
        .open(body, &iv_of_name(name)?)
        .map_err(|source| BlobCryptoError::Encryption { name: name.to_owned(), source })
}

/// The IV in a blob's name.
pub fn iv_of_name(name: &str) -> Result<[u8; 16], BlobCryptoError> {
    let head = name.split('-').next().unwrap_or(name);
    let start = head
        .len()
        .checked_sub(32)
        .ok_or_else(|| BlobCryptoError::NameTooShort { name: name.to_owned() })?;
    let mut iv = [0; 16];
    hex::decode_to_slice(&head.as_bytes()[start..], &mut iv)
        .map_err(|_| BlobCryptoError::InvalidName { name: name.to_owned() })?;
    Ok(iv)
}
