use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::BlobId;

/// Why a store could not do what it was asked.
///
/// Callers match on [`NotFound`](Self::NotFound), [`AlreadyExists`](Self::AlreadyExists),
/// [`InvalidRange`](Self::InvalidRange), [`ReadOnly`](Self::ReadOnly) and
/// [`Unsupported`](Self::Unsupported); the rest is for people to read and for
/// [`is_retriable`](Self::is_retriable).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The store has no such blob.
    #[error("blob {id} not found")]
    NotFound {
        /// The blob asked for.
        id: BlobId,
    },
    /// The wanted bytes lie outside the blob.
    #[error(
        "blob {id} has {size} bytes, which does not cover the {length} bytes at offset {offset}: \
         the blob is truncated or its index entry is wrong"
    )]
    InvalidRange {
        /// The blob asked for.
        id: BlobId,
        /// First byte wanted.
        offset: u64,
        /// Bytes wanted.
        length: u64,
        /// Length of the blob.
        size: u64,
    },
    /// No store may hold a blob of this name.
    #[error("{id:?} cannot be the name of a blob: {reason}")]
    InvalidId {
        /// The name.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The blob exists and was not to be replaced.
    #[error("blob {id} exists already")]
    AlreadyExists {
        /// The blob to be created.
        id: BlobId,
    },
    /// The connection is read-only.
    #[error("cannot {operation} {target}: the storage was opened read-only")]
    ReadOnly {
        /// What was asked.
        operation: Operation,
        /// On what.
        target: Target,
    },
    /// This kind of store cannot do it.
    #[error("{store} does not support {feature}")]
    Unsupported {
        /// What was asked.
        feature: Feature,
        /// Display name of the store.
        store: String,
    },
    /// The store rejected who we are.
    #[error("{store} rejected the credentials: {message}; renew them and connect again")]
    InvalidCredentials {
        /// Display name of the store.
        store: String,
        /// What the store said.
        message: String,
    },
    /// The volume is full, or a quota is used up.
    #[error(
        "cannot {operation} {target}: no space left on the storage ({source}); free some or raise the quota"
    )]
    NoSpace {
        /// What was asked.
        operation: Operation,
        /// On what.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The process lacks the permission.
    #[error("cannot {operation} {target}: {source}{}", advice(source))]
    AccessDenied {
        /// What was asked.
        operation: Operation,
        /// On what.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The place itself is missing, for example not mounted.
    #[error("cannot access storage path {}: {source}; is it mounted?", path.display())]
    Inaccessible {
        /// Root of the store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration of a store is not usable.
    #[error("the configuration of the {kind} storage is not usable: {message}")]
    InvalidConfig {
        /// `type` of the storage.
        kind: String,
        /// What is wrong.
        message: String,
    },
    /// The `.shards` file of a store is unreadable.
    #[error(
        "{file} does not describe a layout of directories: {message}; restore it from a copy, blobs cannot be found without it"
    )]
    InvalidLayout {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// The operating system failed.
    #[error("cannot {operation} {target}: {source}")]
    Io {
        /// What was asked.
        operation: Operation,
        /// On what.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// A remote store failed.
    #[error("cannot {operation} {target}: {source}")]
    Remote {
        /// What was asked.
        operation: Operation,
        /// On what.
        target: Target,
        /// Whether another attempt may succeed.
        retriable: bool,
        /// How many seconds the server wants to be left alone before that; 0 if it does not say.
        wait_seconds: u16,
        /// What the client library or server said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Every attempt failed.
    #[error("gave up after {attempts} attempts: {source}")]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: Box<BlobError>,
    },
    /// A failure made up by a test wrapper.
    #[error("injected failure: cannot {operation} {target}")]
    Injected {
        /// What was asked.
        operation: Operation,
        /// On what.
        target: Target,
        /// Whether a retry is allowed.
        retriable: bool,
    },
}

impl BlobError {
    /// Whether the same call may succeed when it is simply made again.
    ///
    /// What the caller did wrong, what the store lacks and what a person must mend (permissions,
    /// full disks, credentials) is not retriable.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_transient(source),
            Self::Remote { retriable, .. } | Self::Injected { retriable, .. } => *retriable,
            _ => false,
        }
    }

    /// How long the store wants to be left alone before the same call is made again, if it says
    /// so.
    pub fn wait(&self) -> Duration {
        match self {
            Self::Remote { wait_seconds, .. } => Duration::from_secs(u64::from(*wait_seconds)),
            _ => Duration::ZERO,
        }
    }

    /// Whether the blob does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Sorts an error of the operating system into the variant that says what to do.
    pub fn from_io(operation: Operation, target: impl Into<Target>, source: io::Error) -> Self {
        use io::ErrorKind as K;
        let target = target.into();
        match (source.kind(), target) {
            (K::NotFound, Target::Blob(id)) if operation != Operation::Put => Self::NotFound { id },
            (K::AlreadyExists, Target::Blob(id)) if operation == Operation::Put => {
                Self::AlreadyExists { id }
            }
            (K::StorageFull | K::QuotaExceeded, target) => {
                Self::NoSpace { operation, target, source }
            }
            (K::PermissionDenied | K::ReadOnlyFilesystem, target) => {
                Self::AccessDenied { operation, target, source }
            }
            (_, target) => Self::Io { operation, target, source },
        }
    }
}

