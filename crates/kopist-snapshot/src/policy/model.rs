//! The fields of a policy, section by section, as they stand in JSON.
//!
//! A field that is unset is not written. Sections are always written. What this version does not
//! know is kept in `extra` at its level and written again.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// JSON keys that this version does not know.
pub type ExtraMap = serde_json::Map<String, serde_json::Value>;

/// Whether a field says nothing, so that the next level up decides.
///
/// An `Option` speaks even when it holds zero; a plain value speaks only when it is not zero.
/// That difference is kopia's, field by field, and an explicit zero cannot override a plain one.
pub trait Unset {
    /// Whether the field says nothing.
    fn is_unset(&self) -> bool;
}

impl<T> Unset for Option<T> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T> Unset for Vec<T> {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

impl Unset for String {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

impl Unset for i64 {
    fn is_unset(&self) -> bool {
        *self == 0
    }
}

impl Unset for bool {
    fn is_unset(&self) -> bool {
        !*self
    }
}

fn null_is_unset<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Declares a section: a struct whose fields are left out when unset.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident $key:literal: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(
                    rename = $key,
                    default,
                    skip_serializing_if = "Unset::is_unset",
                    deserialize_with = "null_is_unset"
                )]
                pub $field: $type,
            )*
            /// Unknown keys.
            #[serde(flatten)]
            pub extra: ExtraMap,
        }
    };
}

section! {
    /// How many snapshots to keep.
    Retention {
        /// Newest snapshots.
        keep_latest "keepLatest": Option<i64>,
        /// One for each hour.
        keep_hourly "keepHourly": Option<i64>,
        /// One for each day.
        keep_daily "keepDaily": Option<i64>,
        /// One for each ISO week.
        keep_weekly "keepWeekly": Option<i64>,
        /// One for each month.
        keep_monthly "keepMonthly": Option<i64>,
        /// One for each year.
        keep_annual "keepAnnual": Option<i64>,
        /// Store nothing when the tree is the one of the previous snapshot.
        ignore_identical_snapshots "ignoreIdenticalSnapshots": Option<bool>,
    }
}

section! {
    /// What to leave out.
    Files {
        /// Patterns; the nearest level's list replaces the others.
        ignore "ignore": Vec<String>,
        /// Written by kopia, without any effect.
        no_parent_ignore "noParentIgnore": bool,
        /// Names of files that hold patterns.
        ignore_dot_files "ignoreDotFiles": Vec<String>,
        /// Written by kopia, without any effect.
        no_parent_dot_files "noParentDotFiles": bool,
        /// Store directories with a valid `CACHEDIR.TAG` empty; unset means yes.
        ignore_cache_dirs "ignoreCacheDirs": Option<bool>,
        /// Leave out files larger than this many bytes; 0 is no limit.
        max_file_size "maxFileSize": i64,
        /// Stay on the file system of the source.
        one_file_system "oneFileSystem": Option<bool>,
    }
}

section! {
    /// Which errors are recorded without failing the snapshot.
    ErrorHandling {
        /// Files that cannot be read.
        ignore_file_errors "ignoreFileErrors": Option<bool>,
        /// Directories that cannot be read.
        ignore_directory_errors "ignoreDirectoryErrors": Option<bool>,
        /// Devices, sockets and pipes: leave them out without a word.
        ignore_unknown_types "ignoreUnknownTypes": Option<bool>,
    }
}

section! {
    /// When to run. Only kopia's server runs on a schedule; the fields are kept for it.
    Scheduling {
        /// Seconds between snapshots.
        interval_seconds "intervalSeconds": i64,
        /// Times of the day.
        times_of_day "timeOfDay": Vec<TimeOfDay>,
        /// Do not add the times of the levels above.
        no_parent_times_of_day "noParentTimeOfDay": bool,
        /// Only by hand.
        manual "manual": bool,
        /// Cron expressions.
        cron "cron": Vec<String>,
        /// Catch up on missed runs.
        run_missed "runMissed": Option<bool>,
    }
}

/// A time of the day, `H:MM` in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    #[serde(rename = "min")]
    pub minute: u32,
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:02}", self.hour, self.minute)
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        let number = |part: &str, most: u32| part.parse().ok().filter(|n: &u32| *n <= most);
        parts
            .and_then(|(hour, minute)| Some((number(hour, 23)?, number(minute, 59)?)))
            .map(|(hour, minute)| Self { hour, minute })
            .ok_or_else(|| format!("invalid time of day {text:?}, must be HH:MM"))
    }
}

