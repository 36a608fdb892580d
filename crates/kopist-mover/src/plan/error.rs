//! What can be wrong with an environment, each with the text that users know.

use std::path::PathBuf;

/// A reason not to start. The texts of the first block are searched for by
/// run-books and tests of the operator; they stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No repository password.
    #[error("KOPIA_PASSWORD must be defined")]
    PasswordMissing,
    /// No data directory.
    #[error("DATA_DIR must be defined")]
    DataDirMissing,
    /// The cache directory is absent or belongs to somebody else.
    #[error(
        "Cache directory {} is not writable: give the pod a volume there that this user may write to (securityContext.fsGroup)",
        .0.display()
    )]
    CacheNotWritable(PathBuf),
    /// The data directory is not there.
    #[error("Data directory {} does not exist", .0.display())]
    DataDirNotFound(PathBuf),
    /// The directory for test restores is not there, or belongs to somebody else.
    #[error(
        "KOPIST_TEST_RESTORE_DIR names {}, which is no directory that this user may write to",
        .0.display()
    )]
    ScratchNotWritable(PathBuf),
    /// Nothing says where a copy goes.
    #[error(
        "replicate needs a target: set KOPIST_TARGET_KOPIA_REPOSITORY, and the variables of its store with KOPIST_TARGET_ in front"
    )]
    TargetMissing,
    /// The store of a copy is not usable.
    #[error("the target of the copy (variables with KOPIST_TARGET_ in front): {0}")]
    Target(Box<PlanError>),
    /// A repository cannot be its own copy.
    #[error("the target of the copy, {0}, is the repository itself")]
    TargetIsSource(String),
    /// A copy is opened by the original's password.
    #[error(
        "KOPIST_TARGET_KOPIA_PASSWORD differs from KOPIA_PASSWORD, but a copy has the password of the original: leave it out"
    )]
    TargetPassword,
    /// The part of the data directory that is to be saved is not there.
    #[error("KOPIA_SOURCE_PATH names {}, which is no directory of the volume", .0.display())]
    SourcePathNotFound(PathBuf),
    /// An argument that is no operation.
    #[error("unknown operation: {0}")]
    UnknownOperation(String),
    /// Neither an argument nor DIRECTION.
    #[error(
        "nothing to do: give the argument backup or restore, or set DIRECTION=source, destination or maintenance"
    )]
    NoOperation,
    /// More than one operation.
    #[error("{0} and {1} cannot be done in one run: give one operation")]
    ManyOperations(String, String),
    /// Maintenance asked for by argument.
    #[error("Command-based maintenance no longer supported. Use KopiaMaintenance CRD.")]
    MaintenanceByArgument,
    /// A variable that must hold a JSON object does not.
    #[error("Invalid JSON in {variable}: {problem}")]
    InvalidJson {
        /// The variable.
        variable: &'static str,
        /// What the parser said; never the value.
        problem: String,
    },
    /// No variable selects a store.
    #[error(
        "No repository configuration found: set KOPIA_REPOSITORY to a repository URL such as filesystem:///mnt/repo or s3://bucket/prefix"
    )]
    NoRepository,
    /// The bucket part of an S3 URL is not a bucket name.
    #[error(
        "Could not determine S3 bucket name: the part of KOPIA_REPOSITORY after s3:// must be a bucket name of 3 to 63 lower-case letters, digits, dots and dashes"
    )]
    S3Bucket,
    /// The bucket has two dots in a row or the shape of an IP address.
    #[error("Invalid S3 bucket name format")]
    S3BucketFormat,
    /// The prefix has other characters.
    #[error(
        "Invalid {0} prefix format. Only alphanumeric, dots, dashes, underscores and forward slashes allowed"
    )]
    Prefix(&'static str),
    /// A filesystem URL without an absolute path.
    #[error("Invalid filesystem URL format. Expected filesystem:///path")]
    FilesystemUrl,
    /// A filesystem path that climbs.
    #[error("Invalid filesystem path. Path must be absolute and cannot contain ..")]
    FilesystemPath,
    /// `filesystem:` without a path, and not exactly one repository in sight.
    #[error(
        "KOPIA_REPOSITORY names no path, and {} below /mnt: write filesystem:///mnt/<mountPath>",
        match .0.as_slice() {
            [] => "there is no repository directly".to_owned(),
            found => format!("there are several repositories ({})", found.join(", ")),
        }
    )]
    FilesystemSearch(Vec<String>),
    /// A store lacks something that it cannot work without.
    #[error("{store} needs {what}: set {variables}")]
    StoreIncomplete {
        /// The kind of store.
        store: &'static str,
        /// What is missing.
        what: &'static str,
        /// The variables that give it.
        variables: &'static str,
    },
    /// A variable gives a file that is not there.
    #[error(
        "{0} gives neither the credential itself nor the path of a file that exists in this container"
    )]
    CredentialFile(&'static str),
    /// A credential looks like JSON but is none.
    #[error("{0} starts like JSON but cannot be read as JSON")]
    CredentialJson(&'static str),
    /// A variable with a value that is not UTF-8.
    #[error("the value of {0} is not text (UTF-8)")]
    NotText(String),
    /// A number is not a number, or out of range.
    #[error("{name} must be {expected}")]
    BadValue {
        /// Variable or argument.
        name: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// An instant is not RFC 3339.
    #[error("{name} must be a time such as 2024-01-31T10:00:00Z or 2024-01-31T12:00:00+02:00")]
    BadTime {
        /// Variable or argument.
        name: String,
    },
    /// An algorithm that the format does not have.
    #[error(
        "{name} asks for {value}, which is no {kind} of the repository format; known are {known}"
    )]
    UnknownAlgorithm {
        /// Where it was asked for.
        name: String,
        /// What was asked for.
        value: String,
        /// Hash, encryption, splitter, compression.
        kind: &'static str,
        /// The names that would work.
        known: String,
    },
    /// An additional argument that would replace what the operator decides.
    #[error(
        "additional argument {0} is not allowed: identity, repository, cache and credentials come from the operator"
    )]
    ForbiddenArgument(String),
    /// An additional argument that is not known.
    #[error("unknown additional argument {0}")]
    UnknownArgument(String),
    /// An additional argument lacks its value.
    #[error("additional argument {0} needs a value: write {0}=<value>")]
    ArgumentValueMissing(String),
    /// An additional argument has a value but is a switch.
    #[error("additional argument {0} takes no value")]
    ArgumentValueUnexpected(String),
    /// An additional argument that exists, with a meaning that this program lacks.
    #[error("additional argument {0} is not implemented in this build")]
    ArgumentNotImplemented(String),
    /// A setting that holds one of a few words.
    #[error("{name} must be one of {allowed}")]
    NotOneOf {
        /// Setting.
        name: String,
        /// Words.
        allowed: &'static str,
    },
}

