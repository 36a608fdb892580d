//! The blobs that describe a repository: `kopia.repository`, `kopia.blobcfg`, and the sealing of
//! `kopia.maintenance`.
//!
//! [`FormatBlob`] is the outside of `kopia.repository`: how to derive the key from the password,
//! and sealed bytes. Opened, it gives the [`RepositoryFormat`]: the algorithms, the two secrets,
//! and the parameters that may change ([`MutableParameters`]). [`BlobCfg`] holds the retention
//! settings, under the same key.
//!
//! ```no_run
//! # use kopist_format::format_blob::*;
//! # fn read(name: &str) -> Vec<u8> { Vec::new() }
//! let blob = FormatBlob::parse(&read(FORMAT_BLOB))?;
//! let key = blob.derive_key(&"the password".into())?; // slow: keep it
//! let format = blob.open(&key)?;
//! format.check_supported()?;
//! let (hasher, cipher) = (format.hasher()?, format.cipher()?);
//! # Ok::<(), FormatError>(())
//! ```
//!
//! Keys that this program does not know survive a rewrite. What depends on
//! `enable_password_change` (and not on the version!) is decided in [`RepositoryFormat`].
//!
//! Sources: `kopia:repo/format/`.

mod blob;
mod blobcfg;
mod features;
mod format;
mod maintenance;
mod parameters;
mod replica;
#[cfg(test)]
mod tests;
mod upgrade;

pub use blob::FormatBlob;
pub use blobcfg::{BlobCfg, RETENTION_MODES};
pub use features::{IfNotUnderstood, RequiredFeature, SUPPORTED_FEATURES, UnmetFeatures};
pub use format::RepositoryFormat;
pub use maintenance::{open_maintenance_schedule, seal_maintenance_schedule};
pub use parameters::{EpochParameters, FormatVersion, MutableParameters};
pub use replica::{append_replica, find_replica};
pub use upgrade::UpgradeLock;

use crate::encryption::aead::{self, Aead};
use crate::kdf::KdfError;
use crate::{ecc::EccError, encryption::EncryptionError, hashing::HashError, json::JsonError};

/// Name of the format blob.
pub const FORMAT_BLOB: &str = "kopia.repository";
/// Name of the blob with the retention settings.
pub const BLOBCFG_BLOB: &str = "kopia.blobcfg";
/// Name of the blob with the maintenance schedule.
pub const MAINTENANCE_BLOB: &str = "kopia.maintenance";
/// A copy of the format blob is kept under this and the owner's id when an upgrade begins.
pub const FORMAT_BACKUP_PREFIX: &str = "kopia.repository.backup.";
/// The one encryption of the format blob.
pub const FORMAT_ENCRYPTION: &str = "AES256_GCM";

/// Why the format of a repository cannot be read, used or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The key does not open the format blob: another password, or damage.
    #[error("invalid repository password")]
    InvalidPassword,
    /// `kopia.repository` is not what it should be outside.
    #[error("invalid format blob: {0}")]
    InvalidBlob(JsonError),
    /// The format blob opens, but what is in it is not a format.
    #[error("invalid repository format: {0}")]
    InvalidFormat(JsonError),
    /// The format blob names an encryption of its own that does not exist.
    #[error("unknown encryption algorithm of the format blob: {0:?}")]
    UnknownEncryption(String),
    /// `kopia.blobcfg` cannot be opened with the key of the format blob: a password change was
    /// interrupted, or it is damaged.
    #[error(
        "deserialize blob config: unable to decrypt repository blobcfg blob; if a change of the \
         password was interrupted, try the new password"
    )]
    BlobCfgKey,
    /// `kopia.blobcfg` opens, but what is in it is not a configuration.
    #[error("invalid repository blobcfg blob: {0}")]
    InvalidBlobCfg(JsonError),
    /// `kopia.maintenance` cannot be opened.
    #[error("unable to decrypt maintenance schedule: {0}")]
    Maintenance(EncryptionError),
    /// Made by a newer (or an impossible) version.
    #[error(
        "can't handle repositories created using version {version} \
         (min supported 1, max supported 3)"
    )]
    UnsupportedVersion {
        /// The version of the format.
        version: i64,
    },
    /// An index format that does not exist.
    #[error("index version {version} is not supported")]
    UnsupportedIndexVersion {
        /// The version of the index.
        version: i64,
    },
    /// Kopia cannot use such a repository either.
    #[error("error correction needs index version 2, the repository has version 1")]
    EccWithIndexV1,
    /// A parameter is set to what is not allowed; the text says which and what is.
    #[error("invalid parameters: {0}")]
    InvalidParameters(String),
    /// An upgrade lock that cannot be set or changed like this; the text says why.
    #[error("invalid upgrade lock: {0}")]
    InvalidUpgradeLock(String),
    /// The format requires what this program cannot do.
    #[error("{0}")]
    UnmetFeatures(UnmetFeatures),
    /// The repository was made without password changes.
    #[error(
        "password changes are not supported for repositories created using Kopia v0.8 or older"
    )]
    PasswordChangeUnsupported,
    /// The copy of the format blob for packs would be too long.
    #[error("the format blob has {length} bytes, too long to be copied into packs")]
    ReplicaTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The hash.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The encryption.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The error correction.
    #[error(transparent)]
    Ecc(#[from] EccError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KdfError),
    /// Writing JSON.
    #[error("cannot write the repository format: {0}")]
    Write(#[from] JsonError),
}

/// A key for a blob of the format and what is authenticated with it: AES-256-GCM with both
/// derived from the format key.
struct BlobKey {
    key: zeroize::Zeroizing<[u8; 32]>,
    aad: zeroize::Zeroizing<[u8; 32]>,
}

impl BlobKey {
    fn new(key: &crate::kdf::FormatKey, unique_id: &[u8]) -> Result<Self, KdfError> {
        Ok(Self {
            key: crate::kdf::purpose_key_array(key.as_bytes(), unique_id, "AES")?,
            aad: crate::kdf::purpose_key_array(key.as_bytes(), unique_id, "CHECKSUM")?,
        })
    }

    fn seal(&self, plaintext: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        let mut out = Vec::new();
        let nonce = aead::random_nonce()?;
        aead::seal(Aead::Aes256Gcm, &*self.key, nonce, &*self.aad, plaintext, &mut out)?;
        Ok(out)
    }

    fn open(&self, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, EncryptionError> {
        aead::open(Aead::Aes256Gcm, &*self.key, &*self.aad, sealed).map(zeroize::Zeroizing::new)
    }
}
