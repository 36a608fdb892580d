//! `repository disconnect`

use crate::grammar::Command;

/// `repository disconnect`
pub(super) static COMMAND: Command = Command::new("disconnect", "Disconnect from the repository.");
