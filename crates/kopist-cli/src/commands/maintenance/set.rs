//! `maintenance set`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("owner", "Owner of maintenance, user@host, or 'me'."),
    Flag::bool_values("enable-quick", "Enable quick maintenance."),
    Flag::bool_values("enable-full", "Enable full maintenance."),
    Flag::duration("quick-interval", "Interval of quick maintenance."),
    Flag::duration("full-interval", "Interval of full maintenance."),
    Flag::duration("pause-quick", "Pause quick maintenance for this long."),
    Flag::duration("pause-full", "Pause full maintenance for this long."),
    Flag::int("max-retained-log-count", "Number of repository logs to keep."),
    Flag::duration("max-retained-log-age", "Age up to which repository logs are kept."),
    Flag::int64("max-retained-log-size-mb", "Total size of repository logs to keep, in MB."),
    Flag::bool_values("extend-object-locks", "Extend object locks during full maintenance."),
    Flag::int("list-parallelism", "Number of parallel listings."),
];

/// `maintenance set`
pub(super) static COMMAND: Command =
    Command::new("set", "Set parameters of maintenance.").flags(&[FLAGS]);