impl PlanError {
    /// The exit status that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownOperation(_) | Self::NoOperation | Self::ManyOperations(..) => 2,
            _ => 1,
        }
    }
}

/// Something that is accepted, yet not as its author thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice(pub String);

/// An error that counts only once a later step is reached.
///
/// The reference connects (and creates, in a first backup) before it looks at the
/// compression, and looks at creation parameters only when it creates. Refusing
/// earlier would turn working set-ups into failing ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The step.
    pub step: Step,
    /// What is wrong.
    pub error: PlanError,
}

/// Steps that an [`Objection`] can belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Creating the repository.
    Create,
    /// Setting the compression of the source.
    SourceCompression,
}

/// Collects errors and notices while a plan is made.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<PlanError>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) objections: Vec<Objection>,
    /// Decided on the way, and of use even if the rest is wrong.
    pub(crate) known: super::Known,
}

impl Findings {
    pub(crate) fn error(&mut self, error: PlanError) {
        self.errors.push(error);
    }

    pub(crate) fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(Notice(text.into()));
    }

    /// Remarks on a variable that today's operator does not send and that counts
    /// nevertheless.
    pub(crate) fn former(&mut self, name: &str, effect: &str) {
        self.notice(format!(
            "{name} is set, which today's operator does not send; as its documentation or an \
             earlier release has it, {effect}"
        ));
    }

    pub(crate) fn object(&mut self, step: Step, error: PlanError) {
        self.objections.push(Objection { step, error });
    }

    /// Keeps the value, or the error.
    pub(crate) fn ok<T>(&mut self, result: Result<T, PlanError>) -> Option<T> {
        result.map_err(|error| self.error(error)).ok()
    }
}
