//! Writing the configuration file of a new connection.

use std::{fs, io, path::Path};

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobId, BlobStore, ByteRange, StorageConfig};
use kopist_format::format_blob::{FORMAT_BLOB, FormatBlob};
use kopist_repo::{
    LocalConfig, RepoError,
    config::{CachingConfig, ClientConfig},
};
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    app::{App, Outcome, now},
    env::{absolute, default_host_name, default_user_name},
    error::{CommandError, Context},
    grammar::Matches,
    session::{Session, open_error},
};

/// How long the format blob is trusted unless told otherwise.
const FORMAT_CACHE: SignedDuration = SignedDuration::from_mins(15);

/// Connects to the repository in `store`: checks that it opens, then writes the configuration
/// and remembers the password.
///
/// A failure leaves an earlier connection as it was. (kopia writes first and deletes the
/// configuration and its cache directory when opening fails.)
pub(super) fn connect(
    app: &App,
    matches: &Matches,
    storage: StorageConfig,
    store: &dyn BlobStore,
    password: &SecretString,
) -> Outcome {
    let config = new_config(app, matches, storage, store)?;
    let opened = Session::open_with(app, &config, password);
    opened.inspect_err(|e| app.error(format!("failed to open repository: {e}")))?;
    let path = &app.globals.config_file;
    config.save(path).context("unable to write config file")?;
    app.keep_password(password)?;
    app.info("Connected to repository.");
    update_check(app, matches);
    Ok(())
}

fn new_config(
    app: &App,
    matches: &Matches,
    storage: StorageConfig,
    store: &dyn BlobStore,
) -> Result<LocalConfig, CommandError> {
    let blob = match store.get(&BlobId::from(FORMAT_BLOB), ByteRange::Full) {
        Err(e) if e.is_not_found() => return Err(open_error(RepoError::NotInitialized)),
        result => result.context("unable to read format blob")?,
    };
    let format = FormatBlob::parse(&blob)?;
    let given = |flag: &str| matches.non_empty(flag);
    let seconds = |flag: &str| matches.duration(flag).unwrap_or(0);
    let cache_duration = if matches.flag("disable-repository-format-cache") {
        -1
    } else {
        match seconds("repository-format-cache-duration") {
            0 => i64::try_from(FORMAT_CACHE.as_nanos()).unwrap_or(0),
            nanos => nanos,
        }
    };
    let description =
        given("description").unwrap_or_else(|| format!("Repository in {}", store.display_name()));
    Ok(LocalConfig {
        storage: Some(storage),
        caching: Some(caching(app, matches, &format.unique_id)?),
        client: ClientConfig {
            hostname: given("override-hostname").unwrap_or_else(default_host_name),
            username: given("override-username").unwrap_or_else(|| default_user_name(&app.env)),
            read_only: matches.flag("readonly"),
            permissive_cache_loading: matches.flag("permissive-cache-loading"),
            description,
            enable_actions: matches.flag("enable-actions"),
            format_blob_cache_duration: cache_duration,
            ..ClientConfig::default()
        },
        ..LocalConfig::default()
    })
}

/// The caches of a new connection. The sizes are in MiB here, unlike those of `cache set`.
fn caching(app: &App, matches: &Matches, unique_id: &[u8]) -> Result<CachingConfig, CommandError> {
    let bytes = |flag: &str| matches.int(flag).unwrap_or(0) << 20;
    let seconds = |flag: &str| matches.duration(flag).unwrap_or(0) as f64 / 1e9;
    if bytes("content-cache-size-mb") == 0 {
        return Ok(CachingConfig::default());
    }
    let given = matches.os("cache-directory").filter(|dir| !dir.is_empty());
    let directory = if let Some(dir) = given {
        absolute(Path::new(dir)).context("unable to determine cache path")?
    } else {
        let base = app.env.cache_dir();
        let base = base.parent().unwrap_or(&base);
        CachingConfig::default_directory(base, unique_id, &app.globals.config_file)
    };
    Ok(CachingConfig {
        cache_directory: directory,
        content_cache_bytes: bytes("content-cache-size-mb"),
        content_cache_size_limit_bytes: bytes("content-cache-size-limit-mb"),
        metadata_cache_bytes: bytes("metadata-cache-size-mb"),
        metadata_cache_size_limit_bytes: bytes("metadata-cache-size-limit-mb"),
        max_list_cache_duration: seconds("max-list-cache-duration"),
        min_metadata_sweep_age: seconds("metadata-min-sweep-age"),
        min_content_sweep_age: seconds("content-min-sweep-age"),
        min_index_sweep_age: seconds("index-min-sweep-age"),
        ..CachingConfig::default()
    })
}

/// `<config>.update-info.json`: when kopia is to look for a new version of itself.
///
/// kopist never asks anybody, but keeps the file for kopia, which shares the configuration.
#[derive(Serialize)]
struct UpdateInfo {
    #[serde(rename = "nextCheckTimestamp")]
    next_check: Timestamp,
    #[serde(rename = "nextNotifyTimestamp")]
    next_notify: Timestamp,
    #[serde(rename = "availableVersion")]
    available_version: &'static str,
}

fn update_check(app: &App, matches: &Matches) {
    let path = update_info_path(&app.globals.config_file);
    let result = if matches.flag("check-for-updates") {
        let delay = matches.duration("initial-update-check-delay").unwrap_or(0);
        let due = now().saturating_add(SignedDuration::from_nanos(delay)).unwrap_or(Timestamp::MAX);
        let info = UpdateInfo { next_check: due, next_notify: due, available_version: "" };
        serde_json::to_vec(&info).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            fs::write(&path, text)
        })
    } else {
        forget_update_check(&app.globals.config_file)
    };
    if let Err(error) = result {
        app.warn(format!("cannot keep {}: {error}", path.display()));
    }
}

fn update_info_path(config: &Path) -> std::path::PathBuf {
    let mut path = config.as_os_str().to_owned();
    path.push(".update-info.json");
    path.into()
}

/// Removes the file about updates, if there is one.
pub(super) fn forget_update_check(config: &Path) -> io::Result<()> {
    match fs::remove_file(update_info_path(config)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
