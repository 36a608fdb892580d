//! `policy list`

use kopist_snapshot::{SourceInfo, policy::Policy};
use serde::Serialize;

use kopist_snapshot::store::load_policies;

use crate::commands::shared;
use crate::grammar::Command;
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    output::JsonOutput,
    session,
};

/// `policy list`
pub(super) static COMMAND: Command =
    Command::new("list", "List policies.").aliases(&["ls"]).flags(&[shared::JSON]).run(run);

/// A policy as kopia prints it.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    target: &'a SourceInfo,
    #[serde(flatten)]
    policy: &'a Policy,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        let mut list = output.list(&app.console)?;
        let manifests = session.repo.manifests()?;
        let mut policies =
            load_policies(&manifests).context("error listing policies")?.all().to_vec();
        policies.sort_by_key(|stored| stored.target.to_string());
        for stored in &policies {
            let (id, target, policy) = (&stored.id, &stored.target, &stored.policy);
            if output.json {
                list.item(&Listed { id, target, policy })?;
            } else {
                app.console.line(format!("{id} {target}"))?;
            }
        }
        Ok(())
    })
}
