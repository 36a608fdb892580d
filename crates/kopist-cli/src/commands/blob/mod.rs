//! `blob`: work with blobs.

mod delete;
mod list;
mod planned;
mod show;
mod stats;

use crate::grammar::Command;

/// `blob`
pub(super) static COMMAND: Command = Command::new("blob", "Work with blobs.").hidden().commands(&[
    &delete::COMMAND,
    &planned::GC,
    &list::COMMAND,
    &planned::SHARDS,
    &show::COMMAND,
    &stats::COMMAND,
]);