/// What to do about a refusal of the operating system. Servers say it themselves.
fn advice(error: &io::Error) -> &'static str {
    if error.get_ref().is_some() { "" } else { "; check owner, mode and mount options" }
}

/// Errors of the operating system that tend to go away: kopia retries everything except
/// missing, existing and stale files (kopia:repo/blob/filesystem); we also spare the caller the
/// wait for those that only a person can mend.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    !matches!(
        error.kind(),
        K::NotFound
            | K::AlreadyExists
            | K::StaleNetworkFileHandle
            | K::PermissionDenied
            | K::ReadOnlyFilesystem
            | K::StorageFull
            | K::QuotaExceeded
            | K::FileTooLarge
            | K::NotADirectory
            | K::IsADirectory
            | K::DirectoryNotEmpty
            | K::InvalidInput
            | K::InvalidFilename
            | K::InvalidData
            | K::Unsupported
            | K::CrossesDevices
            | K::TooManyLinks
    )
}

/// What was being done, for errors, recordings and faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// Open the store.
    Open,
    /// Read bytes.
    Get,
    /// Ask for length and timestamp.
    Metadata,
    /// Write a blob.
    Put,
    /// Delete a blob.
    Delete,
    /// List blobs.
    List,
    /// Prolong the lock of a blob.
    ExtendRetention,
    /// Ask for the room left.
    Capacity,
    /// Remove the remains of interrupted writes.
    Sweep,
}

impl Operation {
    /// Whether the operation changes the store.
    pub fn is_mutation(self) -> bool {
        matches!(self, Self::Put | Self::Delete | Self::ExtendRetention | Self::Sweep)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Get => "read",
            Self::Metadata => "stat",
            Self::Put => "write",
            Self::Delete => "delete",
            Self::List => "list",
            Self::ExtendRetention => "extend the retention of",
            Self::Capacity => "measure",
            Self::Sweep => "sweep",
        })
    }
}

/// What an operation was about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// One blob.
    Blob(BlobId),
    /// All blobs whose id starts so.
    Prefix(String),
    /// A file or directory of a store.
    Path(PathBuf),
    /// The store as a whole, by its display name.
    Store(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(id) => write!(f, "blob {id}"),
            Self::Prefix(prefix) if prefix.is_empty() => f.write_str("all blobs"),
            Self::Prefix(prefix) => write!(f, "blobs {prefix}*"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Store(name) => f.write_str(name),
        }
    }
}

impl From<&BlobId> for Target {
    fn from(id: &BlobId) -> Self {
        Self::Blob(id.clone())
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

/// What some stores cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Locks against deletion.
    Retention,
    /// Creating a blob only if it does not exist.
    DoNotRecreate,
    /// Writing a blob with a given timestamp.
    SetModTime,
    /// Telling the room left, because the store is not a volume.
    Capacity,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Retention => "object locking",
            Self::DoNotRecreate => "writing a blob only if it does not exist",
            Self::SetModTime => "setting the time of a blob",
            Self::Capacity => "measuring free space, because it is not a volume",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_retried() {
        let error = |errno: rustix::io::Errno| {
            BlobError::from_io(Operation::Put, &BlobId::from("p1"), errno.into())
        };
        use rustix::io::Errno;
        for errno in [Errno::IO, Errno::BUSY, Errno::TIMEDOUT, Errno::MFILE, Errno::AGAIN] {
            assert!(error(errno).is_retriable(), "{errno}");
        }
        for errno in [
            Errno::NOENT,
            Errno::EXIST,
            Errno::STALE,
            Errno::ACCESS,
            Errno::PERM,
            Errno::ROFS,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::NAMETOOLONG,
        ] {
            assert!(!error(errno).is_retriable(), "{errno}");
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        let error = BlobError::from_io(Operation::Put, &BlobId::from("p1"), full);
        assert!(matches!(error, BlobError::NoSpace { .. }));
        assert!(error.to_string().contains("no space left on the storage"), "{error}");
    }
}
