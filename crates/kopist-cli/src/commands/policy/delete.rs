//! `policy delete`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("global", "The global policy."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
];

/// `policy delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete policies.")
    .aliases(&["remove", "rm"])
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()]);
