//! The connected repository of a command.
//!
//! A command asks for the kind of access it needs, [`read`] or `write`; opening, passwords,
//! flushing, maintenance that is due and the texts of errors are here.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kopist_blob::{BlobStore, Limits};
use kopist_cloud::ConnectOptions;
use kopist_repo::{
    CacheOptions, LocalConfig, OpenOptions, Repository, RepositoryWriter, WriterOptions,
    config::{CachingConfig, ConfigError, ThrottlingLimits},
};
use secrecy::SecretString;

use crate::{
    app::{App, Outcome},
    error::{CommandError, Context},
    output::{Level, Logger},
    upkeep,
};

/// An open connection.
#[derive(Debug)]
pub struct Session {
    /// The configuration file's content, the cache directory resolved.
    pub config: LocalConfig,
    /// The repository.
    pub repo: Repository,
    log: SessionLog,
}

/// The log that a session leaves in the repository if it wrote there.
#[derive(Debug)]
struct SessionLog {
    logger: Arc<Logger>,
    wanted: bool,
    wrote: AtomicBool,
}

impl Drop for Session {
    fn drop(&mut self) {
        let recorded = self.log.logger.recorded();
        if let Some(log) = recorded.filter(|_| self.log.wrote.load(Ordering::Relaxed))
            && let Err(error) = self.repo.put_log(&log.name, &log.body)
        {
            // A log that is missing is no reason to fail.
            let text = format!("unable to write diagnostics blob: {error}");
            self.log.logger.log(Level::Debug, "kopia/cli", &text);
        }
    }
}

/// Reads the configuration file.
///
/// An absolute `KOPIA_CACHE_DIRECTORY` replaces the cache directory in it.
pub fn load_config(app: &App) -> Result<LocalConfig, CommandError> {
    let path = &app.globals.config_file;
    let mut config = match LocalConfig::load(path) {
        Err(ConfigError::NotConnected { .. }) => {
            return Err(CommandError::new(
                "repository is not connected. See https://kopia.io/docs/repositories/",
            ));
        }
        loaded => loaded.context("error loading config file")?,
    };
    let dir = app.env.os("KOPIA_CACHE_DIRECTORY").filter(|dir| Path::new(dir).is_absolute());
    if let (Some(dir), Some(caching)) = (dir, &mut config.caching)
        && !caching.cache_directory.as_os_str().is_empty()
    {
        caching.cache_directory = dir.into();
    }
    Ok(config)
}

/// Connects to the storage of a configuration.
pub fn open_store(config: &LocalConfig) -> Result<Arc<dyn BlobStore>, CommandError> {
    if config.api_server.is_some() {
        return Err(CommandError::not_supported("a connection to a repository server"));
    }
    let storage = config
        .storage
        .as_ref()
        .ok_or_else(|| CommandError::new("storage not set in the configuration file"))?;
    let options = ConnectOptions {
        read_only: config.client.read_only,
        limits: config.client.throttling.as_ref().map(limits),
        ..ConnectOptions::default()
    };
    kopist_cloud::connect(storage, &options).context("cannot open storage")
}

/// The limits in force: those of `repository throttle set`, or else those of the storage.
pub fn limits_in_force(config: &LocalConfig) -> Result<ThrottlingLimits, CommandError> {
    if let Some(set) = &config.client.throttling {
        return Ok(set.clone());
    }
    let Some(storage) = &config.storage else { return Ok(ThrottlingLimits::default()) };
    let own = Limits::from_storage(storage).context("error reading limits")?;
    Ok(ThrottlingLimits {
        reads_per_second: own.reads_per_second,
        writes_per_second: own.writes_per_second,
        lists_per_second: own.lists_per_second,
        max_upload_speed_bytes_per_second: own.upload_bytes_per_second,
        max_download_speed_bytes_per_second: own.download_bytes_per_second,
        concurrent_reads: own.concurrent_reads.into(),
        concurrent_writes: own.concurrent_writes.into(),
        ..ThrottlingLimits::default()
    })
}

/// The limits of `repository throttle set`, which replace those of the storage.
fn limits(set: &ThrottlingLimits) -> Limits {
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    Limits {
        reads_per_second: set.reads_per_second,
        writes_per_second: set.writes_per_second,
        lists_per_second: set.lists_per_second,
        upload_bytes_per_second: set.max_upload_speed_bytes_per_second,
        download_bytes_per_second: set.max_download_speed_bytes_per_second,
        concurrent_reads: count(set.concurrent_reads),
        concurrent_writes: count(set.concurrent_writes),
    }
}

/// How the library is to open a repository with this configuration.
pub fn open_options(app: &App, config: &LocalConfig) -> OpenOptions {
    OpenOptions {
        identity: config.client.identity(),
        cache: config.caching.as_ref().filter(|c| c.is_enabled()).map(cache_options),
        read_only: config.client.read_only,
        upgrade_owner: app.globals.upgrade_owner.clone().unwrap_or_default(),
        permissive: config.client.permissive_cache_loading,
        ignore_missing_features: app.globals.ignore_missing_features,
        ..OpenOptions::default()
    }
}

