//! `list`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("long", "Long output.").short('l'),
    Flag::switch("human-readable", "Print sizes for people.").short('h'),
    Flag::switch("recursive", "List directories recursively.").short('r'),
    Flag::switch("show-object-id", "Show object ids.").short('o'),
    Flag::switch("error-summary", "Report entries that failed when the snapshot was made.")
        .default("true"),
];

/// `list`
pub(super) static COMMAND: Command = Command::new("list", "List a directory of a snapshot.")
    .aliases(&["ls"])
    .flags(&[FLAGS])
    .args(&[
        Arg::text("object-path", "Object id or snapshot id, with the path inside it.").required()
    ]);
