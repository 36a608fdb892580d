//! `content stats`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[Flag::switch("raw", "Print plain numbers.").short('r')];

/// `content stats`
pub(super) static COMMAND: Command =
    Command::new("stats", "Count contents and their sizes.").flags(&[FLAGS, shared::ID_RANGE]);
