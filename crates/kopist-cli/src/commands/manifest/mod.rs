//! `manifest`: work with manifests.

mod delete;
mod list;
mod show;

use crate::grammar::Command;

/// `manifest`
pub(super) static COMMAND: Command = Command::new("manifest", "Work with manifests.")
    .hidden()
    .commands(&[&delete::COMMAND, &list::COMMAND, &show::COMMAND]);
