//! What can go wrong with a connection's files.

use std::{io, path::PathBuf};

/// An error of the client's configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no connection.
    #[error("repository is not connected: there is no {path}; connect first")]
    NotConnected {
        /// The missing file.
        path: PathBuf,
    },
    /// A file cannot be read, written or deleted.
    #[error("cannot {what} {path}: {source}")]
    File {
        /// What was tried: `read`, `write`, `delete`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not the JSON it should be.
    #[error("error decoding config json of {path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The persisted password is not base64.
    #[error("invalid persisted password in {path}: it is not base64; connect again")]
    MalformedPassword {
        /// The password file.
        path: PathBuf,
    },
    /// A token is not one.
    #[error("unable to decode token")]
    MalformedToken,
    /// A token of another version.
    #[error("unsupported token version")]
    TokenVersion,
    /// The cache directory in the file is not one that may be deleted.
    #[error("cache directory was not absolute, refusing to delete")]
    RelativeCacheDirectory,
}
