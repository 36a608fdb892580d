//! `repository`: work with the repository.

mod change_password;
mod disconnect;
mod planned;
mod set_client;
mod status;

use crate::grammar::Command;

/// `repository`
pub(super) static COMMAND: Command =
    Command::new("repository", "Work with the repository.").aliases(&["repo"]).commands(&[
        &planned::CONNECT,
        &planned::CREATE,
        &disconnect::COMMAND,
        &planned::REPAIR,
        &set_client::COMMAND,
        &planned::SET_PARAMETERS,
        &status::COMMAND,
        &planned::SYNC_TO,
        &planned::THROTTLE,
        &change_password::COMMAND,
        &planned::VALIDATE_PROVIDER,
        &planned::UPGRADE,
    ]);
