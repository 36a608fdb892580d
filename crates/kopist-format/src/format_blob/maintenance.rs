//! The sealing of `kopia.maintenance`. What is inside is the business of maintenance.

use super::{FormatError, RepositoryFormat};
use crate::{
    encryption::aead::{self, Aead},
    kdf::FormatKey,
};

const PURPOSE: &str = "maintenance schedule";
const AAD: &[u8] = b"maintenance";

/// The blob for this schedule. It is always AES-256-GCM, whatever encrypts the contents, and
/// without error correction.
pub fn seal_maintenance_schedule(
    format: &RepositoryFormat,
    key: &FormatKey,
    unique_id: &[u8],
    json: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let key = format.purpose_key(key, unique_id, PURPOSE, 32)?;
    let mut out = Vec::new();
    aead::seal(Aead::Aes256Gcm, &key, aead::random_nonce()?, AAD, json, &mut out)?;
    Ok(out)
}

/// The JSON of the schedule in this blob.
pub fn open_maintenance_schedule(
    format: &RepositoryFormat,
    key: &FormatKey,
    unique_id: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let key = format.purpose_key(key, unique_id, PURPOSE, 32)?;
    aead::open(Aead::Aes256Gcm, &key, AAD, sealed).map_err(FormatError::Maintenance)
}
