//! `blob show`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[Flag::switch("decrypt", "Decrypt the blob.")];

/// `blob show`
pub(super) static COMMAND: Command = Command::new("show", "Print blobs.")
    .aliases(&["cat"])
    .flags(&[FLAGS])
    .args(&[Arg::text("blobID", "").required().repeated()]);
