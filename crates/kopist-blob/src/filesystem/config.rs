use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::throttle::Limits;
use crate::{BlobError, StorageConfig, normalize_keys};

/// `type` of the storage.
pub const KIND: &str = "filesystem";

/// Settings of a filesystem store. The JSON form is that of `repository.config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilesystemConfig {
    /// Root directory of the store.
    pub path: PathBuf,
    /// Permissions of new files, less the umask; zero means `0o600`. Decimal in JSON.
    #[serde(rename = "fileMode", default, skip_serializing_if = "is_zero")]
    pub file_mode: u32,
    /// Permissions of new directories, less the umask; zero means `0o700`. Decimal in JSON.
    #[serde(rename = "dirMode", default, skip_serializing_if = "is_zero")]
    pub dir_mode: u32,
    /// Owner of new files; applied only by root, and only if `gid` is set as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group of new files; see `uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Layout for a store that has no `.shards` file yet; `None` means the default one, an
    /// empty list a flat one.
    #[serde(rename = "dirShards", default)]
    pub dir_shards: Option<Vec<usize>>,
    /// How many directories a listing reads at the same time; zero lets the store choose.
    #[serde(rename = "listParallelism", default, skip_serializing_if = "is_none")]
    pub list_parallelism: usize,
    /// Speed limits. The store does not apply them, [`Throttle`](crate::throttle::Throttle) does.
    #[serde(flatten)]
    pub limits: Limits,
    /// Settings of newer versions, kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_none(value: &usize) -> bool {
    *value == 0
}

const KEYS: [&str; 7] =
    ["path", "fileMode", "dirMode", "uid", "gid", "dirShards", "listParallelism"];

impl FilesystemConfig {
    /// A store at `path` with the usual settings.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// A store at `path` without directories, if it is a new one.
    pub fn flat(path: impl Into<PathBuf>) -> Self {
        Self::with_shards(path, &[])
    }

    /// A store at `path` with this layout, if it is a new one.
    pub fn with_shards(path: impl Into<PathBuf>, shards: &[usize]) -> Self {
        Self { dir_shards: Some(shards.to_vec()), ..Self::new(path) }
    }

    /// Reads the `config` of a storage configuration. Keys match in any case.
    pub fn from_storage(storage: &StorageConfig) -> Result<Self, BlobError> {
        let invalid = |message: String| BlobError::InvalidConfig { kind: KIND.to_owned(), message };
        if storage.kind != KIND {
            return Err(invalid(format!("its type is {:?}", storage.kind)));
        }
        let known: Vec<&str> = KEYS.into_iter().chain(Limits::KEYS).collect();
        let config: Self = serde_json::from_value(normalize_keys(&storage.config, &known))
            .map_err(|error| invalid(error.to_string()))?;
        if config.path.as_os_str().is_empty() {
            return Err(invalid("\"path\" is missing".to_owned()));
        }
        Ok(config)
    }

    /// The storage configuration that [`from_storage`](Self::from_storage) reads.
    pub fn to_storage(&self) -> StorageConfig {
        // Only a path that is not Unicode cannot be JSON; it is written as well as it can be.
        let config = serde_json::to_value(self).unwrap_or_else(|_| {
            let path = PathBuf::from(self.path.to_string_lossy().into_owned());
            serde_json::to_value(Self { path, ..self.clone() }).unwrap_or_default()
        });
        StorageConfig::new(KIND, config)
    }

    /// Permission bits of new files.
    pub fn effective_file_mode(&self) -> u32 {
        if self.file_mode == 0 { 0o600 } else { self.file_mode & 0o777 }
    }

    /// Permission bits of new directories.
    pub fn effective_dir_mode(&self) -> u32 {
        if self.dir_mode == 0 { 0o700 } else { self.dir_mode & 0o777 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn storage(config: Value) -> StorageConfig {
        StorageConfig::new(KIND, config)
    }

    #[test]
    fn json_is_that_of_kopia() {
        // As `kopia repository create filesystem` writes it.
        let written = json!({"path": "/r", "fileMode": 384, "dirMode": 448, "dirShards": null});
        let config = FilesystemConfig::from_storage(&storage(written.clone())).unwrap();
        assert_eq!((config.effective_file_mode(), config.effective_dir_mode()), (0o600, 0o700));
        assert_eq!(config.to_storage().config.to_string(), written.to_string());

        let full = json!({
            "path": "/r", "fileMode": 416, "dirMode": 488, "uid": 0, "gid": 1000,
            "dirShards": [], "listParallelism": 8, "maxUploadSpeedBytesPerSecond": 1_000_000,
            "somethingNew": {"a": 1},
        });
        let config = FilesystemConfig::from_storage(&storage(full.clone())).unwrap();
        assert_eq!((config.uid, config.gid), (Some(0), Some(1000)));
        assert_eq!(config.dir_shards.as_deref(), Some(&[][..]));
        assert_eq!(config.to_storage().config.to_string(), full.to_string());
    }

    #[test]
    fn keys_match_in_any_case() {
        let config = FilesystemConfig::from_storage(&storage(json!({"PATH": "/r", "UID": 3})));
        assert_eq!(config.unwrap().uid, Some(3));
    }

    #[test]
    fn unusable_settings_are_named() {
        for (config, part) in [
            (json!({}), "path"),
            (json!({"path": ""}), "path"),
            (json!({"path": "/r", "dirShards": "x"}), "sequence"),
        ] {
            let error = FilesystemConfig::from_storage(&storage(config)).unwrap_err().to_string();
            assert!(error.contains("filesystem storage") && error.contains(part), "{error}");
        }
    }
}
