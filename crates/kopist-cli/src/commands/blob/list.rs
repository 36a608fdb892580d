//! `blob list`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("prefix", "Only ids with this prefix."),
    Flag::text("exclude-prefix", "Leave out blobs with this prefix.").repeated(),
    Flag::int64("min-size", "Smallest size in bytes."),
    Flag::int64("max-size", "Largest size in bytes."),
    Flag::switch("data-only", "Leave out index, log and format blobs."),
];

/// `blob list`
pub(super) static COMMAND: Command =
    Command::new("list", "List blobs.").aliases(&["ls"]).flags(&[FLAGS, shared::JSON]);
