//! Passwords in the keyring of a Linux desktop.
//!
//! An item of the keyring is found by two attributes, and its secret is the password:
//!
//! | attribute | value |
//! |---|---|
//! | `service` | the name of the configuration file, `-`, the first 8 bytes of the SHA-256 of its path in hex |
//! | `username` | who runs this process |
//!
//! Facts: `kopia:internal/passwordpersist/passwordpersist_keyring.go`.

#[cfg(all(feature = "keyring", target_os = "linux"))]
mod secret_service;

use std::path::Path;

use secrecy::SecretString;

use crate::env::Environment;
use crate::error::CommandError;

#[cfg(all(feature = "keyring", target_os = "linux"))]
use secret_service::SecretService;

/// The keyring of whoever runs this process.
pub(super) struct Keyring {
    #[cfg(all(feature = "keyring", target_os = "linux"))]
    service: SecretService,
    #[cfg(not(all(feature = "keyring", target_os = "linux")))]
    service: std::convert::Infallible,
}

#[cfg(all(feature = "keyring", target_os = "linux"))]
impl Keyring {
    /// Finds the keyring of this session.
    pub(super) fn open(env: &Environment) -> Result<Self, CommandError> {
        Ok(Self { service: SecretService::connect(env).map_err(told)? })
    }

    /// The password that belongs to a configuration file, if the keyring has it.
    pub(super) fn recall(
        &self,
        config: &Path,
        user: &str,
    ) -> Result<Option<SecretString>, CommandError> {
        self.service.recall(&service_of(config), user).map_err(told)
    }

    /// Keeps the password of a configuration file, in the place of any other.
    pub(super) fn persist(
        &self,
        config: &Path,
        user: &str,
        password: &SecretString,
    ) -> Result<(), CommandError> {
        self.service.persist(&service_of(config), user, password).map_err(told)
    }

    /// Forgets the password of a configuration file; whether there was one.
    pub(super) fn forget(&self, config: &Path, user: &str) -> Result<bool, CommandError> {
        self.service.forget(&service_of(config), user).map_err(told)
    }
}

#[cfg(all(feature = "keyring", target_os = "linux"))]
fn told(error: secret_service::Error) -> CommandError {
    CommandError::from(error).context(
        "the keyring cannot be used (unlock it, or leave out --use-keyring to keep the password \
         in a file)",
    )
}

/// What the keyring calls a configuration file.
#[cfg(all(feature = "keyring", target_os = "linux"))]
fn service_of(config: &Path) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(config.as_os_str().as_encoded_bytes());
    let name = config.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}-{}", hex::encode(hash.get(..8).unwrap_or_default()))
}

#[cfg(not(all(feature = "keyring", target_os = "linux")))]
impl Keyring {
    pub(super) fn open(_: &Environment) -> Result<Self, CommandError> {
        Err(CommandError::new(
            "this program was built without support for keyrings: leave out --use-keyring to keep \
             the password in a file",
        ))
    }

    pub(super) fn recall(&self, _: &Path, _: &str) -> Result<Option<SecretString>, CommandError> {
        match self.service {}
    }

    pub(super) fn persist(&self, _: &Path, _: &str, _: &SecretString) -> Result<(), CommandError> {
        match self.service {}
    }

    pub(super) fn forget(&self, _: &Path, _: &str) -> Result<bool, CommandError> {
        match self.service {}
    }
}

#[cfg(all(test, feature = "keyring", target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_file_has_a_name_in_the_keyring() {
        // printf /home/me/.config/kopia/repository.config | sha256sum
        let name = service_of(Path::new("/home/me/.config/kopia/repository.config"));
        assert_eq!(name, "repository.config-9d6b393445cff035");
    }
}