fn cache_options(caching: &CachingConfig) -> CacheOptions {
    let limit = |soft: i64, hard: i64| {
        let limit = if hard > 0 { soft.min(hard) } else { soft };
        u64::try_from(limit).unwrap_or(0)
    };
    let mut options = CacheOptions::in_dir(&caching.cache_directory);
    options.content_limit =
        limit(caching.content_cache_bytes, caching.content_cache_size_limit_bytes);
    options.metadata_limit =
        limit(caching.effective_metadata_bytes(), caching.metadata_cache_size_limit_bytes);
    if caching.min_index_sweep_age > 0.0 {
        options.index_min_age_secs = caching.min_index_sweep_age as u64;
    }
    options
}

impl Session {
    /// Opens the connected repository.
    pub fn open(app: &App) -> Result<Self, CommandError> {
        let config = load_config(app)?;
        let password = app.existing_password().context("get password")?;
        Self::open_config(app, config, &password)
    }

    /// Opens the connected repository with a password that is known already.
    pub fn open_as(app: &App, password: &SecretString) -> Result<Self, CommandError> {
        Self::open_config(app, load_config(app)?, password)
    }

    fn open_config(
        app: &App,
        config: LocalConfig,
        password: &SecretString,
    ) -> Result<Self, CommandError> {
        let opened = Self::open_with(app, &config, password);
        let repo = opened.inspect_err(|e| app.error(format!("failed to open repository: {e}")));
        let repo = repo.context("unable to open repository")?;
        let wanted = app.globals.repository_log && !repo.is_read_only();
        let logger = Arc::clone(&app.logger);
        let log = SessionLog { logger, wanted, wrote: AtomicBool::new(false) };
        Ok(Self { config, repo, log })
    }

    /// Collects messages from now on for the repository's own log.
    pub(crate) fn record(&self) {
        if self.log.wanted {
            self.log.logger.record();
        }
    }

    /// Says that this session has written to the storage, so that its log is kept.
    pub(crate) fn has_written(&self) {
        self.log.wrote.store(true, Ordering::Relaxed);
    }

    /// Opens the repository of a configuration with a password.
    pub fn open_with(
        app: &App,
        config: &LocalConfig,
        password: &SecretString,
    ) -> Result<Repository, CommandError> {
        let store = open_store(config)?;
        let repo = Repository::open(store, password, open_options(app, config));
        if let Err(kopist_repo::RepoError::UpgradeInProgress { owner, message }) = &repo {
            // The error itself is a line that scripts look for.
            app.warn(format!("{message} (upgrade owner: {owner})"));
            return Err(CommandError::new("repository upgrade in progress"));
        }
        repo.map_err(open_error)
    }

    /// Who this client is: `user@host`.
    pub fn identity(&self) -> String {
        self.repo.identity().to_string()
    }
}

/// The error of opening, with the words around it that scripts look for.
pub fn open_error(error: kopist_repo::RepoError) -> CommandError {
    match error {
        kopist_repo::RepoError::InvalidPassword => CommandError::new(
            "unable to create format manager: invalid repository password; \
             pass the right one with --password or KOPIA_PASSWORD",
        ),
        kopist_repo::RepoError::NotInitialized => CommandError::new(format!(
            "{error}; 'kopia repository create' makes one there, and --path, --bucket or \
             --prefix may point elsewhere"
        )),
        error => error.into(),
    }
}

/// Opens the repository for a command that only reads.
pub fn read(app: &App, run: impl FnOnce(&Session) -> Outcome) -> Outcome {
    let session = Session::open(app).context("open repository")?;
    run(&session)
}

/// Opens the repository for a command that writes: what it wrote is flushed if it succeeds, and
/// dropped if it fails. Maintenance that is due comes afterwards.
pub fn write(app: &App, run: impl FnOnce(&Session, &RepositoryWriter) -> Outcome) -> Outcome {
    let session = Session::open(app).context("open repository")?;
    write_in(app, &session, |writer| run(&session, writer))?;
    upkeep::run_if_due(app, &session)
}

/// The same for a command after which maintenance is nobody's expectation.
pub fn write_direct(
    app: &App,
    run: impl FnOnce(&Session, &RepositoryWriter) -> Outcome,
) -> Outcome {
    let session = Session::open(app).context("open repository")?;
    session.record();
    session.has_written();
    write_in(app, &session, |writer| run(&session, writer))
}

/// Runs a write session in a repository that is open.
pub fn write_in(
    app: &App,
    session: &Session,
    run: impl FnOnce(&RepositoryWriter) -> Outcome,
) -> Outcome {
    let options =
        WriterOptions { purpose: format!("cli:{}", app.command), ..WriterOptions::default() };
    session.record();
    let writer = session.repo.writer(options)?;
    let result = run(&writer).and_then(|()| writer.flush().context("error flushing writer"));
    if writer.stats().packs > 0 {
        session.has_written();
    }
    result
}
