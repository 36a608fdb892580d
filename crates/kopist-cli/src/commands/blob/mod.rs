//! `blob`: work with blobs.

mod delete;
mod gc;
mod list;
mod shards;
mod show;
mod stats;

use crate::grammar::Command;

/// `blob`
pub(super) static COMMAND: Command = Command::new("blob", "Work with blobs.").hidden().commands(&[
    &delete::COMMAND,
    &gc::COMMAND,
    &list::COMMAND,
    &shards::COMMAND,
    &show::COMMAND,
    &stats::COMMAND,
]);
