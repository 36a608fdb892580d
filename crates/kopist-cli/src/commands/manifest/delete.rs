//! `manifest delete`

use kopist_repo::ManifestId;

use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    session,
};

/// `manifest delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete manifests.")
    .aliases(&["remove", "rm"])
    .hidden()
    .args(&[Arg::text("item", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |_, writer| {
        app.require_dangerous()?;
        for id in matches.texts("item") {
            writer
                .delete_manifest(&ManifestId::from(id.clone()))
                .context(format!("unable to delete manifest {id}"))?;
        }
        Ok(())
    })
}
