//! Encryption of contents and of whole blobs.
//!
//! Each piece of data has an IV (in kopia also called content id): for a content the last 16
//! bytes of its hash, for an index inside a pack the whole hash, for a blob the 16 bytes in its
//! name. The IV gives the piece a key of its own, `HMAC-SHA256(secret, IV)`, and is authenticated
//! with it, so that no piece can be passed off as another:
//!
//! ```text
//! sealed = nonce (12 random bytes) || AEAD(key, nonce, plaintext, aad = IV) || tag (16)
//! ```
//!
//! If the repository has error correction, [`ecc`](crate::ecc) is applied to the sealed bytes.
//!
//! Source: `kopia:repo/encryption/`.

pub(crate) mod aead;
#[cfg(test)]
mod tests;

use aead::{Aead, OVERHEAD};
use zeroize::Zeroizing;

use crate::ecc::{EccError, EccParameters, ReedSolomon};

/// Encryption of a repository created without a choice.
pub const DEFAULT_ENCRYPTION: &str = "AES256-GCM-HMAC-SHA256";

/// Room in front of a plaintext that is sealed in place.
pub const SEAL_HEAD: usize = aead::NONCE_LENGTH;
/// Room behind it.
pub const SEAL_TAIL: usize = aead::TAG_LENGTH;

/// Every encryption of the format.
const ALGORITHMS: [(&str, Aead); 2] = [
    ("AES256-GCM-HMAC-SHA256", Aead::Aes256Gcm),
    ("CHACHA20-POLY1305-HMAC-SHA256", Aead::ChaCha20Poly1305),
];

/// Why something cannot be encrypted or decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The format names an encryption that does not exist (or that kopia removed long ago).
    #[error("unknown encryption algorithm: {name}")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// Shorter than a nonce and a tag.
    #[error("invalid encrypted data: {length} bytes are shorter than the minimum of 28")]
    TooShort {
        /// Length in bytes.
        length: usize,
    },
    /// Damaged, exchanged for something else, or encrypted with another key.
    #[error(
        "unable to decrypt: the data is damaged or was encrypted with another key; \
         verify the repository"
    )]
    Authentication,
    /// The master key is empty or unusable.
    #[error("invalid encryption key: the repository's master key is missing or damaged")]
    InvalidKey,
    /// The system gives no random bytes, or the cipher refuses to work.
    #[error("unable to encrypt: the system's random generator or the cipher failed")]
    Seal,
    /// The error correction cannot be set up, or has more damage than it can repair.
    #[error(transparent)]
    Ecc(#[from] EccError),
}

/// The names of all encryptions.
pub fn encryptions() -> impl Iterator<Item = &'static str> {
    ALGORITHMS.iter().map(|(name, _)| *name)
}

/// Encrypts and decrypts the contents and blobs of one repository, from any number of threads.
pub struct ContentCipher {
    name: &'static str,
    aead: Aead,
    /// Turns an IV into a key; wiped when dropped, as are the keys it gives.
    keys: aws_lc_rs::hmac::Key,
    ecc: Option<ReedSolomon>,
}

impl ContentCipher {
    /// Prepares the encryption of this name with the repository's master key.
    pub fn new(
        encryption: &str,
        master_key: &[u8],
        ecc: Option<EccParameters>,
    ) -> Result<Self, EncryptionError> {
        let (name, aead) = ALGORITHMS
            .into_iter()
            .find(|(name, _)| *name == encryption)
            .ok_or_else(|| EncryptionError::Unknown { name: encryption.to_owned() })?;
        if master_key.is_empty() {
            return Err(EncryptionError::InvalidKey);
        }
        // Here the purpose is the salt and the info is empty, unlike everywhere else.
        let mut secret = Zeroizing::new([0; 32]);
        hkdf::Hkdf::<sha2::Sha256>::new(Some(b"encryption"), master_key)
            .expand(b"", &mut *secret)
            .map_err(|_| EncryptionError::InvalidKey)?;
        Ok(Self {
            name,
            aead,
            keys: aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &*secret),
            ecc: ecc.map(ReedSolomon::new),
        })
    }

    /// The name of the encryption.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the encryption adds to a plaintext: 28 bytes. What error correction adds depends on
    /// the length and is not in here; see [`sealed_length`](Self::sealed_length).
    pub fn overhead(&self) -> usize {
        OVERHEAD
    }

    /// Length of the sealed form of `length` bytes, error correction included.
    pub fn sealed_length(&self, length: usize) -> usize {
        let sealed = length.saturating_add(OVERHEAD);
        self.ecc.as_ref().map_or(sealed, |ecc| ecc.stored_length(sealed))
    }

    /// Appends the sealed form of `plaintext` to `out`, under a fresh nonce. On an error `out` is
    /// as it was before.
    pub fn seal(
        &self,
        plaintext: &[u8],
        iv: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EncryptionError> {
        self.seal_with(aead::random_nonce()?, plaintext, iv, out)
    }

    /// Whether [`seal_in_place`](Self::seal_in_place) can be used; not with error correction.
    pub fn seals_in_place(&self) -> bool {
        self.ecc.is_none()
    }

    /// Like [`seal`](Self::seal), in the memory of the plaintext, so that a large one exists only
    /// once: `buffer` is [`SEAL_HEAD`] bytes of room, the plaintext, [`SEAL_TAIL`] bytes of room.
    /// After an error what is in it is worth nothing.
    pub fn seal_in_place(&self, buffer: &mut [u8], iv: &[u8]) -> Result<(), EncryptionError> {
        if self.ecc.is_some() {
            return Err(EncryptionError::Seal);
        }
        aead::seal_in_place(self.aead, &*self.key(iv)?, aead::random_nonce()?, iv, buffer)
    }

    /// The plaintext of something sealed under this IV; damage is repaired if there is error
    /// correction, and an error otherwise.
    pub fn open(&self, sealed: &[u8], iv: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        let corrected;
        let sealed = match &self.ecc {
            Some(ecc) => {
                corrected = ecc.decode(sealed)?;
                &corrected
            }
            None => sealed,
        };
        aead::open(self.aead, &*self.key(iv)?, iv, sealed)
    }

    /// The key of the piece with this IV.
    fn key(&self, iv: &[u8]) -> Result<Zeroizing<[u8; 32]>, EncryptionError> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::hmac::sign_to_buffer(&self.keys, iv, &mut *key)
            .map_err(|_| EncryptionError::InvalidKey)?;
        Ok(key)
    }

    fn seal_with(
        &self,
        nonce: [u8; aead::NONCE_LENGTH],
        plaintext: &[u8],
        iv: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EncryptionError> {
        let key = self.key(iv)?;
        match &self.ecc {
            None => aead::seal(self.aead, &*key, nonce, iv, plaintext, out),
            Some(ecc) => {
                let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
                aead::seal(self.aead, &*key, nonce, iv, plaintext, &mut sealed)?;
                Ok(ecc.encode(&sealed, out)?)
            }
        }
    }
}

impl std::fmt::Debug for ContentCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentCipher")
            .field("name", &self.name)
            .field("ecc", &self.ecc)
            .finish_non_exhaustive()
    }
}
