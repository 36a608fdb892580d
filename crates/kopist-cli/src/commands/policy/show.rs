//! `policy show`

use kopist_snapshot::store::load_policies;

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::policy::{table, target::targets},
    error::Context as _,
    grammar::Matches,
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[Flag::switch("global", "The global policy.")];

/// `policy show`
pub(super) static COMMAND: Command = Command::new("show", "Show the effective policy.")
    .aliases(&["get"])
    .flags(&[FLAGS, shared::JSON])
    .args(&[Arg::text("target", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        let manifests = session.repo.manifests()?;
        let policies = load_policies(&manifests)?;
        for target in targets(&session.repo, &manifests, matches)? {
            let effective = policies.effective(&target);
            if output.json {
                output.print(&app.console, &effective.policy)?;
                continue;
            }
            let text = table::show(&target, &effective, app.globals.base2);
            app.console
                .line(format!("Policy for {target}:\n\n{text}"))
                .context("cannot print the policy")?;
        }
        Ok(())
    })
}
