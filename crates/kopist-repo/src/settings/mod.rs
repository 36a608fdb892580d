//! The repository's own settings: `kopia.repository` and `kopia.blobcfg`.
//!
//! [`Settings`] keeps the opened format of a repository current: it is read again when it is
//! older than 15 minutes, with the key that is already derived, so that an upgrade lock or a
//! changed parameter reaches long sessions in the time that the format promises. Algorithms and
//! secrets stay those of the first opening; only the mutable parameters follow.
//!
//! Sources: `kopia:repo/format/format_manager.go`, `kopia:repo/initialize.go`,
//! `kopia:repo/open.go`.

mod change;
mod create;
mod upgrade;

pub use change::{ParameterChange, RetentionChange};
pub use create::{CreateOptions, create};

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange, PutOptions, Retention};
use kopist_format::{
    encryption::ContentCipher,
    format_blob::{
        BLOBCFG_BLOB, BlobCfg, EpochParameters, FORMAT_BLOB, FormatBlob, FormatError,
        RepositoryFormat, append_replica,
    },
    hashing::ContentHasher,
    kdf::FormatKey,
};
use parking_lot::RwLock;
use secrecy::SecretString;

use crate::{
    clock::Clock,
    error::{RepoError, Result},
};

/// The format blob is trusted for this long (`kopia:repo/format/format_manager.go`).
const TRUSTED: SignedDuration = SignedDuration::from_mins(15);

/// Hash and cipher of a repository.
pub(crate) struct Crypto {
    pub(crate) hasher: ContentHasher,
    pub(crate) cipher: ContentCipher,
}

/// The parameters of a repository that may change while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Format version, 1 to 3; recorded with every content.
    pub version: u8,
    /// A pack is full when it has this many bytes.
    pub max_pack_size: usize,
    /// Version of index blobs that are written, 1 or 2.
    pub index_version: u8,
    /// Epochs; disabled in repositories of version 1.
    pub epoch: EpochParameters,
}

impl Parameters {
    fn of(format: &RepositoryFormat) -> Self {
        // The format's own check allows 1 to 3, and 1 or 2.
        let number = |n: i64| u8::try_from(n).unwrap_or(u8::MAX);
        Self {
            version: number(format.mutable.version),
            max_pack_size: format.mutable.effective_pack_size(),
            index_version: number(format.mutable.effective_index_version()),
            epoch: format.mutable.epoch.clone(),
        }
    }
}

/// What [`Settings`] closes its eyes to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leniency {
    /// Open in spite of an upgrade lock.
    pub(crate) ignore_lock: bool,
    /// Open although the repository requires a feature that this program does not have.
    pub(crate) ignore_missing_features: bool,
}

/// See the [module documentation](self).
pub(crate) struct Settings {
    store: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    /// Who may use the repository in spite of an upgrade lock.
    upgrade_owner: String,
    leniency: Leniency,
    state: RwLock<State>,
}

struct State {
    key: FormatKey,
    /// Exactly as stored, for replicas.
    bytes: Bytes,
    blob: FormatBlob,
    format: Arc<RepositoryFormat>,
    parameters: Arc<Parameters>,
    blob_cfg: BlobCfg,
    /// Why `kopia.blobcfg` does not open. Data can be read without it, but what is written
    /// would lack the retention that it asks for.
    blob_cfg_lost: Option<String>,
    loaded: Timestamp,
}

impl Settings {
    /// Reads and opens the settings.
    pub(crate) fn open(
        store: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        password: &SecretString,
        upgrade_owner: &str,
        leniency: Leniency,
    ) -> Result<Self> {
        let loaded = clock.now();
        let bytes = match store.get(&BlobId::from(FORMAT_BLOB), ByteRange::Full) {
            Err(e) if e.is_not_found() => return Err(RepoError::NotInitialized),
            result => result?,
        };
        let blob = FormatBlob::parse(&bytes).map_err(format_error)?;
        // Deriving the key takes a fifth of a second on purpose; the storage answers meanwhile.
        let (key, sealed_cfg) = std::thread::scope(|scope| {
            let cfg = scope.spawn(|| read_blob_cfg(store.as_ref()));
            let key = blob.derive_key(password).map_err(format_error);
            let cfg = cfg.join().unwrap_or_else(|_| read_blob_cfg(store.as_ref()));
            (key, cfg)
        });
        let key = key?;
        let format = blob.open(&key).map_err(format_error)?;
        let (blob_cfg, blob_cfg_lost) = open_blob_cfg(sealed_cfg?.as_deref(), &blob, &key);
        let parameters = Arc::new(check(&format, leniency)?);
        let format = Arc::new(format);
        let state = State { key, bytes, blob, format, parameters, blob_cfg, blob_cfg_lost, loaded };
        let settings = Self {
            store,
            clock,
            upgrade_owner: upgrade_owner.to_owned(),
            leniency,
            state: RwLock::new(state),
        };
        settings.check_lock()?;
        Ok(settings)
    }

    /// Fails if another client holds the upgrade lock; reads the format again if it is too old.
    ///
    /// Called before every operation on the storage that matters.
    pub(crate) fn check_usable(&self) -> Result<()> {
        if self.leniency.ignore_lock {
            return Ok(());
        }
        let now = self.clock.now();
        if now.duration_since(self.state.read().loaded) >= TRUSTED {
            self.reload()?;
        }
        self.check_lock()
    }

