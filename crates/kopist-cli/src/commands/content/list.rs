//! `content list`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("long", "Long output.").short('l'),
    Flag::switch("compression", "Show compression.").short('c'),
    Flag::switch("deleted", "Include deleted contents."),
    Flag::switch("deleted-only", "Only deleted contents."),
    Flag::switch("summary", "Print a summary instead of the list.").short('s'),
    Flag::switch("human", "Print sizes for people.").short('h'),
];

/// `content list`
pub(super) static COMMAND: Command = Command::new("list", "List contents.")
    .aliases(&["ls"])
    .flags(&[FLAGS, shared::JSON, shared::ID_RANGE]);
