//! `maintenance`: work with maintenance.

mod info;
mod run;
mod set;

use crate::grammar::Command;

/// `maintenance`
pub(super) static COMMAND: Command = Command::new("maintenance", "Work with maintenance.")
    .aliases(&["gc"])
    .hidden()
    .commands(&[&info::COMMAND, &run::COMMAND, &set::COMMAND]);
