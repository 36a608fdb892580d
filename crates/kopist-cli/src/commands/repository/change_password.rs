//! `repository change-password`

use secrecy::SecretString;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[Flag::text("new-password", "The new password.").env("KOPIA_NEW_PASSWORD")];

/// `repository change-password`
pub(super) static COMMAND: Command =
    Command::new("change-password", "Change the password of the repository.")
        .flags(&[FLAGS])
        .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        // Unlike the password of the connection, this one is taken as it is.
        let password = match matches.non_empty("new-password") {
            Some(password) => SecretString::from(password),
            None => app.ask_twice("Enter new password: ")?,
        };
        session.repo.change_password(&password).context("unable to change password")?;
        app.info("NOTE: Repository password has been changed.");
        if app.globals.persist_credentials {
            app.keep_password(&password)?;
        }
        Ok(())
    })
}
