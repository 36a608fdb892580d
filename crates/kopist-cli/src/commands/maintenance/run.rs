//! `maintenance run`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("full", "Run full maintenance."),
    Flag::switch("force", "Run although another user owns maintenance.").hidden(),
];

/// `maintenance run`
pub(super) static COMMAND: Command =
    Command::new("run", "Run maintenance.").flags(&[FLAGS, shared::SAFETY]);
