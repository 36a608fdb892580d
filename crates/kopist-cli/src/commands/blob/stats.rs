//! `blob stats`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("raw", "Print plain numbers.").short('r'),
    Flag::text("prefix", "Only ids with this prefix."),
];

/// `blob stats`
pub(super) static COMMAND: Command =
    Command::new("stats", "Count blobs and their sizes.").flags(&[FLAGS]);
