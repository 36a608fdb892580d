//! `content delete`

use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome},
    commands::ids::content_ids,
    error::Context as _,
    grammar::Matches,
    session,
};

/// `content delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete contents.")
    .aliases(&["remove", "rm"])
    .hidden()
    .args(&[Arg::text("id", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |_, writer| {
        app.require_dangerous()?;
        for id in content_ids(matches.texts("id"))? {
            writer.delete_content(&id).context(format!("error deleting content {id}"))?;
        }
        Ok(())
    })
}
