//! `policy`: work with policies.

mod change;
mod delete;
mod edit;
mod export;
mod import;
mod list;
mod set;
mod show;
mod table;
pub(super) mod target;

pub(super) use table::Table;

use crate::grammar::Command;

/// `policy`
pub(super) static COMMAND: Command =
    Command::new("policy", "Work with policies.").aliases(&["policies"]).commands(&[
        &edit::COMMAND,
        &list::COMMAND,
        &delete::COMMAND,
        &set::COMMAND,
        &show::COMMAND,
        &export::COMMAND,
        &import::COMMAND,
    ]);
