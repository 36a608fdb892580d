//! Where the repository's password comes from.
//!
//! In this order: flag or variable; the desktop's keyring, if it is to be used; the password file
//! beside the configuration file; a question on the terminal. A new repository's password is never
//! taken from a keyring or a file.

use std::io::{self, IsTerminal};

use kopist_repo::config::password;
use secrecy::{ExposeSecret, SecretString};

use super::{default_user_name, keyring::Keyring};
use crate::{
    app::App,
    error::{CommandError, Context},
};

impl App {
    /// The password of the connected repository.
    pub fn existing_password(&self) -> Result<SecretString, CommandError> {
        if let Some(given) = &self.globals.password {
            return Ok(given.clone());
        }
        if self.globals.persist_credentials {
            let stored = self.recall_password(&self.globals.config_file);
            if let Some(stored) = stored.context("cannot get persistent password")? {
                return Ok(stored);
            }
        }
        self.ask_existing_password()
    }

    /// The password of the repository of another configuration: the one stored beside it, else
    /// the one that is given for this command.
    pub fn password_of(&self, config: &std::path::Path) -> Result<SecretString, CommandError> {
        match self.recall_password(config).context("cannot get persistent password")? {
            Some(stored) => Ok(stored),
            None => self.connect_password(),
        }
    }

    /// The password for a connection that is being made.
    pub fn connect_password(&self) -> Result<SecretString, CommandError> {
        match &self.globals.password {
            Some(given) => Ok(given.clone()),
            None => self.ask_existing_password(),
        }
    }

    /// The password of a repository that is being made.
    pub fn new_password(&self) -> Result<SecretString, CommandError> {
        match &self.globals.password {
            Some(given) => Ok(given.clone()),
            None => self.ask_twice("Enter password to create new repository: "),
        }
    }

    fn ask_existing_password(&self) -> Result<SecretString, CommandError> {
        let answer = self.ask("Enter password to open repository: ")?;
        self.console.line("")?;
        Ok(answer)
    }

    /// Asks for a new password until it is typed the same way twice.
    pub fn ask_twice(&self, prompt: &str) -> Result<SecretString, CommandError> {
        loop {
            let first = self.ask(prompt).context("password entry")?;
            let second = self.ask("Re-enter password for verification: ");
            let second = second.context("password verification")?;
            if first.expose_secret() == second.expose_secret() {
                return Ok(first);
            }
            self.console.line("Passwords don't match!")?;
        }
    }

    /// Asks for a secret, which is not shown.
    pub fn ask(&self, prompt: &str) -> Result<SecretString, CommandError> {
        for _ in 0..5 {
            self.console.print(prompt)?;
            self.console.flush()?;
            if !io::stdin().is_terminal() {
                return Err(CommandError::new(
                    "password prompt error: inappropriate ioctl for device \
                     (set KOPIA_PASSWORD or use --password)",
                ));
            }
            let answer = rpassword::read_password().context("password prompt error")?;
            self.console.line("")?;
            if !answer.is_empty() {
                return Ok(SecretString::from(answer));
            }
        }
        Err(CommandError::new("can't get password"))
    }

    /// Remembers the password if that is wanted, or forgets an earlier one.
    pub fn keep_password(&self, given: &SecretString) -> Result<(), CommandError> {
        let config = &self.globals.config_file;
        if !self.globals.persist_credentials {
            return self.forget_password();
        }
        match self.keyring()? {
            Some(keyring) => {
                let kept = keyring.persist(config, &default_user_name(&self.env), given);
                kept.context("unable to persist password")?;
                // What lies in the keyring must not lie open beside it.
                password::forget(config).context("unable to remove the persisted password")
            }
            None => password::persist(config, given).context("unable to persist password"),
        }
    }

    /// Forgets the password of the connection, wherever it is.
    pub fn forget_password(&self) -> Result<(), CommandError> {
        let config = &self.globals.config_file;
        if let Some(keyring) = self.keyring()? {
            let forgotten = keyring.forget(config, &default_user_name(&self.env));
            forgotten.context("unable to remove the persisted password")?;
        }
        password::forget(config).context("unable to remove the persisted password")
    }

    fn recall_password(
        &self,
        config: &std::path::Path,
    ) -> Result<Option<SecretString>, CommandError> {
        if let Some(keyring) = self.keyring()?
            && let Some(password) = keyring.recall(config, &default_user_name(&self.env))?
        {
            return Ok(Some(password));
        }
        Ok(password::recall(config)?)
    }

    fn keyring(&self) -> Result<Option<Keyring>, CommandError> {
        self.globals.use_keyring.then(|| Keyring::open(&self.env)).transpose()
    }
}
