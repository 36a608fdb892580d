//! How a run ended.

use jiff::Timestamp;
use kopist_repo::sync::SyncReport;
use kopist_snapshot::verify::VerifyStats;

/// Success, nothing to do, or failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Success,
    /// Nothing to do, and that is fine.
    Skipped,
    /// Not done.
    Failed,
}

impl Verdict {
    /// The word in the termination message.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// Declares the codes once, as variants and as words.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why, as a stable code that alerts can match.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// The code.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    /// Everything was done.
    Success,
    /// The data directory is empty.
    NothingToBackup,
    /// No snapshot fits.
    NoSnapshot,
    /// There is no repository yet.
    NoRepository,
    /// The environment is wrong.
    ConfigInvalid,
    /// The password does not open the repository.
    PasswordInvalid,
    /// Data without a format blob: the repository lost it.
    RepositoryMissing,
    /// The place holds something else.
    RepositoryForeign,
    /// A newer program wrote the repository.
    FormatTooNew,
    /// The store refuses the credentials.
    StorageAuth,
    /// The store does not answer.
    StorageUnreachable,
    /// The store forbids what is needed.
    StoragePermission,
    /// The store is full.
    StorageFull,
    /// The data directory cannot be read.
    SourceUnreadable,
    /// Entries of the data directory cannot be read.
    SourceErrors,
    /// A command before the snapshot failed.
    HookFailed,
    /// The destination cannot be written.
    TargetUnwritable,
    /// Stored data is missing or damaged.
    DataDamaged,
    /// Told to stop.
    Interrupted,
    /// The cache volume is full.
    CacheFull,
    /// Not in this build.
    NotImplemented,
    /// Anything else.
    Internal,
}

/// What was counted on the way; zero where it does not apply.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The snapshot made or restored.
    pub snapshot: Option<String>,
    /// Unique id of the repository, hexadecimal.
    pub repository: Option<String>,
    /// Files in it.
    pub files: u64,
    /// Directories in it.
    pub dirs: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that had to be read and hashed.
    pub bytes_hashed: u64,
    /// Bytes sent to the store.
    pub bytes_uploaded: u64,
    /// Files taken over from the snapshot before.
    pub files_unchanged: u64,
    /// Entries that failed.
    pub errors: u64,
    /// Entries that failed and are ignored by policy.
    pub ignored_errors: u64,
    /// Snapshots of the source that stay and that expired.
    pub retention: Option<(u64, u64)>,
    /// What a writer stored, if the run had one for data.
    pub written: Option<Written>,
    /// Bytes of packs that maintenance deleted.
    pub deleted_bytes: Option<u64>,
    /// What a verification or a test restore saw.
    pub checked: Option<Checked>,
    /// What was copied to a second place.
    pub copied: Option<SyncReport>,
}

/// What a verification or a test restore saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Snapshots.
    pub snapshots: u64,
    /// Files and directories that are where the index says.
    pub objects: u64,
    /// Files that were read.
    pub read_files: u64,
    /// Bytes of those.
    pub read_bytes: u64,
    /// What was missing or wrong.
    pub failed: u64,
}

impl Checked {
    /// What a verification of so many snapshots saw.
    pub(crate) fn of(snapshots: u64, stats: &VerifyStats) -> Self {
        Self {
            snapshots,
            objects: stats.objects,
            read_files: stats.read_files,
            read_bytes: stats.read_bytes,
            failed: stats.errors,
        }
    }
}

/// What a writer stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Plain bytes that the repository did not have.
    pub new_bytes: u64,
    /// Packs.
    pub packs: u64,
    /// Index blobs.
    pub index_blobs: u64,
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Success, skipped, failed.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// The process's exit status.
    pub exit_code: u8,
    /// What was counted.
    pub figures: Figures,
    /// When the run began.
    pub started: Option<Timestamp>,
    /// Whether the log already has the message, as its last line before the summary.
    pub told: bool,
    /// What is known besides the message and matters to a hint.
    pub detail: String,
    /// What usually helps.
    pub hint: Option<&'static str>,
}

impl Outcome {
    fn new(verdict: Verdict, reason: Reason, message: String, exit_code: u8) -> Self {
        let figures = Figures::default();
        Self {
            verdict,
            reason,
            message,
            exit_code,
            figures,
            started: None,
            told: false,
            detail: String::new(),
            hint: None,
        }
    }

    /// Everything was done.
    pub fn success(message: impl Into<String>, figures: Figures) -> Self {
        Self { figures, ..Self::new(Verdict::Success, Reason::Success, message.into(), 0) }
    }

    /// Nothing to do.
    pub fn skipped(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, reason, message.into(), 0)
    }

    /// Not done, with exit status 1 unless changed.
    pub fn failed(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, reason, message.into(), 1)
    }

    /// With another exit status.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.exit_code = code;
        self
    }
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut amount = count as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (8_589_934_592, "8.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn codes_are_the_names() {
        assert_eq!(Reason::NothingToBackup.code(), "NothingToBackup");
    }
}
