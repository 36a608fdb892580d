//! `logs list`

use jiff::SignedDuration;

use super::sessions::{choose, log_sessions};
use crate::commands::shared;
use crate::grammar::Command;
use crate::{
    app::{App, Outcome, now},
    error::Context as _,
    grammar::Matches,
    output::duration,
    session,
};

/// `logs list`
pub(super) static COMMAND: Command = Command::new("list", "List repository logs.")
    .aliases(&["ls"])
    .flags(&[shared::LOG_SELECTION])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let all = log_sessions(app, &session.repo).context("error getting log sessions")?;
        let count = all.len();
        let chosen = choose(matches, now(), all);
        for log in &chosen {
            let lasted = SignedDuration::from_secs(log.end.as_second() - log.start.as_second());
            let lasted = duration(i64::try_from(lasted.as_nanos()).unwrap_or(i64::MAX));
            let (id, start, size) = (&log.id, app.time(log.start), app.size(log.size()));
            app.console.line(format!("{id} {start} {lasted} {size} {}", log.segments.len()))?;
        }
        if chosen.len() < count {
            let chosen = chosen.len();
            app.info(format!(
                "NOTE: Listed {chosen}/{count} log sessions, pass --all to show all."
            ));
        }
        Ok(())
    })
}
