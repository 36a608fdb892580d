//! `repository`: work with the repository.

mod change_password;
mod connect;
mod connection;
mod create;
mod disconnect;
mod planned;
mod set_client;
mod status;
mod throttle;

use crate::grammar::Command;

/// `repository`
pub(super) static COMMAND: Command =
    Command::new("repository", "Work with the repository.").aliases(&["repo"]).commands(&[
        &connect::COMMAND,
        &create::COMMAND,
        &disconnect::COMMAND,
        &planned::REPAIR,
        &set_client::COMMAND,
        &planned::SET_PARAMETERS,
        &status::COMMAND,
        &planned::SYNC_TO,
        &throttle::COMMAND,
        &change_password::COMMAND,
        &planned::VALIDATE_PROVIDER,
        &planned::UPGRADE,
    ]);
