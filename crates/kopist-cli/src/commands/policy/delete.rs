//! `policy delete`

use kopist_snapshot::store::remove_policy;

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::policy::target::targets,
    error::Context as _,
    grammar::{Matches, go_quote},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("global", "The global policy."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
];

/// `policy delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete policies.")
    .aliases(&["remove", "rm"])
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        for target in targets(&session.repo, &writer.manifests()?, matches)? {
            let quoted = go_quote(&target.to_string()).to_string();
            app.info(format!("Removing policy on {quoted}..."));
            if !matches.flag("dry-run") {
                remove_policy(writer, &target)
                    .context(format!("error removing policy on {target}"))?;
            }
        }
        Ok(())
    })
}
