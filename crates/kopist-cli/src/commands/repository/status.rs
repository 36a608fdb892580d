//! `repository status`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("reconnect-token", "Print a token to reconnect with.").short('t'),
    Flag::switch("reconnect-token-with-password", "Include the password in the token.").short('s'),
];

/// `repository status`
pub(super) static COMMAND: Command =
    Command::new("status", "Show the connected repository.").flags(&[FLAGS, shared::JSON]);
