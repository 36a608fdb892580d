//! `snapshot create`

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Snapshot every known source of this user and host."),
    Flag::int64("upload-limit-mb", "Stop after this many MB were uploaded.").default("0"),
    Flag::duration("checkpoint-interval", "Interval of checkpoints.").hidden(),
    Flag::text("description", "Description of the snapshot."),
    Flag::switch("fail-fast", "Stop at the first error.").env("KOPIA_SNAPSHOT_FAIL_FAST"),
    Flag::float("force-hash", "Percentage of unchanged files to hash again.").default("0"),
    Flag::int("parallel", "Number of files to upload in parallel.").default("0"),
    Flag::text("start-time", "Start time to record."),
    Flag::text("end-time", "End time to record."),
    Flag::switch("force-enable-actions", "Run actions even if the connection does not allow them.")
        .hidden(),
    Flag::switch("force-disable-actions", "Do not run actions.").hidden(),
    Flag::text("stdin-file", "Snapshot standard input as a file of this name."),
    Flag::text("tags", "Tag, key:value.").repeated(),
    Flag::text("pin", "Pin the snapshot under this name: it will not expire.").repeated(),
    Flag::switch("flush-per-source", "Write the index after each source.").hidden(),
    Flag::text("override-source", "Source to record instead of the actual one."),
    Flag::switch("send-snapshot-report", "Send a report through the notification profiles.")
        .default("true"),
    Flag::int("log-dir-detail", "Detail of log messages for directories (0 to 10)."),
    Flag::int("log-entry-detail", "Detail of log messages for entries (0 to 10)."),
];

/// `snapshot create`
pub(super) static COMMAND: Command =
    Command::new("create", "Create snapshots of directories or files.")
        .flags(&[FLAGS, shared::JSON])
        .args(&[Arg::text("source", "Source").repeated()]);
