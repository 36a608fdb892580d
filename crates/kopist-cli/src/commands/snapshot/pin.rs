//! `snapshot pin`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("add", "Pins to add.").repeated(),
    Flag::text("remove", "Pins to remove.").repeated(),
];

/// `snapshot pin`
pub(super) static COMMAND: Command =
    Command::new("pin", "Add or remove pins, which keep snapshots from expiring.")
        .flags(&[FLAGS])
        .args(&[Arg::text("id", "").required().repeated()]);
