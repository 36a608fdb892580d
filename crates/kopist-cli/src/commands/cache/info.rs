//! `cache info`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[Flag::switch("path", "Print only the cache directory.")];

/// `cache info`
pub(super) static COMMAND: Command =
    Command::new("info", "Show the size of the cache.").flags(&[FLAGS]);
