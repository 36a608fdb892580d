//! `repository set-client`

use kopist_repo::{LocalConfig, config::ClientConfig};

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::CommandError,
    grammar::Matches,
    output::duration,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("read-only", "Connect for reading only."),
    Flag::switch("read-write", "Allow writing."),
    Flag::switch(
        "permissive-cache-loading",
        "Skip damaged index blobs instead of failing (rescue only).",
    )
    .hidden(),
    Flag::text("description", "Description of the repository connection.").repeated(),
    Flag::text("username", "User name.").repeated(),
    Flag::text("hostname", "Host name to record in snapshots.").repeated(),
    Flag::duration(
        "repository-format-cache-duration",
        "Time for which the format blob may be reused.",
    ),
    Flag::switch("disable-repository-format-cache", "Do not cache the format blob."),
];

/// `repository set-client`
pub(super) static COMMAND: Command =
    Command::new("set-client", "Set options of this client.").flags(&[FLAGS]).run(run);

/// Opens the repository first, so that a password is needed as for any other change.
fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |_| {
        let path = &app.globals.config_file;
        let mut config = LocalConfig::load(path)?;
        if !change(app, matches, &mut config.client) {
            return Err(CommandError::new("no changes"));
        }
        Ok(config.save(path)?)
    })
}

/// Applies the flags and tells whether there was anything to change.
fn change(app: &App, matches: &Matches, client: &mut ClientConfig) -> bool {
    let mut changed = false;
    for (flag, read_only, mode) in
        [("read-only", true, "read-only"), ("read-write", false, "read-write")]
    {
        if !matches.flag(flag) {
            continue;
        }
        if client.read_only == read_only {
            app.info(format!("Repository is already in {mode} mode."));
        } else {
            client.read_only = read_only;
            changed = true;
            app.info(format!("Setting repository to {mode} mode."));
        }
    }
    if matches.flag("permissive-cache-loading") {
        if client.permissive_cache_loading {
            app.info("Bad index blobs are already skipped.");
        } else {
            client.permissive_cache_loading = true;
            changed = true;
            app.info("Setting to load indices into cache permissively.");
        }
    }
    // Of several values the first counts; an empty one is a value.
    for (flag, what, field) in [
        ("description", "description", &mut client.description),
        ("username", "local username", &mut client.username),
        ("hostname", "local hostname", &mut client.hostname),
    ] {
        if let Some(value) = matches.texts(flag).into_iter().next() {
            app.info(format!("Setting {what} to {value}"));
            *field = value;
            changed = true;
        }
    }
    let nanos = matches.duration("repository-format-cache-duration").unwrap_or(0);
    if nanos != 0 {
        client.format_blob_cache_duration = nanos;
        changed = true;
        app.info(format!("Setting format blob cache duration to {}", duration(nanos)));
    }
    if matches.flag("disable-repository-format-cache") {
        client.format_blob_cache_duration = -1;
        changed = true;
        app.info("Disabling format blob cache");
    }
    changed
}
