//! `policy import`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("from-file", "Read from this file instead of standard input."),
    Flag::switch("allow-unknown-fields", "Accept unknown fields."),
    Flag::switch("delete-other-policies", "Delete all policies that are not imported."),
    Flag::switch("global", "The global policy."),
];

/// `policy import`
pub(super) static COMMAND: Command = Command::new("import", "Import policies from JSON.")
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()]);
