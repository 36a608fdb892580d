//! The persisted password: base64 in `<config file>.kopia-password`, mode 0600.
//!
//! Base64 is not protection, only the file's mode is; it is what Kopia reads and writes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{ConfigError, local::gone, write_private_file};

/// The password file that belongs to a config file.
pub fn file_name(config: &Path) -> PathBuf {
    let mut name = config.as_os_str().to_owned();
    name.push(".kopia-password");
    name.into()
}

/// Keeps the password beside the config file.
pub fn persist(config: &Path, password: &SecretString) -> Result<(), ConfigError> {
    let path = file_name(config);
    let text = Zeroizing::new(STANDARD.encode(password.expose_secret()));
    write_private_file(&path, text.as_bytes()).map_err(|source| ConfigError::File {
        what: "write",
        path,
        source,
    })
}

/// The persisted password, `None` if there is none.
pub fn recall(config: &Path) -> Result<Option<SecretString>, ConfigError> {
    let path = file_name(config);
    let text = match fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ConfigError::File { what: "read", path, source }),
    };
    let password = STANDARD
        .decode(text.as_slice())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(ConfigError::MalformedPassword { path })?;
    Ok(Some(password.into()))
}

/// Deletes the persisted password; none is fine.
pub fn forget(config: &Path) -> Result<(), ConfigError> {
    let path = file_name(config);
    gone(&path, fs::remove_file(&path))
}
