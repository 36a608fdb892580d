//! `maintenance info`

use crate::commands::shared;
use crate::grammar::Command;

/// `maintenance info`
pub(super) static COMMAND: Command = Command::new("info", "Show the state of maintenance.")
    .aliases(&["status"])
    .flags(&[shared::JSON]);
