//! `repository throttle`: speed limits of this connection.

use kopist_repo::{LocalConfig, config::ThrottlingLimits};

use crate::commands::shared;
use crate::grammar::Command;
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::{Matches, go_quote},
    output::{JsonOutput, speed},
    session,
};

/// `repository throttle get`
pub(super) static GET: Command =
    Command::new("get", "Show throttling limits.").flags(&[shared::JSON]).run(get);

/// `repository throttle set`
pub(super) static SET: Command =
    Command::new("set", "Set throttling limits.").flags(&[shared::LIMITS]).run(set);

/// `repository throttle`
pub(super) static COMMAND: Command =
    Command::new("throttle", "Work with throttling.").commands(&[&GET, &SET]);

fn get(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let limits = session::limits_in_force(&session.config)?;
        let output = JsonOutput::new(matches);
        if output.json {
            return output.print(&app.console, &limits);
        }
        for (label, limit, is_speed) in [
            ("Max Download Speed:", limits.max_download_speed_bytes_per_second, true),
            ("Max Upload Speed:", limits.max_upload_speed_bytes_per_second, true),
            ("Max Read Requests Per Second:", limits.reads_per_second, false),
            ("Max Write Requests Per Second:", limits.writes_per_second, false),
            ("Max List Requests Per Second:", limits.lists_per_second, false),
            ("Max Concurrent Reads:", limits.concurrent_reads as f64, false),
            ("Max Concurrent Writes:", limits.concurrent_writes as f64, false),
        ] {
            let shown = match limit {
                0.0 => "(unlimited)".to_owned(),
                limit if is_speed => speed(limit),
                limit => format!("{limit:.0}"),
            };
            app.console.line(format!("{label:<30} {shown}"))?;
        }
        Ok(())
    })
}

fn set(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |_| {
        let path = &app.globals.config_file;
        let mut config = LocalConfig::load(path)?;
        let mut limits = session::limits_in_force(&config)?;
        if change(app, matches, &mut limits)? == 0 {
            app.info("No changes made.");
            return Ok(());
        }
        config.client.throttling = Some(limits);
        config.save(path).context("error setting limits")
    })
}

/// Applies the flags; returns how many there were.
fn change(
    app: &App,
    matches: &Matches,
    limits: &mut ThrottlingLimits,
) -> Result<usize, CommandError> {
    let mut changes = 0;
    for (flag, what, field, is_speed) in [
        (
            "download-bytes-per-second",
            "max download speed",
            &mut limits.max_download_speed_bytes_per_second,
            true,
        ),
        (
            "upload-bytes-per-second",
            "max upload speed",
            &mut limits.max_upload_speed_bytes_per_second,
            true,
        ),
        ("read-requests-per-second", "reads per second", &mut limits.reads_per_second, false),
        ("write-requests-per-second", "writes per second", &mut limits.writes_per_second, false),
        ("list-requests-per-second", "lists per second", &mut limits.lists_per_second, false),
    ] {
        let Some(value) = limit(app, matches, flag, what, f64::MAX)? else { continue };
        changes += 1;
        *field = value;
        if value != 0.0 {
            let shown = if is_speed { speed(value) } else { value.to_string() };
            app.info(format!("Setting {what} to {shown}."));
        }
    }
    for (flag, what, field) in [
        ("concurrent-reads", "concurrent reads", &mut limits.concurrent_reads),
        ("concurrent-writes", "concurrent writes", &mut limits.concurrent_writes),
    ] {
        let Some(value) = limit(app, matches, flag, what, i64::MAX)? else { continue };
        changes += 1;
        *field = value;
        if value != 0 {
            app.info(format!("Setting {what} to {value}."));
        }
    }
    Ok(changes)
}

/// The limit of a flag; zero is none. `None` if the flag is not given. Neither infinity nor what
/// is no number can be written to a configuration.
fn limit<T: std::str::FromStr + Default + PartialOrd>(
    app: &App,
    matches: &Matches,
    flag: &str,
    what: &str,
    largest: T,
) -> Result<Option<T>, CommandError> {
    let Some(text) = matches.non_empty(flag) else { return Ok(None) };
    if text == "unlimited" || text == "-" {
        app.info(format!("Setting {what} to a unlimited."));
        return Ok(Some(T::default()));
    }
    let text_error = || {
        let text = go_quote(&text);
        CommandError::new(format!("can't parse the {what} {text}: invalid syntax"))
    };
    let value: T = text.parse().map_err(|_| text_error())?;
    if !(T::default()..=largest).contains(&value) {
        return Err(CommandError::new(format!(
            "the {what} must be a number that is not negative; 'unlimited' is no limit"
        )));
    }
    Ok(Some(value))
}
