//! `content`: work with contents.

mod delete;
mod list;
mod rewrite;
mod show;
mod stats;
mod verify;

use crate::grammar::Command;

/// `content`
pub(super) static COMMAND: Command =
    Command::new("content", "Work with contents.").aliases(&["contents"]).hidden().commands(&[
        &delete::COMMAND,
        &list::COMMAND,
        &rewrite::COMMAND,
        &show::COMMAND,
        &stats::COMMAND,
        &verify::COMMAND,
    ]);
