//! `logs show`

use std::io::Read as _;

use super::sessions::{choose, chooses, log_sessions};
use crate::commands::shared;
use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome, now},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

/// `logs show`
pub(super) static COMMAND: Command = Command::new("show", "Print repository logs.")
    .aliases(&["cat"])
    .flags(&[shared::LOG_SELECTION])
    .args(&[Arg::text("session-id", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let mut logs = choose(matches, now(), log_sessions(app, &session.repo)?);
        let ids = matches.texts("session-id");
        if !ids.is_empty() {
            logs.retain(|log| ids.contains(&log.id));
        }
        if !chooses(matches)
            && let Some(latest) = logs.pop()
        {
            app.info(format!("Showing the latest log ({})", app.time(latest.start)));
            logs = vec![latest];
        }
        if logs.is_empty() {
            return Err(CommandError::new("no logs found"));
        }
        for blob in logs.iter().flat_map(|log| &log.segments) {
            let body = session.repo.read_sealed_blob(&blob.id).context("error getting log")?;
            let mut text = Vec::new();
            match flate2::read::MultiGzDecoder::new(body.as_slice()).read_to_end(&mut text) {
                Ok(_) => app.console.write(&text)?,
                Err(error) => app.error(format!("error showing log: {error}")),
            }
        }
        Ok(())
    })
}
