//! Commands of `session` that kopia has and this program refuses for now.

use crate::grammar::Command;

/// `session list`
pub(super) static LIST: Command = Command::new("list", "List sessions.").aliases(&["ls"]);
