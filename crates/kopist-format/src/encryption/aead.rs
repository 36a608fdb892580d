//! The two ciphers, with the nonce in front: shared by contents and the blobs of the format.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::EncryptionError;

/// Length of a nonce in bytes.
pub(crate) const NONCE_LENGTH: usize = 12;
/// Length of a tag in bytes.
pub(crate) const TAG_LENGTH: usize = 16;
/// What sealing adds: nonce and tag.
pub(crate) const OVERHEAD: usize = NONCE_LENGTH + TAG_LENGTH;

/// A cipher with authentication, with a key of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aead {
    Aes256Gcm,
    /// The one of RFC 8439.
    ChaCha20Poly1305,
}

impl Aead {
    fn key(self, key: &[u8]) -> Result<LessSafeKey, EncryptionError> {
        let algorithm = match self {
            Aead::Aes256Gcm => &AES_256_GCM,
            Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| EncryptionError::InvalidKey)?;
        Ok(LessSafeKey::new(key))
    }
}

/// A nonce from the system's generator; no other is ever used.
///
/// The cipher's library has a generator of its own, which measures jitter of the processor for
/// some 50 ms in every thread before it gives the first byte.
pub(crate) fn random_nonce() -> Result<[u8; NONCE_LENGTH], EncryptionError> {
    let mut nonce = [0; NONCE_LENGTH];
    getrandom::fill(&mut nonce).map_err(|_| EncryptionError::Seal)?;
    Ok(nonce)
}

/// Appends nonce, ciphertext and tag; on an error `out` is as it was before.
pub(crate) fn seal(
    aead: Aead,
    key: &[u8],
    nonce: [u8; NONCE_LENGTH],
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncryptionError> {
    let key = aead.key(key)?;
    let start = out.len();
    out.reserve(plaintext.len() + OVERHEAD);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let body = &mut out[start + NONCE_LENGTH..];
    let nonce = Nonce::assume_unique_for_key(nonce);
    let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body) else {
        out.truncate(start);
        return Err(EncryptionError::Seal);
    };
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Turns a plaintext into nonce, ciphertext and tag, in its own memory: the buffer has room for
/// the nonce in front of it and for the tag behind it.
pub(crate) fn seal_in_place(
    aead: Aead,
    key: &[u8],
    nonce: [u8; NONCE_LENGTH],
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<(), EncryptionError> {
    let key = aead.key(key)?;
    let (head, rest) = buffer.split_at_mut_checked(NONCE_LENGTH).ok_or(EncryptionError::Seal)?;
    let end = rest.len().checked_sub(TAG_LENGTH).ok_or(EncryptionError::Seal)?;
    let (body, tail) = rest.split_at_mut(end);
    head.copy_from_slice(&nonce);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
        .map_err(|_| EncryptionError::Seal)?;
    tail.copy_from_slice(tag.as_ref());
    Ok(())
}

/// The plaintext of nonce, ciphertext and tag.
pub(crate) fn open(
    aead: Aead,
    key: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, EncryptionError> {
    let too_short = EncryptionError::TooShort { length: sealed.len() };
    let Some((nonce, rest)) = sealed.split_first_chunk::<NONCE_LENGTH>() else {
        return Err(too_short);
    };
    let Some((ciphertext, tag)) = rest.split_last_chunk::<TAG_LENGTH>() else {
        return Err(too_short);
    };
    let mut plaintext = vec![0; ciphertext.len()];
    aead.key(key)?
        .open_separate_gather(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(aad),
            ciphertext,
            tag,
            &mut plaintext,
        )
        .map_err(|_| EncryptionError::Authentication)?;
    Ok(plaintext)
}
