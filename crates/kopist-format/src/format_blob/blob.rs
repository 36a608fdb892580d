//! The outside of `kopia.repository`.

use secrecy::SecretString;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{BlobKey, FORMAT_ENCRYPTION, FormatError, RepositoryFormat};
use crate::{
    json::{self, JsonError, Object, Unknown},
    kdf::{DEFAULT_KEY_DERIVATION, FormatKey, derive_format_key},
};

/// `kopia.repository` as it is stored: JSON around the sealed [`RepositoryFormat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormatBlob {
    /// The address of the program that created the repository; informative.
    pub tool: String,
    /// Its version; informative, and kept when the blob is rewritten.
    #[serde(rename = "buildVersion")]
    pub build_version: String,
    /// When and from what it was built; informative.
    #[serde(rename = "buildInfo")]
    pub build_info: String,
    /// 32 random bytes (at least 16), the salt of every key derived from the password.
    #[serde(rename = "uniqueID", with = "json::bytes")]
    pub unique_id: Vec<u8>,
    /// How the key is derived from the password, such as `scrypt-65536-8-1`.
    #[serde(rename = "keyAlgo")]
    pub key_algo: String,
    /// How the format is sealed: `AES256_GCM`.
    pub encryption: String,
    /// The sealed format: nonce, ciphertext, tag.
    #[serde(
        rename = "encryptedBlockFormat",
        with = "json::bytes",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub encrypted_block_format: Vec<u8>,
    /// Keys that this program does not know.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl FormatBlob {
    /// A blob for a new repository, with nothing sealed in it yet. `unique_id` is 32 random
    /// bytes; the key derivation is the default one.
    pub fn new(unique_id: Vec<u8>) -> Self {
        Self {
            tool: "https://github.com/kopia/kopia".into(),
            build_version: String::new(),
            build_info: String::new(),
            unique_id,
            key_algo: DEFAULT_KEY_DERIVATION.into(),
            encryption: FORMAT_ENCRYPTION.into(),
            encrypted_block_format: Vec::new(),
            unknown: Unknown::default(),
        }
    }

    /// Reads the blob.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::from_json(&json::lossy_text(bytes)).map_err(FormatError::InvalidBlob)
    }

    fn from_json(text: &str) -> Result<Self, JsonError> {
        let mut object = Object::parse(text)?;
        let mut blob = Self::new(Vec::new());
        blob.tool.clear();
        blob.key_algo.clear();
        blob.encryption.clear();
        object.field("tool", &mut blob.tool)?;
        object.field("buildVersion", &mut blob.build_version)?;
        object.field("buildInfo", &mut blob.build_info)?;
        object.field("uniqueID", &mut blob.unique_id)?;
        object.field("keyAlgo", &mut blob.key_algo)?;
        object.field("encryption", &mut blob.encryption)?;
        object.field("encryptedBlockFormat", &mut blob.encrypted_block_format)?;
        blob.unknown = object.unknown();
        Ok(blob)
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        Ok(json::to_go_json_indented(self)?)
    }

    /// Derives the key that opens this repository from a password. Slow (some 0.2 s) and with
    /// scrypt 64 MiB large: keep the key as long as the repository is open.
    pub fn derive_key(&self, password: &SecretString) -> Result<FormatKey, FormatError> {
        Ok(derive_format_key(&self.key_algo, password, &self.unique_id)?)
    }

    pub(super) fn blob_key(&self, key: &FormatKey) -> Result<BlobKey, FormatError> {
        if self.encryption != FORMAT_ENCRYPTION {
            return Err(FormatError::UnknownEncryption(self.encryption.clone()));
        }
        Ok(BlobKey::new(key, &self.unique_id)?)
    }

    /// Opens the format with the key of the right password.
    pub fn open(&self, key: &FormatKey) -> Result<RepositoryFormat, FormatError> {
        let plaintext = self
            .blob_key(key)?
            .open(&self.encrypted_block_format)
            .map_err(|_| FormatError::InvalidPassword)?;
        RepositoryFormat::from_json(&plaintext)
    }

    /// Seals a format under this key (of a changed password, for example), with a new nonce.
    pub fn seal(&mut self, format: &RepositoryFormat, key: &FormatKey) -> Result<(), FormatError> {
        let plaintext: Zeroizing<Vec<u8>> = format.to_json()?;
        self.encrypted_block_format = self.blob_key(key)?.seal(&plaintext)?;
        Ok(())
    }

    /// Seals the format under a new password, derived as before with the same unique id, and
    /// returns the new key.
    ///
    /// The other blob under this key, `kopia.blobcfg`, must be sealed again too, and stored
    /// before this one.
    pub fn change_password(
        &mut self,
        format: &RepositoryFormat,
        new_password: &SecretString,
    ) -> Result<FormatKey, FormatError> {
        if !format.enable_password_change {
            return Err(FormatError::PasswordChangeUnsupported);
        }
        let key = self.derive_key(new_password)?;
        self.seal(format, &key)?;
        Ok(key)
    }
}
