//! `snapshot restore`

use crate::commands::{restore, shared};
use crate::grammar::{Arg, Command};

/// `snapshot restore`
pub(super) static COMMAND: Command =
    Command::new("restore", "Restore a directory or file from a snapshot.")
        .flags(&[shared::RESTORE])
        .args(&[Arg::text("sources", "").required().repeated()])
        .run(restore::run);
