//! `snapshot verify`

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::int("max-errors", "Number of errors after which verification stops.").default("0"),
    Flag::text("directory-id", "Directory objects to verify.").repeated(),
    Flag::text("file-id", "File objects to verify.").repeated(),
    Flag::switch("all-sources", "Accepted, without effect.").hidden(),
    Flag::text("sources", "Sources to include.").repeated(),
    Flag::int("parallel", "Number of parallel operations.").default("8"),
    Flag::int("file-queue-length", "Length of the queue of files.").default("20000"),
    Flag::int("file-parallelism", "Number of files to verify in parallel."),
    Flag::float("verify-files-percent", "Percentage of files to read in full.").default("0"),
];

/// `snapshot verify`
pub(super) static COMMAND: Command = Command::new("verify", "Verify that snapshots can be read.")
    .flags(&[FLAGS, shared::JSON])
    .args(&[Arg::text("snapshot-ids", "").repeated()]);
