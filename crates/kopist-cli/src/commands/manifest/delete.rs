//! `manifest delete`

use crate::grammar::{Arg, Command};

/// `manifest delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete manifests.")
    .aliases(&["remove", "rm"])
    .hidden()
    .args(&[Arg::text("item", "").required().repeated()]);
