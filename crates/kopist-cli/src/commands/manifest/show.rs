//! `manifest show`

use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome},
    commands::pretty::indent_json,
    error::CommandError,
    grammar::{Matches, go_quote},
    session,
};

/// `manifest show`
pub(super) static COMMAND: Command = Command::new("show", "Print manifests.")
    .args(&[Arg::text("item", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let manifests = session.repo.manifests()?;
        for id in matches.texts("item") {
            let Some(meta) = manifests.meta(&id) else {
                let quoted = go_quote(&id);
                return Err(CommandError::new(format!(
                    "error getting metadata for {quoted}: manifest {id}: not found"
                )));
            };
            app.console.line(format!("// id: {id}"))?;
            app.console.line(format!("// length: {}", meta.length))?;
            let modified = app.time(meta.modified.to_timestamp());
            app.console.line(format!("// modified: {modified}"))?;
            for (key, value) in &meta.labels {
                app.console.line(format!("// label {key}:{value}"))?;
            }
            let payload = manifests.payload_json(&id)?;
            app.console.print(indent_json(payload.as_bytes())?)?;
        }
        Ok(())
    })
}
