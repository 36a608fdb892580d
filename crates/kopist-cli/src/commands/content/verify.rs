//! `content verify`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::int("parallel", "Number of parallel operations.").default("16"),
    Flag::switch("full", "Download and verify every content."),
    Flag::switch("include-deleted", "Include deleted contents."),
    Flag::float("download-percent", "Percentage of contents to download and verify."),
    Flag::duration("progress-interval", "Interval of progress messages.").default("3s"),
];

/// `content verify`
pub(super) static COMMAND: Command =
    Command::new("verify", "Verify that contents are backed by blobs.")
        .flags(&[FLAGS, shared::ID_RANGE]);
