//! `show`

use crate::grammar::{Arg, Command};

/// `show`
pub(super) static COMMAND: Command = Command::new("show", "Print an object.")
    .aliases(&["cat"])
    .args(&[
        Arg::text("object-path", "Object id or snapshot id, with the path inside it.").required()
    ]);
