//! What can go wrong with an open repository.

use kopist_blob::{BlobError, BlobId};
use kopist_format::{
    format_blob::FormatError,
    id::{ContentId, ObjectId},
};

/// An error of this crate.
///
/// Words that other programs look for in Kopia's messages (`invalid repository password`,
/// `not initialized`, `BLOB not found`, …) stand here too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// The storage failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Something that an operation needs is not in the storage.
    #[error("{what}: BLOB not found: {blob}")]
    BlobNotFound {
        /// What it was needed for.
        what: String,
        /// Its name.
        blob: BlobId,
    },
    /// There is no repository in the storage.
    #[error("repository not initialized in the provided storage")]
    NotInitialized,
    /// There is one already.
    #[error("repository already initialized")]
    AlreadyInitialized,
    /// The storage holds something else.
    #[error("found existing data in storage location; choose an empty one or connect to it")]
    ExistingData,
    /// The blob configuration is there but the format blob is not.
    #[error("possible corruption: blobcfg blob exists, but format blob is not found")]
    FormatBlobLost,
    /// The password is wrong (or the format blob is damaged).
    #[error("invalid repository password")]
    InvalidPassword,
    /// The format blob or the blob configuration is damaged, or asks for something that this
    /// program does not have.
    #[error(transparent)]
    Settings(FormatError),
    /// A required feature is not understood.
    #[error("{0}")]
    RequiredFeature(String),
    /// Another client is upgrading.
    #[error("repository upgrade in progress (locked by {owner}: {message})")]
    UpgradeInProgress {
        /// Who.
        owner: String,
        /// Why.
        message: String,
    },
    /// There is no lock that an upgrade could go on with.
    #[error("no upgrade in progress")]
    NoUpgrade,
    /// Others may not have noticed the upgrade lock yet.
    #[error("other clients may use the repository until {time}; upgrade it after that")]
    UpgradeTooEarly {
        /// When everybody will have noticed.
        time: jiff::Timestamp,
    },
    /// The repository was opened for reading.
    #[error("cannot write with a read-only connection: storage is read-only")]
    ReadOnly,
    /// The settings of writing are damaged; reading goes on without them.
    #[error("cannot write: {reason}")]
    SettingsLost {
        /// Why they do not open.
        reason: String,
    },
    /// Settings of an option or parameter that cannot be.
    #[error("{0}")]
    InvalidOption(String),
    /// The format layer refused bytes.
    #[error("{what}: {source}")]
    Format {
        /// Which thing it was.
        what: String,
        /// Why it was refused.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No index blob set could be loaded.
    #[error("unable to load pack indexes despite 10 retries: {source}")]
    IndexesUnavailable {
        /// The last failure.
        source: Box<RepoError>,
    },
    /// An index blob took too long to write.
    #[error(
        "extremely slow index write - index write took more than two epochs; \
         nothing was lost, run the command again"
    )]
    SlowIndexWrite,
    /// Nothing is known of a content.
    #[error("content not found: {0}")]
    ContentNotFound(ContentId),
    /// A content cannot be read.
    #[error("content {id} in pack {pack} at {offset}+{length}: {source}")]
    ContentUnreadable {
        /// Which one.
        id: ContentId,
        /// The blob it lies in.
        pack: BlobId,
        /// Where.
        offset: u64,
        /// How long.
        length: u64,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object cannot be assembled.
    #[error("object {id}: {reason}")]
    ObjectInvalid {
        /// Which one.
        id: ObjectId,
        /// Why.
        reason: String,
    },
    /// There is no such manifest.
    #[error("manifest not found: {0}")]
    ManifestNotFound(String),
    /// A manifest without its kind.
    #[error("'type' label is required")]
    ManifestWithoutType,
    /// A manifest's payload is not what it should be.
    #[error("manifest {id}: {source}")]
    ManifestInvalid {
        /// Which one.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A pack could not be stored; its contents are not in any index.
    #[error("pack {pack} was not stored and will be tried again: {source}")]
    PackNotStored {
        /// The pack.
        pack: BlobId,
        /// Why.
        source: BlobError,
    },
    /// Maintenance must not go on.
    #[error("{0}")]
    Maintenance(String),
    /// A local file could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
}

impl RepoError {
    /// Wraps an error of the format layer with the name of the thing it is about.
    pub(crate) fn format(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Format { what: what.into(), source: source.into() }
    }

    /// Whether this says that stored bytes are lost or are not what they should be, as opposed to
    /// a storage that does not answer just now: trying again would not help.
    pub fn is_damage(&self) -> bool {
        let is_lost =
            |e: &BlobError| e.is_not_found() || matches!(e, BlobError::InvalidRange { .. });
        match self {
            Self::Blob(e) => is_lost(e),
            Self::BlobNotFound { .. }
            | Self::Format { .. }
            | Self::ContentNotFound(_)
            | Self::ObjectInvalid { .. }
            | Self::ManifestInvalid { .. } => true,
            Self::ContentUnreadable { source, .. } => {
                source.downcast_ref::<BlobError>().is_none_or(is_lost)
            }
            _ => false,
        }
    }

    /// Whether this says that a blob, a content or a manifest is not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Blob(e) => e.is_not_found(),
            Self::BlobNotFound { .. } | Self::ContentNotFound(_) | Self::ManifestNotFound(_) => {
                true
            }
            _ => false,
        }
    }
}

/// Something damaged that was left as it is, so that it may be looked at or repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which thing, with its kind: `session marker s…`.
    pub what: String,
    /// Why it cannot be read.
    pub reason: String,
}

impl Unreadable {
    /// A thing and why it cannot be read.
    pub fn new(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self { what: what.into(), reason: reason.to_string() }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

/// Results of this crate.
pub type Result<T, E = RepoError> = std::result::Result<T, E>;
