//! `policy show`

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[Flag::switch("global", "The global policy.")];

/// `policy show`
pub(super) static COMMAND: Command = Command::new("show", "Show the effective policy.")
    .aliases(&["get"])
    .flags(&[FLAGS, shared::JSON])
    .args(&[Arg::text("target", "").repeated()]);
