//! The inside of `kopia.repository`.

use secrecy::{ExposeSecret, SecretSlice};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::{
    EpochParameters, FormatError, FormatVersion, MutableParameters, RequiredFeature,
    SUPPORTED_FEATURES, UnmetFeatures, UpgradeLock,
};
use crate::{
    ecc::EccParameters,
    encryption::{ContentCipher, DEFAULT_ENCRYPTION},
    hashing::{ContentHasher, DEFAULT_HASH, HashAlgorithm},
    json::{self, FromGo, JsonError, Object, Unknown},
    kdf::{FormatKey, KdfError, purpose_key, purpose_key_array},
};

/// The format of a repository: algorithms, secrets, and parameters that may change.
///
/// All but [`mutable`](Self::mutable), [`upgrade_lock`](Self::upgrade_lock) and
/// [`required_features`](Self::required_features) stays the same for the life of the repository.
/// The secrets are wiped when the value is dropped, and `Debug` does not show them.
#[derive(Clone, Debug, Serialize)]
pub struct RepositoryFormat {
    /// Name of the content hash.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Name of the content encryption.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub encryption: String,
    /// Name of the error correction; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ecc: String,
    /// Overhead of the error correction in percent; 0 for none.
    #[serde(rename = "eccOverheadPercent", skip_serializing_if = "is_zero")]
    pub ecc_overhead_percent: i64,
    /// Key of the content hash, 32 random bytes.
    #[serde(serialize_with = "base64", skip_serializing_if = "is_empty")]
    pub secret: SecretSlice<u8>,
    /// Root of the content encryption, 32 random bytes.
    #[serde(rename = "masterKey", serialize_with = "base64", skip_serializing_if = "is_empty")]
    pub master_key: SecretSlice<u8>,
    /// The parameters that may change.
    #[serde(flatten)]
    pub mutable: MutableParameters,
    /// Whether keys of purposes come from the master key, so that the password may change. False
    /// for repositories that began with version 1, whatever their version is now.
    #[serde(rename = "enablePasswordChange")]
    pub enable_password_change: bool,
    /// Name of the splitter; empty for [`FIXED`](Self::splitter_name).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub splitter: String,
    /// Set while somebody upgrades the repository.
    #[serde(rename = "upgradeLock", skip_serializing_if = "Option::is_none")]
    pub upgrade_lock: Option<UpgradeLock>,
    /// What a program must understand to use the repository.
    #[serde(rename = "requiredFeatures", skip_serializing_if = "Vec::is_empty")]
    pub required_features: Vec<RequiredFeature>,
    /// Keys that this program does not know.
    #[serde(flatten)]
    pub unknown: Unknown,
    /// Keys beside `format` that this program does not know.
    #[serde(skip)]
    pub unknown_outside: Unknown,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn is_empty(secret: &SecretSlice<u8>) -> bool {
    secret.expose_secret().is_empty()
}

fn base64<S: Serializer>(secret: &SecretSlice<u8>, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = Zeroizing::new(BASE64_STANDARD.encode(secret.expose_secret()));
    serializer.serialize_str(&text)
}

impl RepositoryFormat {
    /// The format of a new repository with the default algorithms. `secret` and `master_key` are
    /// 32 random bytes each.
    pub fn new(
        version: FormatVersion,
        secret: SecretSlice<u8>,
        master_key: SecretSlice<u8>,
    ) -> Self {
        Self {
            hash: DEFAULT_HASH.into(),
            encryption: DEFAULT_ENCRYPTION.into(),
            ecc: String::new(),
            ecc_overhead_percent: 0,
            secret,
            master_key,
            mutable: MutableParameters::new(version),
            enable_password_change: version > FormatVersion::V1,
            splitter: "DYNAMIC-4M-BUZHASH".into(),
            upgrade_lock: None,
            required_features: Vec::new(),
            unknown: Unknown::default(),
            unknown_outside: Unknown::default(),
        }
    }

    /// Sets the error correction of a new repository. The overhead is clamped to 0..=100 percent;
    /// with 0, and in version 1, there is none.
    pub fn set_ecc(&mut self, name: &str, overhead_percent: i64) -> Result<(), FormatError> {
        let percent = overhead_percent.clamp(0, 100);
        if self.mutable.version <= 1 || EccParameters::of_format(name, percent)?.is_none() {
            self.ecc.clear();
            self.ecc_overhead_percent = 0;
        } else {
            name.clone_into(&mut self.ecc);
            self.ecc_overhead_percent = percent;
        }
        Ok(())
    }

    /// Reads the JSON inside the sealed part, `{"format":{…}}`.
    pub fn from_json(plaintext: &[u8]) -> Result<Self, FormatError> {
        let read = || -> Result<Self, JsonError> {
            let text = json::lossy_text(plaintext);
            let mut outside = Object::parse(&text)?;
            let mut format = Self::empty();
            outside.field("format", &mut format)?;
            format.unknown_outside = outside.unknown();
            Ok(format)
        };
        read().map_err(FormatError::InvalidFormat)
    }

