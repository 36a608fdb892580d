//! `cache clear`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[Flag::one_of(
    "partial",
    &["contents", "indexes", "metadata", "own-writes", "blob-list"],
    "Clear only this part of the cache.",
)];

/// `cache clear`
pub(super) static COMMAND: Command = Command::new("clear", "Clear the cache.").flags(&[FLAGS]);
