//! `snapshot`: work with snapshots.

mod create;
mod delete;
mod estimate;
mod expire;
mod fix;
mod history;
mod list;
mod migrate;
mod pin;
mod restore;
mod verify;

use crate::grammar::Command;

/// `snapshot`
pub(super) static COMMAND: Command =
    Command::new("snapshot", "Work with snapshots.").aliases(&["snap"]).commands(&[
        &history::COPY,
        &history::MOVE,
        &create::COMMAND,
        &delete::COMMAND,
        &estimate::COMMAND,
        &expire::COMMAND,
        &fix::COMMAND,
        &list::COMMAND,
        &migrate::COMMAND,
        &pin::COMMAND,
        &restore::COMMAND,
        &verify::COMMAND,
    ]);
