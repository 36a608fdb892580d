//! Why a run fails, in a code for alerts and a sentence for people.

use kopist_blob::BlobError;
use kopist_cloud::ConnectError;
use kopist_repo::RepoError;
use kopist_snapshot::SnapshotError;
use kopist_snapshot::restore::RestoreError;
use kopist_snapshot::upload::UploadError;

use super::stop::INTERRUPTED;
use crate::report::{Figures, Outcome, Reason};

/// A failed run.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
    /// The exit status.
    pub exit_code: u8,
    /// What is known besides and matters to a hint.
    pub detail: String,
    /// What was counted until then.
    pub figures: Box<Figures>,
}

impl Failure {
    /// With a code and a sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            exit_code: 1,
            detail: String::new(),
            figures: Box::default(),
        }
    }

    /// The run was told to stop.
    pub fn interrupted() -> Self {
        Self::new(Reason::Interrupted, "the run was told to stop before its work was complete")
            .exit(INTERRUPTED)
    }

    /// With another exit status.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.exit_code = code;
        self
    }

    /// With what was counted until then.
    #[must_use]
    pub fn counting(mut self, figures: &Figures) -> Self {
        *self.figures = figures.clone();
        self
    }

    /// With what matters to a hint.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With words in front that say what was being done.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        let mut outcome = Self::failed(failure.reason, failure.message).exit(failure.exit_code);
        outcome.detail = failure.detail;
        outcome.figures = *failure.figures;
        outcome
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        Self::new(reason_of_blob(&error), error.to_string())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let reason = match &error {
            ConnectError::Store(error) => reason_of_blob(error),
            ConnectError::NotIncluded { .. } => Reason::NotImplemented,
            _ => Reason::ConfigInvalid,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Self {
        Self::new(reason_of_repo(&error), error.to_string())
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        let reason = match &error {
            SnapshotError::Repository(error) => reason_of_repo(error),
            SnapshotError::Upload(error) => reason_of_upload(error),
            SnapshotError::Policy(_) => Reason::ConfigInvalid,
            SnapshotError::StoredPolicy { .. }
            | SnapshotError::Directory { .. }
            | SnapshotError::NoObject(_) => Reason::DataDamaged,
            _ => Reason::Internal,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let reason = match &error {
            RestoreError::Repository { source, .. } => reason_of_repo(source),
            RestoreError::Io { .. } | RestoreError::Exists { .. } => Reason::TargetUnwritable,
            RestoreError::Canceled => return Self::interrupted(),
            RestoreError::WorkerPanic => Reason::Internal,
            _ => Reason::DataDamaged,
        };
        Self::new(reason, error.to_string())
    }
}

fn reason_of_blob(error: &BlobError) -> Reason {
    match error {
        BlobError::InvalidCredentials { .. } => Reason::StorageAuth,
        BlobError::Inaccessible { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Reason::StoragePermission
        }
        BlobError::AccessDenied { .. } | BlobError::ReadOnly { .. } => Reason::StoragePermission,
        BlobError::NoSpace { .. } => Reason::StorageFull,
        BlobError::NotFound { .. } | BlobError::InvalidRange { .. } => Reason::DataDamaged,
        BlobError::InvalidConfig { .. } => Reason::ConfigInvalid,
        _ => Reason::StorageUnreachable,
    }
}

fn reason_of_repo(error: &RepoError) -> Reason {
    match error {
        RepoError::Blob(error) | RepoError::PackNotStored { source: error, .. } => {
            reason_of_blob(error)
        }
        RepoError::InvalidPassword => Reason::PasswordInvalid,
        RepoError::ExistingData => Reason::RepositoryForeign,
        RepoError::NotInitialized | RepoError::FormatBlobLost => Reason::RepositoryMissing,
        RepoError::RequiredFeature(_)
        | RepoError::Settings(_)
        | RepoError::UpgradeInProgress { .. } => Reason::FormatTooNew,
        RepoError::InvalidOption(_) => Reason::ConfigInvalid,
        RepoError::BlobNotFound { .. }
        | RepoError::Format { .. }
        | RepoError::ContentNotFound(_)
        | RepoError::ContentUnreadable { .. }
        | RepoError::ObjectInvalid { .. }
        | RepoError::ManifestNotFound(_)
        | RepoError::ManifestInvalid { .. } => Reason::DataDamaged,
        RepoError::IndexesUnavailable { source } => reason_of_repo(source),
        _ => Reason::Internal,
    }
}

fn reason_of_upload(error: &UploadError) -> Reason {
    match error {
        UploadError::Source(_) | UploadError::Unsupported(_) => Reason::SourceUnreadable,
        UploadError::Repository { source, .. } => reason_of_repo(source),
        _ => Reason::Internal,
    }
}
