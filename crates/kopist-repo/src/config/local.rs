//! `repository.config`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kopist_blob::StorageConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{ConfigError, password, write_private_file};
use crate::ClientIdentity;

/// What a cache may hold unless told otherwise: 5000 MiB, for contents and metadata each.
pub const DEFAULT_CACHE_BYTES: i64 = 5000 << 20;

/// The content of `repository.config`.
///
/// The cache directory is absolute here; in the file it is relative to the file's directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LocalConfig {
    /// A Kopia server, when the connection is not directly to a storage.
    #[serde(rename = "apiServer", default, skip_serializing_if = "Option::is_none")]
    pub api_server: Option<ApiServer>,
    /// Where the blobs are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageConfig>,
    /// Caches; an empty one switches caching off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caching: Option<CachingConfig>,
    /// Identity and behaviour of this client.
    #[serde(flatten)]
    pub client: ClientConfig,
}

/// A server connection (kept for whoever wrote it; kopist talks to storages).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiServer {
    /// Base URL.
    pub url: String,
    /// SHA-256 of the server's certificate, hex.
    #[serde(default)]
    pub server_cert_fingerprint: String,
    /// Everything else.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Identity and behaviour of this client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientConfig {
    /// Host name under which this client writes.
    #[serde(default)]
    pub hostname: String,
    /// User name under which this client writes.
    #[serde(default)]
    pub username: String,
    /// Never write to the storage.
    #[serde(rename = "readonly", default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// Skip index blobs that do not open (repair mode, read-only).
    #[serde(rename = "permissiveCacheLoading", default, skip_serializing_if = "is_false")]
    pub permissive_cache_loading: bool,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether actions of policies may run.
    #[serde(rename = "enableActions", default)]
    pub enable_actions: bool,
    /// How long the format blob may be trusted, nanoseconds; at most 15 min; negative = not.
    #[serde(rename = "formatBlobCacheDuration", default, skip_serializing_if = "is_zero")]
    pub format_blob_cache_duration: i64,
    /// Limits set with `repository throttle set`.
    #[serde(rename = "throttlingLimits", default, skip_serializing_if = "Option::is_none")]
    pub throttling: Option<ThrottlingLimits>,
    /// Keys of newer programs.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl ClientConfig {
    /// The identity under which this client writes.
    pub fn identity(&self) -> ClientIdentity {
        ClientIdentity::new(&self.username, &self.hostname)
    }
}

/// Rates and parallelism; 0 = unlimited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThrottlingLimits {
    /// Blob reads a second.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub reads_per_second: f64,
    /// Blob writes a second.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub writes_per_second: f64,
    /// Listings a second.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub lists_per_second: f64,
    /// Bytes a second.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub max_upload_speed_bytes_per_second: f64,
    /// Bytes a second.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub max_download_speed_bytes_per_second: f64,
    /// Reads at once.
    #[serde(skip_serializing_if = "is_zero")]
    pub concurrent_reads: i64,
    /// Writes at once.
    #[serde(skip_serializing_if = "is_zero")]
    pub concurrent_writes: i64,
    /// Keys of newer programs.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The caches of a connection. All limits are bytes, all ages seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CachingConfig {
    /// Where; empty = no caching.
    #[serde(skip_serializing_if = "is_empty_path")]
    pub cache_directory: PathBuf,
    /// Soft limit of the content cache; 0 = no caching at all.
    #[serde(rename = "maxCacheSize", skip_serializing_if = "is_zero")]
    pub content_cache_bytes: i64,
    /// Hard limit of the content cache; 0 = none.
    #[serde(skip_serializing_if = "is_zero")]
    pub content_cache_size_limit_bytes: i64,
    /// Soft limit of the metadata cache; 0 = same as contents.
    #[serde(rename = "maxMetadataCacheSize", skip_serializing_if = "is_zero")]
    pub metadata_cache_bytes: i64,
    /// Hard limit of the metadata cache; 0 = none.
    #[serde(skip_serializing_if = "is_zero")]
    pub metadata_cache_size_limit_bytes: i64,
    /// How long listings may be reused, seconds. kopist does not cache listings.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub max_list_cache_duration: f64,
    /// Metadata younger than this is kept, seconds.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub min_metadata_sweep_age: f64,
    /// Contents younger than this are kept, seconds.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub min_content_sweep_age: f64,
    /// Indexes younger than this are kept, seconds.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub min_index_sweep_age: f64,
    /// Keys of newer programs.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl CachingConfig {
    /// Whether this switches caching on.
    pub fn is_enabled(&self) -> bool {
        self.content_cache_bytes > 0 && !self.cache_directory.as_os_str().is_empty()
    }

    /// The metadata limit in force: the given one, or that of the contents.
    pub fn effective_metadata_bytes(&self) -> i64 {
        if self.metadata_cache_bytes > 0 {
            self.metadata_cache_bytes
        } else {
            self.content_cache_bytes
        }
    }

    /// Kopia's default place: `<user cache>/kopia/<16 hex of SHA-256(unique id, config path)>`.
    pub fn default_directory(user_cache: &Path, unique_id: &[u8], config: &Path) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(unique_id);
        hasher.update(config.as_os_str().as_encoded_bytes());
        let mut name = hex::encode(hasher.finalize());
        name.truncate(16);
        user_cache.join("kopia").join(name)
    }
}

