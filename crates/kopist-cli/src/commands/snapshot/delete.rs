//! `snapshot delete`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("all-snapshots-for-source", "Delete all snapshots of the sources given."),
    Flag::switch("delete", "Confirm the deletion."),
    Flag::switch("unsafe-ignore-source", "Old name of --delete.").hidden(),
];

/// `snapshot delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete snapshots.")
    .flags(&[FLAGS])
    .args(&[Arg::text("id", "").required().repeated()]);
