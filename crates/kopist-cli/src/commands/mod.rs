//! The commands, one folder per group and one file per command.
//!
//! Each file declares its command as a table (see [`crate::grammar`]) and the function that
//! carries it out. A command without function is known but refused.

mod benchmark;
mod blob;
mod cache;
mod content;
mod diff;
mod global;
mod histogram;
mod ids;
mod index;
mod list;
mod logs;
mod maintenance;
mod manifest;
mod mount;
mod notification;
mod policy;
mod pretty;
mod providers;
mod random;
mod repository;
mod restore;
mod server;
mod session;
mod shared;
mod show;
mod snapshot;
mod sources;
mod storage;

pub(crate) use storage::unsupported_provider;

use crate::grammar::{Command, HELP_FLAGS};

/// The whole command line.
pub static ROOT: Command =
    Command::new("kopia", "Kopist - fast and secure backups in the Kopia repository format")
        .flags(&[HELP_FLAGS, global::FLAGS])
        .commands(&[
            &blob::COMMAND,
            &benchmark::COMMAND,
            &cache::COMMAND,
            &content::COMMAND,
            &diff::COMMAND,
            &index::COMMAND,
            &list::COMMAND,
            &logs::COMMAND,
            &notification::COMMAND,
            &server::COMMAND,
            &session::COMMAND,
            &restore::COMMAND,
            &show::COMMAND,
            &snapshot::COMMAND,
            &manifest::COMMAND,
            &policy::COMMAND,
            &mount::COMMAND,
            &maintenance::COMMAND,
            &repository::COMMAND,
        ]);
