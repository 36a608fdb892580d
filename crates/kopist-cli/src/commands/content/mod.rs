//! `content`: work with contents.

mod list;
mod planned;
mod show;
mod stats;
mod verify;

use crate::grammar::Command;

/// `content`
pub(super) static COMMAND: Command =
    Command::new("content", "Work with contents.").aliases(&["contents"]).hidden().commands(&[
        &planned::DELETE,
        &list::COMMAND,
        &planned::REWRITE,
        &show::COMMAND,
        &stats::COMMAND,
        &verify::COMMAND,
    ]);
