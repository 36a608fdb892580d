//! What can go wrong with snapshots.

use kopist_format::directory::DirectoryError;
use kopist_format::id::ObjectId;
use kopist_repo::RepoError;

use crate::policy::PolicyError;
use crate::upload::UploadError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The upload ended without a snapshot.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The policy cannot be stored.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A stored policy cannot be read.
    #[error("cannot read policy {id}: {source}")]
    StoredPolicy {
        /// Its manifest.
        id: String,
        /// Why.
        source: RepoError,
    },
    /// A manifest of another kind.
    #[error("manifest {0} is not a snapshot")]
    NotASnapshot(String),
    /// A part of the source is missing.
    #[error("missing {0}: a snapshot needs a host, a user name and a path")]
    IncompleteSource(&'static str),
    /// A tag that would hide what the manifest is.
    #[error("invalid or duplicate tag {0:?}: it is used by snapshots themselves")]
    ReservedTag(String),
    /// Nothing has this name.
    #[error("entry not found: {0:?}")]
    EntryNotFound(String),
    /// A path was given without one.
    #[error("the source must contain a path element")]
    NoPath,
    /// No snapshot holds a path.
    #[error("no snapshots contain data for {0}")]
    NoSnapshot(String),
    /// Something that is neither an id of a snapshot nor of an object.
    #[error(
        "unable to find a snapshot or an object with ID {0:?}; list snapshots to see their IDs"
    )]
    UnknownId(String),
    /// Several snapshots with other attributes have this root.
    #[error("found inconsistent root entries of {0}; give a snapshot ID instead of an object ID")]
    InconsistentAttributes(String),
    /// Part of a path is not a directory.
    #[error("{0:?} is not a directory")]
    NotADirectory(String),
    /// A directory object cannot be read.
    #[error("cannot read directory {object}: {source}")]
    Directory {
        /// Which one.
        object: ObjectId,
        /// Why.
        source: DirectoryError,
    },
    /// A part of a snapshot cannot be read, so what it uses is not known.
    #[error("cannot read {path}: {source}; nothing was deleted")]
    Unreadable {
        /// Which part.
        path: String,
        /// Why.
        source: Box<SnapshotError>,
    },
    /// A part of a snapshot cannot be read, so what it takes is not known.
    #[error("error processing {path}: {source}")]
    Uncounted {
        /// Which part.
        path: String,
        /// Why.
        source: Box<SnapshotError>,
    },
    /// Snapshots of several sources would get the same one.
    #[error("{0} specified on destination but not source")]
    Collapse(&'static str),
    /// A directory that is to be compared cannot be read.
    #[error("unable to read {which} directory {path}: {source}")]
    Compare {
        /// `first` or `second`.
        which: &'static str,
        /// Its path.
        path: String,
        /// Why.
        source: Box<SnapshotError>,
    },
    /// A tree that no system could have held.
    #[error("directories are nested too deeply at {0}")]
    TooDeep(String),
    /// Threads cannot be made.
    #[error("cannot start threads: {0}; use fewer with --parallel")]
    Threads(String),
    /// JSON cannot be written.
    #[error("cannot write JSON: {0}")]
    Json(#[source] kopist_format::json::JsonError),
    /// The caller wanted it so.
    #[error("told to stop")]
    Stopped,
    /// An entry without an object.
    #[error("entry {0:?} has no object; verify the snapshot")]
    NoObject(String),
}

/// Results of this crate.
pub type Result<T, E = SnapshotError> = std::result::Result<T, E>;
