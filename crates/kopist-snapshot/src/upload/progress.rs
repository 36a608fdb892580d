//! What an upload tells whoever watches.

use std::fmt;

/// One thing that happened. Paths are relative to the source, raw bytes, empty for the root.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum UploadEvent<'a> {
    /// A directory is listed.
    EnteredDirectory {
        /// Which one.
        path: &'a [u8],
    },
    /// A directory was stored.
    FinishedDirectory {
        /// Which one.
        path: &'a [u8],
    },
    /// A file is read.
    HashingFile {
        /// Which one.
        path: &'a [u8],
        /// Its size when it was listed.
        size: i64,
    },
    /// Bytes were read and stored (or found to be known).
    HashedBytes {
        /// How many.
        bytes: u64,
    },
    /// A file or link was stored.
    HashedFile {
        /// Which one.
        path: &'a [u8],
        /// Its bytes.
        size: i64,
    },
    /// A file or link was taken from a previous snapshot.
    CachedFile {
        /// Which one.
        path: &'a [u8],
        /// Its size.
        size: i64,
    },
    /// Something was left out by a rule.
    Excluded {
        /// Which one.
        path: &'a [u8],
        /// Whether it is a directory.
        is_dir: bool,
        /// Its size.
        size: i64,
    },
    /// A file changed between listing and the end of reading. What was read is stored, with the
    /// attributes it was listed with, so the next snapshot reads it again.
    ChangedWhileRead {
        /// Which one.
        path: &'a [u8],
    },
    /// Something could not be stored.
    Failed {
        /// Which one.
        path: &'a [u8],
        /// Why.
        error: &'a str,
        /// Whether a policy says to ignore it.
        ignored: bool,
    },
    /// Something worth knowing.
    Info {
        /// What.
        message: &'a str,
    },
    /// Something that deserves a word but changes nothing.
    Warning {
        /// What.
        message: &'a str,
    },
    /// An incomplete snapshot was saved on the way.
    Checkpoint {
        /// Its manifest.
        manifest: &'a str,
    },
}

impl fmt::Debug for UploadEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            Self::EnteredDirectory { path } => write!(f, "enter {:?}", text(path)),
            Self::FinishedDirectory { path } => write!(f, "finished {:?}", text(path)),
            Self::HashingFile { path, size } => write!(f, "hashing {:?} ({size})", text(path)),
            Self::HashedBytes { bytes } => write!(f, "hashed {bytes} bytes"),
            Self::HashedFile { path, size } => write!(f, "hashed {:?} ({size})", text(path)),
            Self::CachedFile { path, size } => write!(f, "cached {:?} ({size})", text(path)),
            Self::Excluded { path, is_dir, size } => {
                write!(f, "excluded {:?} (directory: {is_dir}, {size})", text(path))
            }
            Self::ChangedWhileRead { path } => write!(f, "changed {:?}", text(path)),
            Self::Failed { path, error, ignored } => {
                write!(f, "failed {:?}: {error} (ignored: {ignored})", text(path))
            }
            Self::Info { message } => write!(f, "info: {message}"),
            Self::Warning { message } => write!(f, "warning: {message}"),
            Self::Checkpoint { manifest } => write!(f, "checkpoint {manifest}"),
        }
    }
}

/// Listens to an upload. Called from several threads at once, often: be quick.
pub trait UploadProgress: Send + Sync {
    /// Something happened.
    fn event(&self, event: &UploadEvent<'_>);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl UploadProgress for Silent {
    fn event(&self, _event: &UploadEvent<'_>) {}
}

impl<F: Fn(&UploadEvent<'_>) + Send + Sync> UploadProgress for F {
    fn event(&self, event: &UploadEvent<'_>) {
        self(event);
    }
}
