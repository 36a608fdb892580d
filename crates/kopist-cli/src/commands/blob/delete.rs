//! `blob delete`

use crate::grammar::{Arg, Command};

/// `blob delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete blobs.")
    .aliases(&["remove", "rm"])
    .hidden()
    .args(&[Arg::text("blobIDs", "").required().repeated()]);
