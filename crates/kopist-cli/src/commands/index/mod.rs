//! `index`: work with index blobs.

mod inspect;
mod list;
mod planned;

use crate::grammar::Command;

/// `index`
pub(super) static COMMAND: Command =
    Command::new("index", "Work with index blobs.").hidden().commands(&[
        &planned::EPOCH,
        &inspect::COMMAND,
        &list::COMMAND,
        &planned::OPTIMIZE,
        &planned::RECOVER,
    ]);
