//! `session`: work with sessions.

mod list;

use crate::grammar::Command;

/// `session`
pub(super) static COMMAND: Command =
    Command::new("session", "Work with sessions.").hidden().commands(&[&list::COMMAND]);
