//! Commands of `content` that kopia has and this program refuses for now.

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

/// `content delete`
pub(super) static DELETE: Command = Command::new("delete", "Delete contents.")
    .aliases(&["remove", "rm"])
    .hidden()
    .args(&[Arg::text("id", "").required().repeated()]);

const REWRITE_FLAGS: &[Flag] = &[
    Flag::int("parallelism", "Number of parallel operations.").default("16"),
    Flag::switch("short", "Rewrite the contents of short packs."),
    Flag::int("format-version", "Rewrite contents of this format version.").default("-1"),
    Flag::text("pack-prefix", "Only contents in packs with this prefix."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
];

/// `content rewrite`
pub(super) static REWRITE: Command = Command::new("rewrite", "Rewrite contents into new packs.")
    .hidden()
    .flags(&[REWRITE_FLAGS, shared::ID_RANGE, shared::SAFETY])
    .args(&[Arg::text("contentID", "").repeated()]);
