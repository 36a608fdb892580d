//! The client's side of a repository: where it is, under which name we write, how we cache.
//!
//! A *connection* is a file, `repository.config`, that Kopia and kopist both read and write:
//!
//! * [`LocalConfig`] is its content. Keys that this version does not know survive a
//!   read-modify-write, at every level.
//! * [`password`] keeps the password beside it (`<config>.kopia-password`), as Kopia does.
//! * [`token`] packs the storage, and the password if wanted, into one line of text.
//!
//! Nothing here looks at the environment or at command lines; the caller resolves those and
//! passes the results in.
//!
//! Sources: `kopia:repo/local_config.go`, `kopia:repo/caching.go`, `kopia:repo/token.go`,
//! `kopia:internal/passwordpersist/`.

mod error;
mod local;
pub mod password;
pub mod token;

pub use error::ConfigError;
pub use local::{
    ApiServer, CachingConfig, ClientConfig, DEFAULT_CACHE_BYTES, LocalConfig, ThrottlingLimits,
};

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Writes a private file (0600) so that a reader sees the old content or the new, never a part.
fn write_private_file(path: &Path, data: &[u8]) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut file = tempfile::Builder::new()
        .prefix(".kopist-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    file.write_all(data)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests;
