//! Changing settings of an open repository.
//!
//! There is no compare-and-swap on these blobs: the last writer wins. Other clients follow within
//! 15 minutes.

use std::sync::Arc;

use jiff::SignedDuration;
use kopist_blob::BlobId;
use kopist_format::{
    format_blob::{
        BLOBCFG_BLOB, BlobCfg, EpochParameters, FORMAT_BLOB, FormatBlob, RepositoryFormat,
        RequiredFeature,
    },
    kdf::FormatKey,
};
use secrecy::SecretString;

use super::{Parameters, Settings, format_error, retention_options};
use crate::error::{RepoError, Result};

/// What [`Repository::set_parameters`](crate::Repository::set_parameters) changes; `None` leaves
/// a parameter as it is.
#[derive(Debug, Clone, Default)]
pub struct ParameterChange {
    /// Bytes at which a pack is full: 10 to 120 MiB.
    pub max_pack_size: Option<i64>,
    /// Version of index blobs; can only rise.
    pub index_version: Option<i64>,
    /// Epoch parameters, all of them.
    pub epoch: Option<EpochParameters>,
    /// Retention of blobs.
    pub retention: Option<RetentionChange>,
    /// Requirements to drop, by name.
    pub remove_required_features: Vec<String>,
    /// Requirements to add; one of the same name is replaced.
    pub add_required_features: Vec<RequiredFeature>,
}

/// A new retention.
#[derive(Debug, Clone)]
pub enum RetentionChange {
    /// No retention.
    None,
    /// A new mode, a new period, or both.
    Set {
        /// `GOVERNANCE` or `COMPLIANCE`.
        mode: Option<String>,
        /// At least a day.
        period: Option<SignedDuration>,
    },
}

impl Settings {
    /// Encrypts the format with another password. The key of the data stays the same, so that
    /// nothing else has to be written.
    pub(crate) fn change_password(&self, password: &SecretString) -> Result<()> {
        self.reload()?;
        let (blob, format, cfg) = {
            let state = self.state.read();
            (state.blob.clone(), Arc::clone(&state.format), state.blob_cfg.clone())
        };
        let mut blob = blob;
        let key = blob.change_password(&format, password).map_err(format_error)?;
        self.write(blob, &format, &cfg, key)
    }

    /// Applies and stores a change; `false` if everything was so already.
    pub(crate) fn set_parameters(&self, change: &ParameterChange) -> Result<bool> {
        self.reload()?;
        let (blob, old, mut cfg) = {
            let state = self.state.read();
            (state.blob.clone(), Arc::clone(&state.format), state.blob_cfg.clone())
        };
        let mut format = RepositoryFormat::clone(&old);
        let mutable = &mut format.mutable;
        if let Some(size) = change.max_pack_size {
            mutable.max_pack_size = size;
        }
        if let Some(version) = change.index_version {
            mutable.index_version = version;
        }
        if let Some(epoch) = &change.epoch {
            if epoch.enabled != mutable.epoch.enabled {
                return Err(RepoError::InvalidOption(
                    "epochs are enabled by an upgrade of the repository, not by a parameter".into(),
                ));
            }
            mutable.epoch = epoch.clone();
        }
        let added = &change.add_required_features;
        format.required_features.retain(|old| {
            !change.remove_required_features.contains(&old.feature)
                && !added.iter().any(|new| new.feature == old.feature)
        });
        format.required_features.extend(added.iter().cloned());
        let old_cfg = cfg.clone();
        match &change.retention {
            None => {}
            Some(RetentionChange::None) => {
                cfg.retention_mode.clear();
                cfg.retention_period = SignedDuration::ZERO;
            }
            Some(RetentionChange::Set { mode, period }) => {
                if let Some(mode) = mode {
                    cfg.retention_mode.clone_from(mode);
                }
                if let Some(period) = period {
                    cfg.retention_period = *period;
                }
            }
        }
        let changed = format.mutable != old.mutable
            || cfg != old_cfg
            || format.required_features != old.required_features;
        if !changed {
            return Ok(false);
        }
        old.mutable.validate_change(&format.mutable).map_err(format_error)?;
        cfg.validate().map_err(format_error)?;
        self.store_format(blob, &format, &cfg)?;
        Ok(true)
    }

    /// Stores a changed format under the key in use.
    pub(crate) fn store_format(
        &self,
        mut blob: FormatBlob,
        format: &RepositoryFormat,
        cfg: &BlobCfg,
    ) -> Result<()> {
        let key = {
            let state = self.state.read();
            blob.seal(format, &state.key).map_err(format_error)?;
            FormatKey::from_bytes(*state.key.as_bytes())
        };
        self.write(blob, format, cfg, key)
    }

    /// First `kopia.blobcfg`, then `kopia.repository`, as Kopia does.
    fn write(
        &self,
        blob: FormatBlob,
        format: &RepositoryFormat,
        cfg: &BlobCfg,
        key: FormatKey,
    ) -> Result<()> {
        // What others must understand, this program need not.
        let parameters = Parameters::of(format);
        let sealed_cfg = cfg.seal(&blob, &key).map_err(format_error)?;
        let bytes = blob.to_bytes().map_err(format_error)?;
        let put = retention_options(cfg);
        self.store.put(&BlobId::from(BLOBCFG_BLOB), &[&sealed_cfg], &put)?;
        self.store.put(&BlobId::from(FORMAT_BLOB), &[&bytes], &put)?;
        let mut state = self.state.write();
        state.key = key;
        state.bytes = bytes.into();
        state.blob = blob;
        state.format = Arc::new(format.clone());
        state.parameters = Arc::new(parameters);
        state.blob_cfg = cfg.clone();
        state.loaded = self.clock.now();
        Ok(())
    }
}
