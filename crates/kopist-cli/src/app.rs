//! One run of the program: the global flags and what every command needs.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    env::Environment,
    error::CommandError,
    grammar::Matches,
    output::{Console, FileOptions, Level, LogOptions, Logger, Sweep, Zone},
};

/// What a command ends with.
pub type Outcome = Result<(), CommandError>;

/// The surroundings of a command.
#[derive(Debug)]
pub struct App {
    /// Variables and directories.
    pub env: Environment,
    /// Output streams.
    pub console: Arc<Console>,
    /// Messages.
    pub logger: Arc<Logger>,
    /// Flags that every command has.
    pub globals: Globals,
    /// The words of the command: `snapshot create`.
    pub command: String,
}

/// The values of the flags that every command has.
#[derive(Debug)]
pub struct Globals {
    /// The file that describes the connection.
    pub config_file: PathBuf,
    /// The password of flag or variable, trimmed; `None` if empty.
    pub password: Option<SecretString>,
    /// Whether connect and create remember the password.
    pub persist_credentials: bool,
    /// Whether it is kept in the keyring rather than in a file.
    pub use_keyring: bool,
    /// Whether to show progress.
    pub progress: bool,
    /// Nanoseconds between updates of the progress line.
    pub progress_interval: i64,
    /// Zone of printed times.
    pub zone: Zone,
    /// Whether maintenance may run after a command that writes.
    pub auto_maintenance: bool,
    /// Whether sessions that write leave a log in the repository.
    pub repository_log: bool,
    /// Open although the repository requires a feature that this program does not have.
    pub ignore_missing_features: bool,
    /// Whether commands that can lose data are allowed.
    pub dangerous: bool,
    /// Who may open the repository while its format is being upgraded.
    pub upgrade_owner: Option<String>,
    /// Print sizes in KiB, MiB and so on.
    pub base2: bool,
}

/// The time of this process's clock: the one place in this crate that reads it.
#[allow(clippy::disallowed_methods)] // the one exception of this crate
pub fn now() -> Timestamp {
    Timestamp::now()
}

impl App {
    /// Reads the global flags.
    pub fn new(
        env: Environment,
        console: Arc<Console>,
        matches: &Matches,
    ) -> Result<Self, CommandError> {
        let command = matches.command_name();
        let options = log_options(&env, &console, matches, &command);
        let logger = Arc::new(Logger::new(options, Arc::clone(&console), now));
        let zone = Zone::by_name(&matches.text("timezone").unwrap_or_default())
            .map_err(CommandError::new)?;
        let password = matches.text("password").filter(|p| !p.is_empty());
        let globals = Globals {
            config_file: env.config_file(matches.os("config-file").unwrap_or_default()),
            password: password.map(|p| SecretString::from(p.trim().to_owned())),
            persist_credentials: matches.flag("persist-credentials"),
            use_keyring: matches.flag("use-keyring"),
            progress: matches.bool("progress").unwrap_or_else(|| console.is_terminal()),
            progress_interval: matches.duration("progress-update-interval").unwrap_or(0),
            zone,
            auto_maintenance: matches.flag("auto-maintenance"),
            repository_log: !matches.flag("disable-repository-log"),
            ignore_missing_features: matches.flag("ignore-missing-required-features"),
            dangerous: matches.text("dangerous-commands").as_deref() == Some("enabled"),
            upgrade_owner: matches.non_empty("upgrade-owner-id"),
            base2: env.is_true("KOPIA_BYTES_STRING_BASE_2"),
        };
        Ok(Self { env, console, logger, globals, command })
    }

    /// Says what may help to find a fault.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.logger.log(Level::Debug, "kopia/cli", message.as_ref());
    }

    /// Says what happens.
    pub fn info(&self, message: impl AsRef<str>) {
        self.logger.log(Level::Info, "kopia/cli", message.as_ref());
    }

    /// Says what should not be.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.logger.log(Level::Warning, "kopia/cli", message.as_ref());
    }

    /// Says what failed.
    pub fn error(&self, message: impl AsRef<str>) {
        self.logger.log(Level::Error, "kopia/cli", message.as_ref());
    }

    /// A size for people.
    pub fn size(&self, bytes: impl Into<crate::output::Size>) -> String {
        crate::output::size(bytes, self.globals.base2)
    }

    /// A time for people.
    pub fn time(&self, time: Timestamp) -> String {
        self.globals.zone.show(time)
    }

    /// Refuses to go on unless dangerous commands are allowed.
    pub fn require_dangerous(&self) -> Outcome {
        if self.globals.dangerous {
            return Ok(());
        }
        Err(CommandError::new(
            "This command is dangerous: it can damage the repository and lose data.\n\
             It is not needed for ordinary use; maintenance does all that is needed.\n\
             To run it nevertheless, set --dangerous-commands=enabled",
        ))
    }
}

/// Colours are for people: on a terminal that shows them, unless nobody wants them.
fn colour(env: &Environment, console: &Console, matches: &Matches) -> bool {
    let fit = console.is_terminal()
        && env.text("NO_COLOR").is_none()
        && env.text("TERM").as_deref() != Some("dumb");
    matches.flag("force-color") || fit && !matches.flag("disable-color")
}

fn log_options(
    env: &Environment,
    console: &Console,
    matches: &Matches,
    command: &str,
) -> LogOptions {
    let level = |name, default| {
        let text = matches.text(name).unwrap_or_default();
        Level::by_name(&text).unwrap_or(default)
    };
    LogOptions {
        console_level: level("log-level", Level::Info),
        console_json: matches.flag("json-log-console"),
        console_times: matches.flag("console-timestamps"),
        console_colour: colour(env, console, matches),
        file: log_file(env, matches, command).map(|(path, sweep)| FileOptions {
            level: level("file-log-level", Level::Debug),
            json: matches.flag("json-log-file"),
            local_times: matches.flag("file-log-local-tz"),
            path,
            sweep,
            segment_size: matches.int("max-log-file-segment-size").unwrap_or(0).max(1) as u64,
        }),
    }
}

/// The path of the log file, and which old ones to remove if the name is a generated one.
fn log_file(
    env: &Environment,
    matches: &Matches,
    command: &str,
) -> Option<(PathBuf, Option<Sweep>)> {
    if matches.flag("disable-file-logging") {
        return None;
    }
    if let Some(path) = matches.non_empty("log-file") {
        return Some((path.into(), None));
    }
    let dir = match matches.os("log-dir") {
        Some(dir) if dir.is_empty() => return None,
        Some(dir) => PathBuf::from(dir),
        None => env.cache_dir(),
    };
    let name = format!(
        "kopia-{}-{}-{}.log",
        now().strftime("%Y%m%d-%H%M%S"),
        std::process::id(),
        command.replace(' ', "-")
    );
    let limit = |name| matches.int(name).unwrap_or(0).max(0) as u64;
    let megabytes = matches.float("log-dir-max-total-size-mb").unwrap_or(0.0);
    let sweep = Sweep {
        max_files: limit("log-dir-max-files"),
        max_age: matches.duration("log-dir-max-age").unwrap_or(0).max(0) as u64 / 1_000_000_000,
        max_bytes: (megabytes * 1e6) as u64,
    };
    let wanted = sweep.max_files > 0 || sweep.max_age > 0;
    Some((dir.join("cli-logs").join(name), wanted.then_some(sweep)))
}
