//! `index`: work with index blobs.

mod epoch;
mod inspect;
mod list;
mod optimize;
mod recover;

use crate::grammar::Command;

/// `index`
pub(super) static COMMAND: Command =
    Command::new("index", "Work with index blobs.").hidden().commands(&[
        &epoch::COMMAND,
        &inspect::COMMAND,
        &list::COMMAND,
        &optimize::COMMAND,
        &recover::COMMAND,
    ]);
