//! `cache`: work with the local cache.

mod clear;
mod info;
mod prefetch;
mod set;

use crate::grammar::Command;

/// `cache`
pub(super) static COMMAND: Command =
    Command::new("cache", "Work with the local cache.").hidden().commands(&[
        &clear::COMMAND,
        &info::COMMAND,
        &prefetch::PREFETCH,
        &set::COMMAND,
        &prefetch::SYNC,
    ]);
