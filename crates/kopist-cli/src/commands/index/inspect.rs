//! `index inspect`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Include everything."),
    Flag::switch("active", "Inspect all active index blobs."),
    Flag::text("content-id", "Only entries of this content.").repeated(),
    Flag::int("parallel", "Number of parallel operations.").default("8"),
];

/// `index inspect`
pub(super) static COMMAND: Command = Command::new("inspect", "Print the entries of index blobs.")
    .flags(&[FLAGS])
    .args(&[Arg::text("blobs", "").repeated()]);