    fn check_lock(&self) -> Result<()> {
        let state = self.state.read();
        match &state.format.upgrade_lock {
            Some(lock)
                if !self.leniency.ignore_lock
                    && lock.excludes(&self.upgrade_owner, self.clock.now()) =>
            {
                Err(RepoError::UpgradeInProgress {
                    owner: lock.owner_id.clone(),
                    message: lock.message.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Reads both blobs again, with the key at hand.
    pub(crate) fn reload(&self) -> Result<()> {
        let loaded = self.clock.now();
        let bytes = self.store.get(&BlobId::from(FORMAT_BLOB), ByteRange::Full)?;
        if bytes == self.state.read().bytes {
            self.state.write().loaded = loaded;
            return Ok(());
        }
        let blob = FormatBlob::parse(&bytes).map_err(format_error)?;
        let sealed_cfg = read_blob_cfg(self.store.as_ref())?;
        let mut state = self.state.write();
        let format = blob.open(&state.key).map_err(format_error)?;
        (state.blob_cfg, state.blob_cfg_lost) =
            open_blob_cfg(sealed_cfg.as_deref(), &blob, &state.key);
        state.parameters = Arc::new(check(&format, self.leniency)?);
        state.format = Arc::new(format);
        state.blob = blob;
        state.bytes = bytes;
        state.loaded = loaded;
        Ok(())
    }

    /// Fails if nothing must be written: the settings of writing are damaged.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match &self.state.read().blob_cfg_lost {
            Some(reason) => Err(RepoError::SettingsLost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    pub(crate) fn parameters(&self) -> Arc<Parameters> {
        Arc::clone(&self.state.read().parameters)
    }

    pub(crate) fn format(&self) -> Arc<RepositoryFormat> {
        Arc::clone(&self.state.read().format)
    }

    pub(crate) fn format_blob(&self) -> FormatBlob {
        self.state.read().blob.clone()
    }

    /// `kopia.repository` as it is stored.
    pub(crate) fn stored(&self) -> Bytes {
        self.state.read().bytes.clone()
    }

    pub(crate) fn blob_cfg(&self) -> BlobCfg {
        self.state.read().blob_cfg.clone()
    }

    /// Runs `work` with the key of the format, which never leaves this place.
    pub(crate) fn with_key<R>(&self, work: impl FnOnce(&RepositoryFormat, &FormatKey) -> R) -> R {
        let state = self.state.read();
        work(&state.format, &state.key)
    }

    /// The copy of the format blob that packs of old repositories begin with.
    pub(crate) fn append_replica(&self, pack: &mut Vec<u8>) -> Result<()> {
        let state = self.state.read();
        if state.format.replicates_format() {
            append_replica(&state.bytes, pack).map_err(format_error)?;
        }
        Ok(())
    }

    /// How a blob must be written: those that hold the repository together carry the retention.
    pub(crate) fn put_options(&self, blob: &str) -> PutOptions {
        const PROTECTED: [&str; 6] = ["n", "x", FORMAT_BLOB, BLOBCFG_BLOB, "p", "q"];
        if PROTECTED.iter().any(|prefix| blob.starts_with(prefix)) {
            return retention_options(&self.state.read().blob_cfg);
        }
        PutOptions::default()
    }

    /// Hash and cipher as of the opening.
    pub(crate) fn crypto(&self) -> Result<Crypto> {
        let format = self.format();
        Ok(Crypto {
            hasher: format.hasher().map_err(format_error)?,
            cipher: format.cipher().map_err(format_error)?,
        })
    }
}

fn retention_options(cfg: &BlobCfg) -> PutOptions {
    match cfg.retention_period.try_into() {
        Ok(period) if cfg.is_retention_enabled() => {
            PutOptions::with_retention(Retention { mode: cfg.retention_mode.clone(), period })
        }
        _ => PutOptions::default(),
    }
}

fn read_blob_cfg(store: &dyn BlobStore) -> Result<Option<Bytes>, BlobError> {
    match store.get(&BlobId::from(BLOBCFG_BLOB), ByteRange::Full) {
        Err(e) if e.is_not_found() => Ok(None), // older than 0.10.2
        result => result.map(Some),
    }
}

fn open_blob_cfg(
    sealed: Option<&[u8]>,
    blob: &FormatBlob,
    key: &FormatKey,
) -> (BlobCfg, Option<String>) {
    match sealed.map(|sealed| BlobCfg::open(sealed, blob, key)) {
        Some(Ok(cfg)) => (cfg, None),
        Some(Err(error)) => {
            let reason = error.to_string();
            tracing::warn!("{reason}; the repository can only be read");
            (BlobCfg::default(), Some(reason))
        }
        None => (BlobCfg::default(), None),
    }
}

/// Checks that this program understands the format, and takes the parameters out of it.
fn check(format: &RepositoryFormat, leniency: Leniency) -> Result<Parameters> {
    match format.check_supported() {
        Err(FormatError::UnmetFeatures(features)) if leniency.ignore_missing_features => {
            tracing::warn!("ignored on request: {features}");
        }
        result => {
            for feature in &result.map_err(format_error)?.0 {
                tracing::warn!("{feature}");
            }
        }
    }
    Ok(Parameters::of(format))
}

/// Errors of the format blobs with the meaning that they have for the caller.
pub(crate) fn format_error(error: FormatError) -> RepoError {
    match error {
        FormatError::InvalidPassword => RepoError::InvalidPassword,
        FormatError::UnmetFeatures(features) => RepoError::RequiredFeature(features.to_string()),
        other => RepoError::Settings(other),
    }
}
