//! `content show`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("json", "Indent JSON contents.").short('j'),
    Flag::switch("unzip", "Decompress gzip contents.").short('z'),
];

/// `content show`
pub(super) static COMMAND: Command = Command::new("show", "Print contents.")
    .aliases(&["cat"])
    .flags(&[FLAGS])
    .args(&[Arg::text("id", "").required().repeated()]);
