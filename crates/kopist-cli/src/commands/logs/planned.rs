//! Commands of `logs` that kopia has and this program refuses for now.

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const CLEANUP_FLAGS: &[Flag] = &[
    Flag::duration("max-age", "Age up to which logs are kept.").default("720h"),
    Flag::int("max-count", "Number of logs to keep.").default("10000"),
    Flag::int64("max-total-size-mb", "Total size of logs to keep, in MB.").default("1024"),
    Flag::switch("dry-run", "Show what would be done without doing it."),
];

/// `logs cleanup`
pub(super) static CLEANUP: Command =
    Command::new("cleanup", "Delete old repository logs.").flags(&[CLEANUP_FLAGS]);

/// `logs list`
pub(super) static LIST: Command =
    Command::new("list", "List repository logs.").aliases(&["ls"]).flags(&[shared::LOG_SELECTION]);

/// `logs show`
pub(super) static SHOW: Command = Command::new("show", "Print repository logs.")
    .aliases(&["cat"])
    .flags(&[shared::LOG_SELECTION])
    .args(&[Arg::text("session-id", "").repeated()]);
