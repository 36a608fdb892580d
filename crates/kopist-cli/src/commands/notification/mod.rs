//! `notification`: work with notifications.

mod planned;

use crate::grammar::Command;

/// `notification`
pub(super) static COMMAND: Command = Command::new("notification", "Work with notifications.")
    .aliases(&["notifications"])
    .commands(&[&planned::PROFILE, &planned::TEMPLATE]);
