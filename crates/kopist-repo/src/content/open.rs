//! From stored bytes to plain ones.

use bytes::Bytes;
use kopist_blob::{BlobError, BlobId};
use kopist_format::compression::decompress;

use super::ContentInfo;
use crate::{
    error::{RepoError, Result},
    settings::Crypto,
};

/// Decrypts and decompresses a content as the index describes it.
pub(crate) fn open_content(crypto: &Crypto, info: &ContentInfo, sealed: &[u8]) -> Result<Bytes> {
    unpack(info, open_payload(crypto, info, sealed)?)
}

/// Decrypts a content; it stays compressed.
pub(crate) fn open_payload(crypto: &Crypto, info: &ContentInfo, sealed: &[u8]) -> Result<Vec<u8>> {
    if info.encryption_key != 0 {
        let reason = format!("unsupported encryption key ID {}", info.encryption_key);
        return Err(unreadable(info, reason));
    }
    crypto.cipher.open(sealed, info.id.iv()).map_err(|e| unreadable(info, e))
}

fn unpack(info: &ContentInfo, payload: Vec<u8>) -> Result<Bytes> {
    let length = info.original_length as usize;
    let plain = if info.compression == 0 {
        payload
    } else {
        decompress(&payload, Some(info.compression), length).map_err(|e| unreadable(info, e))?
    };
    if plain.len() != length {
        let reason = format!("it has {} bytes, the index says {length}", plain.len());
        return Err(unreadable(info, reason));
    }
    Ok(plain.into())
}

/// The error of a content that cannot be read.
pub(crate) fn unreadable(
    info: &ContentInfo,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RepoError {
    RepoError::ContentUnreadable {
        id: info.id,
        pack: BlobId::from(info.pack.as_str()),
        offset: info.offset.into(),
        length: info.packed_length.into(),
        source: source.into(),
    }
}

/// The same for bytes that the storage does not give.
pub(crate) fn unreadable_blob(info: &ContentInfo, source: BlobError) -> RepoError {
    if source.is_not_found() {
        let blob = BlobId::from(info.pack.as_str());
        return unreadable(info, RepoError::BlobNotFound { what: "its pack is lost".into(), blob });
    }
    unreadable(info, source)
}
