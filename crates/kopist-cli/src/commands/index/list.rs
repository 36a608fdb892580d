//! `index list`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("summary", "Print a summary."),
    Flag::switch("superseded", "Include superseded index blobs."),
    Flag::one_of("sort", &["time", "size", "name"], "Order of the list.").default("time"),
];

/// `index list`
pub(super) static COMMAND: Command =
    Command::new("list", "List index blobs.").aliases(&["ls"]).flags(&[FLAGS, shared::JSON]);
