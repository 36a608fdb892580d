//! `snapshot copy-history` and `snapshot move-history`

use kopist_snapshot::{
    SourceInfo,
    history::{Fate, Transfer, transfer},
};

use crate::grammar::{Arg, Command, Flag, Matches};
use crate::{
    app::{App, Outcome},
    commands::sources::source,
    error::Context as _,
    session,
};

const FLAGS: &[Flag] =
    &[Flag::switch("dry-run", "Show what would be done without doing it.").short('n')];

/// `snapshot copy-history`
pub(super) static COPY: Command =
    Command::new("copy-history", "Copy snapshots to another user, host or path.")
        .flags(&[FLAGS])
        .args(&[Arg::text("source", "Source").required(), Arg::text("destination", "")])
        .run(|app, matches| run(app, matches, false));

/// `snapshot move-history`
pub(super) static MOVE: Command =
    Command::new("move-history", "Move snapshots to another user, host or path.")
        .flags(&[FLAGS])
        .args(&[Arg::text("source", "Source").required(), Arg::text("destination", "")])
        .run(|app, matches| run(app, matches, true));

fn run(app: &App, matches: &Matches, delete_originals: bool) -> Outcome {
    session::write(app, |session, writer| {
        let repo = &session.repo;
        let from = source(repo, &matches.text("source").unwrap_or_default());
        let from = from.context("invalid source")?;
        let to = match matches.non_empty("destination") {
            Some(text) => source(repo, &text).context("invalid destination")?,
            None => SourceInfo::new(&repo.identity().username, &repo.identity().hostname, ""),
        };
        let how = Transfer { delete_originals, dry_run: matches.flag("dry-run") };
        let action = if delete_originals { "moving" } else { "copying" };
        let dry = if how.dry_run { " (dry run)" } else { "" };
        Ok(transfer(writer, &from, &to, how, &mut |snapshot, to, fate| {
            let time = app.time(snapshot.start_time.to_timestamp());
            app.info(match fate {
                Fate::Transferred => {
                    let from = SourceInfo::from(&snapshot.source);
                    format!("{action}{dry} {from} ({time}) => {to}")
                }
                Fate::Exists => format!("{to} ({time}) already exists"),
                Fate::ExistsAndDeleted => {
                    format!("{to} ({time}) already exists - deleting source")
                }
            });
        })?)
    })
}
