//! `session list`

use crate::grammar::Command;
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    session,
};

/// `session list`
pub(super) static COMMAND: Command =
    Command::new("list", "List sessions.").aliases(&["ls"]).run(run);

fn run(app: &App, _: &Matches) -> Outcome {
    session::read(app, |session| {
        let sessions = session.repo.sessions().context("error listing sessions")?;
        for (blob, error) in &sessions.unreadable {
            app.warn(format!("session marker {blob} cannot be read: {error}"));
        }
        for marker in sessions.active {
            let (id, user, host) = (&marker.id, &marker.username, &marker.hostname);
            let (start, checkpoint) =
                (app.time(marker.start_time), app.time(marker.checkpoint_time));
            app.console.line(format!("{id} {user}@{host} {start} {checkpoint}"))?;
        }
        Ok(())
    })
}
