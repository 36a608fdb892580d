//! `snapshot estimate`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("show-files", "Show the files."),
    Flag::switch("quiet", "Print no progress.").short('q'),
    Flag::float("upload-speed", "Upload speed in Mbit/s.").default("10"),
    Flag::int("max-examples-per-bucket", "Number of examples for each size class.").default("10"),
];

/// `snapshot estimate`
pub(super) static COMMAND: Command =
    Command::new("estimate", "Estimate the size of a snapshot and the time it takes.")
        .flags(&[FLAGS])
        .args(&[Arg::existing_path("source", "Source").required()]);
