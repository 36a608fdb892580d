//! `logs cleanup`

use jiff::SignedDuration;
use kopist_format::maintenance::LogRetention;
use kopist_repo::maintenance::clean_up_logs;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::duration("max-age", "Age up to which logs are kept.").default("720h"),
    Flag::int("max-count", "Number of logs to keep.").default("10000"),
    Flag::int64("max-total-size-mb", "Total size of logs to keep, in MB.").default("1024"),
    Flag::switch("dry-run", "Show what would be done without doing it."),
];

/// `logs cleanup`
pub(super) static COMMAND: Command =
    Command::new("cleanup", "Delete old repository logs.").flags(&[FLAGS]).run(run);

/// The one command that writes without leaving a log: it would be one too many.
fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let number = |flag: &str| matches.int(flag).unwrap_or(0);
        let retention = LogRetention {
            max_total_size: number("max-total-size-mb").saturating_mul(1 << 20),
            max_count: number("max-count"),
            max_age: SignedDuration::from_nanos(matches.duration("max-age").unwrap_or(0)),
        };
        let dry_run = matches.flag("dry-run");
        let stats = clean_up_logs(&session.repo, &retention, session.repo.clock().now(), dry_run)
            .context("error expiring logs")?;
        app.info(match (stats.to_delete_blob_count, dry_run) {
            (0, _) => "No logs found to delete.".to_owned(),
            (count, true) => format!("Would delete {count} logs."),
            (_, false) => format!("Deleted {} logs.", stats.deleted_blob_count),
        });
        Ok(())
    })
}
