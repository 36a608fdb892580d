//! `logs`: work with repository logs.

mod cleanup;
mod list;
mod sessions;
mod show;

use crate::grammar::Command;

/// `logs`
pub(super) static COMMAND: Command = Command::new("logs", "Work with repository logs.")
    .aliases(&["log"])
    .hidden()
    .commands(&[&cleanup::COMMAND, &list::COMMAND, &show::COMMAND]);