impl LocalConfig {
    /// Reads `path`; a relative cache directory is resolved against the file's directory.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(ConfigError::NotConnected { path: path.into() });
            }
            Err(source) => {
                return Err(ConfigError::File { what: "read", path: path.into(), source });
            }
        };
        let mut config: Self = serde_json::from_slice(&text)
            .map_err(|source| ConfigError::Malformed { path: path.into(), source })?;
        if let Some(caching) = &mut config.caching {
            let dir = &caching.cache_directory;
            if !dir.as_os_str().is_empty() && dir.is_relative() {
                caching.cache_directory = clean(&parent(path).join(dir));
            }
        }
        Ok(config)
    }

    /// Writes `path` atomically, readable by its owner only.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let mut config = self.clone();
        if let Some(caching) = &mut config.caching
            && caching.cache_directory.is_absolute()
            && let Ok(from) = std::path::absolute(parent(path))
        {
            caching.cache_directory = relative(&clean(&from), &clean(&caching.cache_directory));
        }
        let fail = |source| ConfigError::File { what: "write", path: path.into(), source };
        let text = serde_json::to_vec_pretty(&config).map_err(|e| fail(e.into()))?;
        write_private_file(path, &text).map_err(fail)
    }

    /// Ends the connection: deletes the cache, the password and the file. What is already gone
    /// is no error.
    pub fn disconnect(path: &Path) -> Result<(), ConfigError> {
        let config = Self::load(path)?;
        if let Some(caching) = config.caching
            && !caching.cache_directory.as_os_str().is_empty()
        {
            let dir = caching.cache_directory;
            if !dir.is_absolute() {
                return Err(ConfigError::RelativeCacheDirectory);
            }
            gone(&dir, fs::remove_dir_all(&dir))?;
        }
        password::forget(path)?;
        let mut lock = path.as_os_str().to_owned();
        lock.push(".mlock");
        gone(Path::new(&lock), fs::remove_file(&lock))?;
        gone(path, fs::remove_file(path))
    }
}

/// Success also when there was nothing to delete.
pub(super) fn gone(path: &Path, result: io::Result<()>) -> Result<(), ConfigError> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(ConfigError::File { what: "delete", path: path.into(), source: e })
        }
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Resolves `.` and `..` by text, as Go's `filepath.Clean` does.
fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    out
}

/// The way from directory `from` to `to`, both absolute and clean.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let mut out = PathBuf::new();
    for _ in from.components().skip(common) {
        out.push("..");
    }
    out.extend(to.components().skip(common));
    if out.as_os_str().is_empty() {
        out.push(".");
    }
    out
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero_f64(value: &f64) -> bool {
    *value == 0.0
}

fn is_empty_path(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
