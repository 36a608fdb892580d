//! `policy list`

use crate::commands::shared;
use crate::grammar::Command;

/// `policy list`
pub(super) static COMMAND: Command =
    Command::new("list", "List policies.").aliases(&["ls"]).flags(&[shared::JSON]);
