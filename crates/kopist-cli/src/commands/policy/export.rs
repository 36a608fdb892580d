//! `policy export`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("to-file", "File to write."),
    Flag::switch("overwrite", "Overwrite the file."),
    Flag::switch("json-indent", "Indent the JSON result.").hidden(),
    Flag::switch("global", "The global policy."),
];

/// `policy export`
pub(super) static COMMAND: Command = Command::new("export", "Export policies as JSON.")
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()]);
