//! `repository`: work with the repository.

mod change_password;
mod connect;
mod connection;
mod create;
mod disconnect;
mod repair;
mod set_client;
mod set_parameters;
mod status;
mod sync_to;
mod throttle;
mod upgrade;
mod validate_provider;

use crate::grammar::Command;

/// `repository`
pub(super) static COMMAND: Command =
    Command::new("repository", "Work with the repository.").aliases(&["repo"]).commands(&[
        &connect::COMMAND,
        &create::COMMAND,
        &disconnect::COMMAND,
        &repair::COMMAND,
        &set_client::COMMAND,
        &set_parameters::COMMAND,
        &status::COMMAND,
        &sync_to::COMMAND,
        &throttle::COMMAND,
        &change_password::COMMAND,
        &validate_provider::COMMAND,
        &upgrade::COMMAND,
    ]);