section! {
    /// How to compress files.
    Compression {
        /// Compressor; `none` is a value of its own.
        compressor_name "compressorName": String,
        /// Extensions that are compressed although `never_compress` has them. It does not stop
        /// other files from being compressed, whatever its name says.
        only_compress "onlyCompress": Vec<String>,
        /// Do not add the levels above this one.
        no_parent_only_compress "noParentOnlyCompress": bool,
        /// Extensions that are not compressed.
        never_compress "neverCompress": Vec<String>,
        /// Do not add the levels above this one.
        no_parent_never_compress "noParentNeverCompress": bool,
        /// Smaller files are not compressed.
        min_size "minSize": i64,
        /// Larger files are not compressed; 0 is no limit.
        max_size "maxSize": i64,
    }
}

section! {
    /// How to compress directories and indexes of large objects.
    MetadataCompression {
        /// Compressor.
        compressor_name "compressorName": String,
    }
}

section! {
    /// How to split files.
    Splitter {
        /// Splitter; empty is the repository's.
        algorithm "algorithm": String,
    }
}

section! {
    /// Commands to run around a snapshot.
    Actions {
        /// Before each directory that has this policy.
        before_folder "beforeFolder": Option<ActionCommand>,
        /// After each directory that has this policy.
        after_folder "afterFolder": Option<ActionCommand>,
        /// Before the snapshot.
        before_snapshot_root "beforeSnapshotRoot": Option<ActionCommand>,
        /// After the snapshot.
        after_snapshot_root "afterSnapshotRoot": Option<ActionCommand>,
    }
}

section! {
    /// A command or a script.
    ActionCommand {
        /// Program.
        command "path": String,
        /// Its arguments.
        arguments "args": Vec<String>,
        /// Script; wins over the program.
        script "script": String,
        /// Seconds until it is stopped; 0 is three minutes.
        timeout_seconds "timeout": i64,
        /// `essential`, `optional` or `async`.
        mode "mode": String,
    }
}

section! {
    /// Windows volume snapshots.
    VolumeShadowCopy {
        /// 0 never, 1 always, 2 when available.
        enable "enable": Option<i64>,
    }
}

section! {
    /// Log detail for directories, 0 to 10.
    DirectoryLogging {
        /// Stored directories.
        snapshotted "snapshotted": Option<i64>,
        /// Directories left out.
        ignored "ignored": Option<i64>,
    }
}

section! {
    /// Log detail for everything else, 0 to 10.
    EntryLogging {
        /// Stored entries.
        snapshotted "snapshotted": Option<i64>,
        /// Entries left out.
        ignored "ignored": Option<i64>,
        /// Entries taken from the previous snapshot.
        cache_hit "cacheHit": Option<i64>,
        /// Entries read anew.
        cache_miss "cacheMiss": Option<i64>,
    }
}

section! {
    /// How to upload.
    Upload {
        /// Snapshots at the same time; only for kopia's server.
        max_parallel_snapshots "maxParallelSnapshots": Option<i64>,
        /// Files read at the same time; unset is one for each processor.
        max_parallel_file_reads "maxParallelFileReads": Option<i64>,
        /// Files larger than this many bytes are cut at its multiples and the parts uploaded
        /// side by side. Decides object ids of large files.
        parallel_upload_above_size "parallelUploadAboveSize": Option<i64>,
    }
}

/// Snapshots by the operating system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OsSnapshots {
    /// Windows volume snapshots.
    #[serde(rename = "volumeShadowCopy")]
    pub volume_shadow_copy: VolumeShadowCopy,
    /// Unknown keys.
    #[serde(flatten)]
    pub extra: ExtraMap,
}

/// How much to log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logging {
    /// Directories.
    pub directories: DirectoryLogging,
    /// Everything else.
    pub entries: EntryLogging,
    /// Unknown keys.
    #[serde(flatten)]
    pub extra: ExtraMap,
}

/// One policy as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Policy {
    /// How many snapshots to keep.
    pub retention: Retention,
    /// What to leave out.
    pub files: Files,
    /// Which errors to ignore.
    pub error_handling: ErrorHandling,
    /// When to run.
    pub scheduling: Scheduling,
    /// How to compress files.
    pub compression: Compression,
    /// How to compress directories.
    pub metadata_compression: MetadataCompression,
    /// How to split files.
    pub splitter: Splitter,
    /// Commands around a snapshot.
    pub actions: Actions,
    /// Snapshots by the operating system.
    pub os_snapshots: OsSnapshots,
    /// How much to log.
    pub logging: Logging,
    /// How to upload.
    pub upload: Upload,
    /// Stop here: neither the levels above nor the built-in defaults count.
    #[serde(skip_serializing_if = "Unset::is_unset")]
    pub no_parent: bool,
    /// Unknown keys.
    #[serde(flatten)]
    pub extra: ExtraMap,
}