    /// The JSON to seal.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        #[derive(Serialize)]
        struct Outside<'a> {
            format: &'a RepositoryFormat,
            #[serde(flatten)]
            unknown: &'a Unknown,
        }
        // Long enough that it does not grow, which would leave copies of the secrets behind.
        let mut out = Zeroizing::new(Vec::with_capacity(16 << 10));
        let outside = Outside { format: self, unknown: &self.unknown_outside };
        json::write_go_json(&outside, &mut out)?;
        Ok(out)
    }

    fn empty() -> Self {
        let none = || SecretSlice::from(Vec::new());
        let mut format = Self::new(FormatVersion::V1, none(), none());
        format.hash.clear();
        format.encryption.clear();
        format.splitter.clear();
        format.mutable = MutableParameters {
            version: 0,
            max_pack_size: 0,
            index_version: 0,
            epoch: EpochParameters::disabled(),
        };
        format
    }

    /// Whether this program can use the repository: versions, algorithms, and the required
    /// features that must be met. Features that ask for a warning only are returned.
    ///
    /// The splitter is not checked here; its module does, see [`splitter_name`](Self::splitter_name).
    pub fn check_supported(&self) -> Result<UnmetFeatures, FormatError> {
        if !(1..=3).contains(&self.mutable.version) {
            return Err(FormatError::UnsupportedVersion { version: self.mutable.version });
        }
        let index_version = self.mutable.effective_index_version();
        if !(1..=2).contains(&index_version) {
            return Err(FormatError::UnsupportedIndexVersion { version: index_version });
        }
        if self.ecc_parameters()?.is_some() && index_version < 2 {
            return Err(FormatError::EccWithIndexV1);
        }
        HashAlgorithm::by_name(&self.hash)?;
        if !crate::encryption::encryptions().any(|name| name == self.encryption) {
            let name = self.encryption.clone();
            return Err(crate::encryption::EncryptionError::Unknown { name }.into());
        }
        let (warn, fail) = self
            .required_features
            .iter()
            .filter(|feature| !SUPPORTED_FEATURES.contains(&feature.feature.as_str()))
            .cloned()
            .partition::<Vec<_>, _>(|feature| feature.if_not_understood.warn);
        if fail.is_empty() {
            Ok(UnmetFeatures(warn))
        } else {
            Err(FormatError::UnmetFeatures(UnmetFeatures(fail)))
        }
    }

    /// The error correction, if there is any.
    pub fn ecc_parameters(&self) -> Result<Option<EccParameters>, FormatError> {
        Ok(EccParameters::of_format(&self.ecc, self.ecc_overhead_percent)?)
    }

    /// The hash of contents, with its key.
    pub fn hasher(&self) -> Result<ContentHasher, FormatError> {
        let algorithm = HashAlgorithm::by_name(&self.hash)?;
        Ok(ContentHasher::new(algorithm, self.secret.expose_secret())?)
    }

    /// The encryption of contents, with its key and error correction.
    pub fn cipher(&self) -> Result<ContentCipher, FormatError> {
        let master_key = self.master_key.expose_secret();
        Ok(ContentCipher::new(&self.encryption, master_key, self.ecc_parameters()?)?)
    }

    /// Name of the splitter; `FIXED` (4 MiB) if none is given.
    pub fn splitter_name(&self) -> &str {
        if self.splitter.is_empty() { "FIXED" } else { &self.splitter }
    }

    /// Whether each new pack begins with a copy of the format blob.
    pub fn replicates_format(&self) -> bool {
        !self.enable_password_change
    }

    /// A key for a purpose, derived from the master key, or from the format key where passwords
    /// cannot change.
    pub fn purpose_key(
        &self,
        key: &FormatKey,
        unique_id: &[u8],
        purpose: &str,
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KdfError> {
        let base = if self.enable_password_change {
            self.master_key.expose_secret()
        } else {
            key.as_bytes()
        };
        purpose_key(base, unique_id, purpose, length)
    }

    /// The key that protects the local cache against damage: 16 bytes.
    pub fn local_cache_key(
        &self,
        key: &FormatKey,
        unique_id: &[u8],
    ) -> Result<Zeroizing<[u8; 16]>, KdfError> {
        let base =
            if self.enable_password_change { self.secret.expose_secret() } else { key.as_bytes() };
        purpose_key_array(base, unique_id, "local-cache-integrity")
    }
}

impl FromGo for RepositoryFormat {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        let mut object = Object::parse(json)?;
        let mut format = Self::empty();
        object.field("hash", &mut format.hash)?;
        object.field("encryption", &mut format.encryption)?;
        object.field("ecc", &mut format.ecc)?;
        object.field("eccOverheadPercent", &mut format.ecc_overhead_percent)?;
        object.field("secret", &mut format.secret)?;
        object.field("masterKey", &mut format.master_key)?;
        object.field("version", &mut format.mutable.version)?;
        object.field("maxPackSize", &mut format.mutable.max_pack_size)?;
        object.field("indexVersion", &mut format.mutable.index_version)?;
        object.field("epochParameters", &mut format.mutable.epoch)?;
        object.field("enablePasswordChange", &mut format.enable_password_change)?;
        object.field("splitter", &mut format.splitter)?;
        object.field("upgradeLock", &mut format.upgrade_lock)?;
        object.field("requiredFeatures", &mut format.required_features)?;
        format.unknown = object.unknown();
        Ok(format)
    }
}
