//! `manifest show`

use crate::grammar::{Arg, Command};

/// `manifest show`
pub(super) static COMMAND: Command =
    Command::new("show", "Print manifests.").args(&[Arg::text("item", "").required().repeated()]);
