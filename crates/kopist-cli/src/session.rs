//! The connected repository of a command.
//!
//! A command asks for the kind of access it needs, [`read`] or `write`; opening, passwords,
//! flushing, maintenance that is due and the texts of errors are here.

use std::{path::Path, sync::Arc};

use kopist_blob::BlobStore;
use kopist_cloud::ConnectOptions;
use kopist_repo::{
    CacheOptions, LocalConfig, OpenOptions, Repository, RepositoryWriter, WriterOptions,
    config::{CachingConfig, ConfigError},
};
use secrecy::SecretString;

use crate::{
    app::{App, Outcome},
    error::{CommandError, Context},
    upkeep,
};

/// An open connection.
#[derive(Debug)]
pub struct Session {
    /// The configuration file's content, the cache directory resolved.
    pub config: LocalConfig,
    /// The repository.
    pub repo: Repository,
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
    let options =
        ConnectOptions { read_only: config.client.read_only, ..ConnectOptions::default() };
    kopist_cloud::connect(storage, &options).context("cannot open storage")
}

/// How the library is to open a repository with this configuration.
pub fn open_options(app: &App, config: &LocalConfig) -> OpenOptions {
    OpenOptions {
        identity: config.client.identity(),
        cache: config.caching.as_ref().filter(|c| c.is_enabled()).map(cache_options),
        read_only: config.client.read_only,
        upgrade_owner: app.globals.upgrade_owner.clone().unwrap_or_default(),
        permissive: config.client.permissive_cache_loading,
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
        let opened = Self::open_with(app, &config, &password);
        let repo = opened.inspect_err(|e| app.error(format!("failed to open repository: {e}")));
        let repo = repo.context("unable to open repository")?;
        Ok(Self { config, repo })
    }

    /// Opens the repository of a configuration with a password.
    pub fn open_with(
        app: &App,
        config: &LocalConfig,
        password: &SecretString,
    ) -> Result<Repository, CommandError> {
        let store = open_store(config)?;
        let repo = Repository::open(store, password, open_options(app, config));
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
        kopist_repo::RepoError::InvalidPassword => {
            CommandError::from(error).context("unable to create format manager")
        }
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
    let writer = session.repo.writer(options)?;
    run(&writer)?;
    writer.flush().context("error flushing writer")
}
