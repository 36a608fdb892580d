//! `repository upgrade`: format versions 1 and 2 become version 3.
//!
//! The repository is locked for everybody else meanwhile. Other clients look for the lock every
//! 15 minutes, so that the upgrade begins half an hour after the lock was set; what is
//! interrupted goes on when the same owner begins again.

use std::time::Duration;

use jiff::SignedDuration;
use kopist_format::{
    format_blob::{FormatVersion, UpgradeLock},
    json::Unknown,
};
use kopist_repo::Repository;

use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::{Command, Flag, Matches},
    output::duration,
    session,
};

/// How long other clients trust the settings that they have read.
const SETTINGS_TRUSTED: SignedDuration = SignedDuration::from_mins(15);

const BEGIN_FLAGS: &[Flag] = &[
    Flag::duration("io-drain-timeout", "Time that clients have to notice the upgrade.")
        .default("15m0s"),
    Flag::switch("allow-unsafe-upgrade", "Skip the safety checks.").hidden(),
    Flag::duration("status-poll-interval", "Interval at which the state is checked.")
        .default("60s"),
    Flag::duration("max-permitted-clock-drift", "Largest difference between clocks.")
        .default("5m0s"),
    Flag::switch("lock-only", "Only take the lock.").hidden(),
    Flag::one_of("commit-mode", &["always", "never"], "When to commit the upgrade.").hidden(),
];

/// `repository upgrade begin`
static BEGIN: Command =
    Command::new("begin", "Begin the upgrade.").flags(&[BEGIN_FLAGS]).run(begin);

const ROLLBACK_FLAGS: &[Flag] =
    &[Flag::switch("force", "Run although another user owns maintenance.")];

/// `repository upgrade rollback`
static ROLLBACK: Command =
    Command::new("rollback", "Roll the upgrade back.").flags(&[ROLLBACK_FLAGS]).run(roll_back);

/// `repository upgrade validate`
static VALIDATE: Command = Command::new("validate", "Check the upgraded indexes.").run(validate);

/// `repository upgrade`
pub(super) static COMMAND: Command =
    Command::new("upgrade", "Upgrade the format of the repository.")
        .hidden()
        .requires_env("KOPIA_UPGRADE_LOCK_ENABLED")
        .commands(&[&BEGIN, &ROLLBACK, &VALIDATE]);

fn begin(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, _| {
        let repo = &session.repo;
        let lock = new_lock(app, matches, repo)?;
        let placed =
            repo.lock_for_upgrade(&lock).context("error setting the upgrade lock intent")?;
        if placed.is_none() {
            app.info("Repository format is already upto date.");
            return Ok(());
        }
        app.info("Repository upgrade lock intent has been placed.");
        if matches.flag("lock-only") {
            return Ok(());
        }
        if repo.parameters().epoch.enabled {
            app.info(
                "Repository indices have already been migrated to the epoch format, no need to \
                 drain other clients",
            );
        } else {
            drain(app, repo).context("failed to upgrade the repository, lock is not released")?;
            app.info("migrating current indices to epoch format");
            repo.upgrade_indexes().context("error upgrading indices")?;
            app.info("Repository indices have been upgraded.");
        }
        let commit = matches.text("commit-mode").unwrap_or_default();
        match check(app, repo) {
            Err(error) if commit == "always" => app.error(error.to_string()),
            result => result?,
        }
        if commit == "never" {
            app.info("Commit mode is set to 'never'.  Skipping commit.");
            return Ok(());
        }
        repo.commit_upgrade().context("error finalizing upgrade")?;
        app.info("Repository has been successfully upgraded.");
        Ok(())
    })
}

fn new_lock(app: &App, matches: &Matches, repo: &Repository) -> Result<UpgradeLock, CommandError> {
    let time = |flag| SignedDuration::from_nanos(matches.duration(flag).unwrap_or(0));
    let drain = time("io-drain-timeout");
    if drain < SETTINGS_TRUSTED && !matches.flag("allow-unsafe-upgrade") {
        let least = shown(SETTINGS_TRUSTED);
        return Err(CommandError::new(format!("minimum required io-drain-timeout is {least}")));
    }
    let version = repo.parameters().version;
    let newest = FormatVersion::V3.number();
    Ok(UpgradeLock {
        owner_id: app.globals.upgrade_owner.clone().unwrap_or_default(),
        creation_time: repo.clock().now(),
        advance_notice: SignedDuration::ZERO,
        io_drain_timeout: drain,
        status_poll_interval: time("status-poll-interval"),
        message: format!("Upgrading from format version {version} -> {newest}"),
        max_permitted_clock_drift: time("max-permitted-clock-drift"),
        unknown: Unknown::default(),
    })
}

fn shown(time: SignedDuration) -> String {
    duration(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// Waits until everybody has noticed the lock.
fn drain(app: &App, repo: &Repository) -> Outcome {
    loop {
        let Some(lock) = repo.upgrade_lock()? else {
            return Err(CommandError::new(
                "upgrade lock got revoked after the intent was placed, giving up",
            ));
        };
        let now = repo.clock().now();
        let left = lock.upgrade_time().duration_since(now);
        let seconds = shown(SignedDuration::from_secs(left.as_secs()));
        app.info(format!("Waiting for {seconds} to allow all other kopia clients to drain ..."));
        if lock.writers_drained(now) {
            break;
        }
        let pause = Duration::try_from(lock.status_poll_interval.min(left)).unwrap_or_default();
        std::thread::sleep(pause);
    }
    app.info(
        "Successfully drained all repository clients, the lock has been fully-established now.",
    );
    Ok(())
}

/// Compares the old index with the new one.
fn check(app: &App, repo: &Repository) -> Outcome {
    let Some(wrong) = repo.check_upgraded()? else {
        app.info("old index is empty (possibly due to upgrade), nothing to compare against");
        return Ok(());
    };
    if wrong.is_empty() {
        app.info("index validation succeeded");
        return Ok(());
    }
    app.error("inconsistencies found in migrated index:");
    for line in &wrong {
        app.error(line);
    }
    Err(CommandError::new(format!(
        "{} contents are different in the upgraded index; the repository remains locked until \
         'repository upgrade rollback --force' or until the upgrade is begun again",
        wrong.len()
    )))
}

fn validate(app: &App, _: &Matches) -> Outcome {
    session::write_direct(app, |session, _| check(app, &session.repo))
}

fn roll_back(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, _| {
        if !matches.flag("force") {
            return Err(CommandError::new(
                "repository upgrade lock can only be revoked unsafely; please use the --force flag",
            ));
        }
        session.repo.roll_back_upgrade().context("failed to rollback the upgrade")?;
        app.info("Repository upgrade lock has been revoked.");
        Ok(())
    })
}
