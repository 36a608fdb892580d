//! `diff`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("files", "Compare the contents of files with the diff command.").short('f'),
    Flag::switch("stats-only", "Print only the statistics."),
    Flag::text("diff-command", "Command that shows the difference of two files.")
        .env("KOPIA_DIFF")
        .default("diff -u"),
];

/// `diff`
pub(super) static COMMAND: Command =
    Command::new("diff", "Show the differences between two directories or snapshots.")
        .aliases(&["compare"])
        .flags(&[FLAGS])
        .args(&[
            Arg::text("object-path1", "").required(),
            Arg::text("object-path2", "").required(),
        ]);
