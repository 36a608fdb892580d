//! `repository disconnect`

use kopist_repo::{LocalConfig, config::ConfigError};

use crate::grammar::Command;
use crate::{
    app::{App, Outcome},
    commands::repository::connection::forget_update_check,
    error::{CommandError, Context as _},
    grammar::Matches,
};

/// `repository disconnect`
pub(super) static COMMAND: Command =
    Command::new("disconnect", "Disconnect from the repository.").run(run);

fn run(app: &App, _: &Matches) -> Outcome {
    let path = &app.globals.config_file;
    if path.exists() {
        app.forget_password()?;
    }
    match LocalConfig::disconnect(path) {
        Ok(()) => {}
        Err(ConfigError::NotConnected { .. }) => {
            return Err(CommandError::new(format!(
                "unable to disconnect from repository: error loading config file: open {}: no such \
                 file or directory",
                path.display()
            )));
        }
        Err(error) => {
            return Err(CommandError::from(error).context("unable to disconnect from repository"));
        }
    }
    forget_update_check(path).context("unable to remove the state of update checks")
}
