//! `logs`: work with repository logs.

mod planned;

use crate::grammar::Command;

/// `logs`
pub(super) static COMMAND: Command = Command::new("logs", "Work with repository logs.")
    .aliases(&["log"])
    .hidden()
    .commands(&[&planned::CLEANUP, &planned::LIST, &planned::SHOW]);
