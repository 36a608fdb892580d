//! Commands of `policy` that kopia has and this program refuses for now.

use crate::grammar::{Arg, Command, Flag};

const EDIT_FLAGS: &[Flag] = &[Flag::switch("global", "The global policy.")];

/// `policy edit`
pub(super) static EDIT: Command = Command::new("edit", "Edit a policy in the editor.")
    .flags(&[EDIT_FLAGS])
    .args(&[Arg::text("target", "").repeated()]);
