//! Making a repository.

use kopist_blob::{BlobError, BlobId, BlobStore, Feature, any_with_prefix, exists};
use kopist_format::{
    encryption::DEFAULT_ENCRYPTION,
    format_blob::{
        BLOBCFG_BLOB, BlobCfg, EpochParameters, FORMAT_BLOB, FormatBlob, FormatVersion,
        RepositoryFormat,
    },
    hashing::DEFAULT_HASH,
    kdf::DEFAULT_KEY_DERIVATION,
    splitter::SplitterAlgorithm,
};
use secrecy::{SecretSlice, SecretString};

use super::{Leniency, check, format_error, retention_options};
use crate::{
    error::{RepoError, Result},
    util::random,
};

/// The choices that are made once for the life of a repository.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    /// Format version.
    pub version: FormatVersion,
    /// Content hash.
    pub hash: String,
    /// Content encryption.
    pub encryption: String,
    /// Splitter of files.
    pub splitter: String,
    /// Error correction code; only with an overhead.
    pub ecc: String,
    /// Percent of overhead for error correction; 0 = none.
    pub ecc_overhead_percent: i64,
    /// Derivation of the key from the password.
    pub key_derivation: String,
    /// Retention that every new blob gets.
    pub blob_cfg: BlobCfg,
    /// Epoch parameters instead of the defaults of the version.
    pub epoch: Option<EpochParameters>,
    /// Program and version that appear in `kopia.repository`.
    pub build_version: String,
    /// More about the program.
    pub build_info: String,
    /// Accept a storage that holds something else already.
    pub allow_existing_data: bool,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            version: FormatVersion::default(),
            hash: DEFAULT_HASH.into(),
            encryption: DEFAULT_ENCRYPTION.into(),
            splitter: SplitterAlgorithm::DEFAULT_NAME.into(),
            ecc: kopist_format::ecc::REED_SOLOMON_CRC32.into(),
            ecc_overhead_percent: 0,
            key_derivation: DEFAULT_KEY_DERIVATION.into(),
            blob_cfg: BlobCfg::default(),
            epoch: None,
            build_version: format!("kopist {}", env!("CARGO_PKG_VERSION")),
            build_info: String::new(),
            allow_existing_data: false,
        }
    }
}

/// Makes a repository in an empty storage.
///
/// Everything is checked before the first blob is written; `kopia.repository` is the last, so
/// that an interrupted creation leaves nothing that looks like a repository.
pub fn create(
    store: &dyn BlobStore,
    password: &SecretString,
    options: &CreateOptions,
) -> Result<()> {
    if exists(store, &FORMAT_BLOB.into())? {
        return Err(RepoError::AlreadyInitialized);
    }
    if exists(store, &BLOBCFG_BLOB.into())? {
        return Err(RepoError::FormatBlobLost);
    }
    if !options.allow_existing_data && any_with_prefix(store, "")? {
        return Err(RepoError::ExistingData);
    }

    let secret = || Ok::<_, RepoError>(SecretSlice::from(random::<32>()?.to_vec()));
    let mut format = RepositoryFormat::new(options.version, secret()?, secret()?);
    format.hash.clone_from(&options.hash);
    format.encryption.clone_from(&options.encryption);
    SplitterAlgorithm::by_name(&options.splitter)
        .map_err(|e| RepoError::InvalidOption(e.to_string()))?;
    format.splitter.clone_from(&options.splitter);
    format.set_ecc(&options.ecc, options.ecc_overhead_percent).map_err(format_error)?;
    if let Some(epoch) = &options.epoch
        && options.version > FormatVersion::V1
    {
        format.mutable.epoch = epoch.clone();
    }
    format.mutable.validate().map_err(format_error)?;
    options.blob_cfg.validate().map_err(format_error)?;
    check(&format, Leniency::default())?;
    // The algorithms must accept the secrets, too.
    format.hasher().map_err(format_error)?;
    format.cipher().map_err(format_error)?;

    let mut blob = FormatBlob::new(random::<32>()?.to_vec());
    blob.key_algo.clone_from(&options.key_derivation);
    blob.build_version.clone_from(&options.build_version);
    blob.build_info.clone_from(&options.build_info);
    let key = blob.derive_key(password).map_err(format_error)?;
    blob.seal(&format, &key).map_err(format_error)?;
    let cfg = options.blob_cfg.seal(&blob, &key).map_err(format_error)?;
    let bytes = blob.to_bytes().map_err(format_error)?;

    // Two programs may come here at the same time. Only one of them writes the first blob, and
    // only that one goes on: a format blob and a configuration of two makers open with no password.
    let plain = retention_options(&options.blob_cfg);
    let mut exclusive = plain.clone();
    exclusive.do_not_recreate = true;
    for (name, content) in [(BLOBCFG_BLOB, cfg.as_slice()), (FORMAT_BLOB, bytes.as_slice())] {
        let id = BlobId::from(name);
        match store.put(&id, &[content], &exclusive) {
            Ok(_) => {}
            Err(BlobError::AlreadyExists { .. }) => return Err(RepoError::AlreadyInitialized),
            // Some storages cannot tell; there, the checks above have to do.
            Err(BlobError::Unsupported { feature: Feature::DoNotRecreate, .. }) => {
                store.put(&id, &[content], &plain)?;
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
