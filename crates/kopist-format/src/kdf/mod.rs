//! From the password to keys.
//!
//! ```text
//! password --scrypt or PBKDF2, salt = unique id--> format key --HKDF--> key and AAD of the format blob
//! master key or format key --HKDF, info = purpose--> purpose keys (maintenance schedule, local cache)
//! master key --HKDF, salt = purpose--> key of the content encryption (in `encryption`)
//! ```
//!
//! Note that the content encryption passes its purpose as HKDF's salt, everything else as info
//! with the unique id as salt.
//!
//! Sources: `kopia:internal/crypto/`, `kopia:repo/encryption/encryption.go`.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(test)]
mod tests;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Derivation of a repository created without a choice.
pub const DEFAULT_KEY_DERIVATION: &str = "scrypt-65536-8-1";
/// The other derivation.
pub const PBKDF2_KEY_DERIVATION: &str = "pbkdf2-sha256-600000";

/// Shortest unique id (which is the salt) in bytes.
pub const MIN_SALT_LENGTH: usize = 16;

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// The format blob names a derivation that does not exist.
    #[error("unsupported key derivation algorithm: {name}")]
    Unsupported {
        /// The name as given.
        name: String,
    },
    /// The unique id of the repository is too short to be a salt.
    #[error("required salt size is at least 16 bytes, the repository's unique id has {length}")]
    ShortSalt {
        /// Length of the unique id in bytes.
        length: usize,
    },
    /// There is no key to derive another from.
    #[error("cannot derive the key for {purpose:?}: empty key: invalid primary key")]
    EmptyKey {
        /// What the key was for.
        purpose: String,
    },
    /// Longer than HKDF can give.
    #[error("cannot derive a key of {length} bytes")]
    TooLong {
        /// The wanted length.
        length: usize,
    },
    /// The derivation itself failed.
    #[error("key derivation {name} failed: {reason}")]
    Failed {
        /// The derivation.
        name: String,
        /// What its implementation says.
        reason: String,
    },
}

/// The key that a password stands for; opens the format blob. 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct FormatKey(Zeroizing<[u8; 32]>);

impl FormatKey {
    /// A key derived earlier.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for FormatKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormatKey([REDACTED])")
    }
}

/// The names that [`derive_format_key`] knows.
pub fn key_derivations() -> [&'static str; 2] {
    [PBKDF2_KEY_DERIVATION, DEFAULT_KEY_DERIVATION]
}

/// Derives the format key from the password, whose bytes are taken as they are.
///
/// Slow on purpose: scrypt takes some 0.2 s and 64 MiB, so keep the key while the repository is
/// open.
pub fn derive_format_key(
    algorithm: &str,
    password: &SecretString,
    unique_id: &[u8],
) -> Result<FormatKey, KdfError> {
    let failed = |reason: String| KdfError::Failed { name: algorithm.to_owned(), reason };
    if !key_derivations().contains(&algorithm) {
        return Err(KdfError::Unsupported { name: algorithm.to_owned() });
    }
    if unique_id.len() < MIN_SALT_LENGTH {
        return Err(KdfError::ShortSalt { length: unique_id.len() });
    }
    let password = password.expose_secret().as_bytes();
    let mut key = Zeroizing::new([0; 32]);
    if algorithm == PBKDF2_KEY_DERIVATION {
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, unique_id, 600_000, &mut *key);
    } else if !derive_quickly(password, unique_id, &mut key) {
        let params = scrypt::Params::new(16, 8, 1).map_err(|e| failed(e.to_string()))?;
        scrypt::scrypt(password, unique_id, &params, &mut *key)
            .map_err(|e| failed(e.to_string()))?;
    }
    Ok(FormatKey(key))
}

/// scrypt with N = 65536, r = 8 and p = 1 in half the time, where the processor and the memory
/// allow it; `false` where they do not.
#[cfg(target_arch = "x86_64")]
fn derive_quickly(password: &[u8], salt: &[u8], key: &mut [u8; 32]) -> bool {
    if !(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")) {
        return false;
    }
    let mut block = Zeroizing::new([0; 1024]);
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, 1, &mut *block);
    // SAFETY: all that the function asks for is a processor with these two features.
    #[allow(unsafe_code)]
    let mixed = unsafe { avx512::mix(&mut block) };
    if mixed.is_none() {
        return false;
    }
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, &*block, 1, key);
    true
}

#[cfg(not(target_arch = "x86_64"))]
fn derive_quickly(_: &[u8], _: &[u8], _: &mut [u8; 32]) -> bool {
    false
}

/// HKDF-SHA256 with the unique id as salt and the purpose as info: `length` bytes, wiped when
/// dropped.
pub fn purpose_key(
    base: &[u8],
    unique_id: &[u8],
    purpose: &str,
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, KdfError> {
    if base.is_empty() {
        return Err(KdfError::EmptyKey { purpose: purpose.to_owned() });
    }
    let too_long = KdfError::TooLong { length };
    if length > 255 * 32 {
        return Err(too_long);
    }
    let mut key = Zeroizing::new(vec![0; length]);
    hkdf::Hkdf::<sha2::Sha256>::new(Some(unique_id), base)
        .expand(purpose.as_bytes(), &mut key)
        .map_err(|_| too_long)?;
    Ok(key)
}

/// The same as a fixed array.
pub(crate) fn purpose_key_array<const N: usize>(
    base: &[u8],
    unique_id: &[u8],
    purpose: &str,
) -> Result<Zeroizing<[u8; N]>, KdfError> {
    let mut key = Zeroizing::new([0; N]);
    key.copy_from_slice(&purpose_key(base, unique_id, purpose, N)?);
    Ok(key)
}
