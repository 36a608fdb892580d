//! `snapshot`: work with snapshots.

mod create;
mod delete;
mod estimate;
mod expire;
mod list;
mod pin;
mod planned;
mod restore;
mod verify;

use crate::grammar::Command;

/// `snapshot`
pub(super) static COMMAND: Command =
    Command::new("snapshot", "Work with snapshots.").aliases(&["snap"]).commands(&[
        &planned::COPY_HISTORY,
        &planned::MOVE_HISTORY,
        &create::COMMAND,
        &delete::COMMAND,
        &estimate::COMMAND,
        &expire::COMMAND,
        &planned::FIX,
        &list::COMMAND,
        &planned::MIGRATE,
        &pin::COMMAND,
        &restore::COMMAND,
        &verify::COMMAND,
    ]);
