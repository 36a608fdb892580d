//! `policy`: work with policies.

mod delete;
mod export;
mod import;
mod list;
mod planned;
mod set;
mod show;

use crate::grammar::Command;

/// `policy`
pub(super) static COMMAND: Command =
    Command::new("policy", "Work with policies.").aliases(&["policies"]).commands(&[
        &planned::EDIT,
        &list::COMMAND,
        &delete::COMMAND,
        &set::COMMAND,
        &show::COMMAND,
        &export::COMMAND,
        &import::COMMAND,
    ]);
