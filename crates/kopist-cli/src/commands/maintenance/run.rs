//! `maintenance run`

use kopist_snapshot::maintenance::{
    MaintenanceOptions, MaintenanceOutcome, Mode, SafetyParameters,
};

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::CommandError,
    grammar::Matches,
    session, upkeep,
};

const FLAGS: &[Flag] = &[
    Flag::switch("full", "Run full maintenance."),
    Flag::switch("force", "Run although another user owns maintenance.").hidden(),
];

/// `maintenance run`
pub(super) static COMMAND: Command =
    Command::new("run", "Run maintenance.").flags(&[FLAGS, shared::SAFETY]).run(run);

/// An explicit run asks neither the schedule nor whether the cycle is enabled.
fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let none = matches.text("safety").as_deref() == Some("none");
        let options = MaintenanceOptions {
            mode: Some(if matches.flag("full") { Mode::Full } else { Mode::Quick }),
            force: matches.flag("force"),
            safety: if none { SafetyParameters::NONE } else { SafetyParameters::FULL },
            ..upkeep::options(app)
        };
        match upkeep::run(app, session, &options)? {
            MaintenanceOutcome::NothingMarked(_) => Err(CommandError::new(upkeep::NOTHING_MARKED)),
            _ => Ok(()),
        }
    })
}
