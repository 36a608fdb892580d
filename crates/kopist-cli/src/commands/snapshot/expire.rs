//! `snapshot expire`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Expire the snapshots of all sources."),
    Flag::switch("delete", "Confirm the deletion."),
];

/// `snapshot expire`
pub(super) static COMMAND: Command =
    Command::new("expire", "Remove snapshots according to the retention policy.")
        .flags(&[FLAGS])
        .args(&[Arg::text("path", "").repeated()]);
