//! Commands of `repository` that kopia has and this program refuses for now.

use crate::commands::providers;
use crate::grammar::{Command, Flag};

/// `repository repair azure`
pub(super) static REPAIR_AZURE: Command =
    Command::new("azure", "Repair a repository in Azure Blob Storage.")
        .hidden()
        .flags(&[providers::AZURE]);

/// `repository repair b2`
pub(super) static REPAIR_B2: Command =
    Command::new("b2", "Repair a repository in Backblaze B2.").hidden().flags(&[providers::B2]);

/// `repository repair filesystem`
pub(super) static REPAIR_FILESYSTEM: Command =
    Command::new("filesystem", "Repair a repository on a file system.")
        .hidden()
        .flags(&[providers::FILESYSTEM]);

/// `repository repair from-config`
pub(super) static REPAIR_FROM_CONFIG: Command = Command::new(
    "from-config",
    "Repair a repository from the storage of a configuration file or token.",
)
.hidden()
.flags(&[providers::FROM_CONFIG]);

/// `repository repair gcs`
pub(super) static REPAIR_GCS: Command =
    Command::new("gcs", "Repair a repository in Google Cloud Storage.")
        .hidden()
        .flags(&[providers::GCS]);

/// `repository repair gdrive`
pub(super) static REPAIR_GDRIVE: Command =
    Command::new("gdrive", "Repair a repository in Google Drive.")
        .hidden()
        .flags(&[providers::GDRIVE]);

/// `repository repair rclone`
pub(super) static REPAIR_RCLONE: Command =
    Command::new("rclone", "Repair a repository on an rclone remote.")
        .hidden()
        .flags(&[providers::RCLONE]);

/// `repository repair s3`
pub(super) static REPAIR_S3: Command =
    Command::new("s3", "Repair a repository in S3-compatible storage.")
        .hidden()
        .flags(&[providers::S3]);

/// `repository repair sftp`
pub(super) static REPAIR_SFTP: Command =
    Command::new("sftp", "Repair a repository on an SFTP server.")
        .hidden()
        .flags(&[providers::SFTP]);

/// `repository repair webdav`
pub(super) static REPAIR_WEBDAV: Command =
    Command::new("webdav", "Repair a repository on a WebDAV server.")
        .hidden()
        .flags(&[providers::WEBDAV]);

const REPAIR_FLAGS: &[Flag] = &[
    Flag::one_of("recover-format", &["auto", "yes", "no"], "Recover the format blob.")
        .default("auto"),
    Flag::text(
        "recover-format-block-prefixes",
        "Prefixes of blobs to recover the format blob from.",
    )
    .repeated(),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
];

/// `repository repair`
pub(super) static REPAIR: Command =
    Command::new("repair", "Repair a repository.").hidden().flags(&[REPAIR_FLAGS]).commands(&[
        &REPAIR_AZURE,
        &REPAIR_B2,
        &REPAIR_FILESYSTEM,
        &REPAIR_FROM_CONFIG,
        &REPAIR_GCS,
        &REPAIR_GDRIVE,
        &REPAIR_RCLONE,
        &REPAIR_S3,
        &REPAIR_SFTP,
        &REPAIR_WEBDAV,
    ]);

const SET_PARAMETERS_FLAGS: &[Flag] = &[
    Flag::int("max-pack-size-mb", "Size of pack blobs, in MB."),
    Flag::int("index-version", "Version of index blobs."),
    Flag::one_of("retention-mode", &["none", "GOVERNANCE", "COMPLIANCE"], "Object lock mode."),
    Flag::duration("retention-period", "Object lock period."),
    Flag::switch("upgrade", "Upgrade the format."),
    Flag::duration("epoch-refresh-frequency", "Interval at which the epoch is refreshed."),
    Flag::duration("epoch-min-duration", "Shortest duration of an epoch."),
    Flag::duration(
        "epoch-cleanup-safety-margin",
        "Age from which superseded index blobs are deleted.",
    ),
    Flag::int("epoch-advance-on-count", "Number of index blobs that ends an epoch."),
    Flag::int64("epoch-advance-on-size-mb", "Size of index blobs that ends an epoch, in MB."),
    Flag::int("epoch-delete-parallelism", "Number of parallel deletions."),
    Flag::int("epoch-checkpoint-frequency", "Number of epochs between full checkpoints."),
    Flag::text("add-required-feature", "Add a required feature (tests only).").hidden().test_only(),
    Flag::text("remove-required-feature", "Remove a required feature (tests only).")
        .hidden()
        .test_only(),
    Flag::switch(
        "warn-on-missing-required-feature",
        "Only warn if the feature is missing (tests only).",
    )
    .hidden()
    .test_only(),
];

/// `repository set-parameters`
pub(super) static SET_PARAMETERS: Command =
    Command::new("set-parameters", "Set parameters of the repository.")
        .aliases(&["set-params"])
        .flags(&[SET_PARAMETERS_FLAGS]);

/// `repository sync-to azure`
pub(super) static SYNC_TO_AZURE: Command =
    Command::new("azure", "Copy the repository to storage in Azure Blob Storage.")
        .flags(&[providers::AZURE]);

/// `repository sync-to b2`
pub(super) static SYNC_TO_B2: Command =
    Command::new("b2", "Copy the repository to storage in Backblaze B2.").flags(&[providers::B2]);

/// `repository sync-to filesystem`
pub(super) static SYNC_TO_FILESYSTEM: Command =
    Command::new("filesystem", "Copy the repository to storage on a file system.")
        .flags(&[providers::FILESYSTEM]);

/// `repository sync-to from-config`
pub(super) static SYNC_TO_FROM_CONFIG: Command = Command::new(
    "from-config",
    "Copy the repository to storage from the storage of a configuration file or token.",
)
.flags(&[providers::FROM_CONFIG]);

/// `repository sync-to gcs`
pub(super) static SYNC_TO_GCS: Command =
    Command::new("gcs", "Copy the repository to storage in Google Cloud Storage.")
        .flags(&[providers::GCS]);

/// `repository sync-to gdrive`
pub(super) static SYNC_TO_GDRIVE: Command =
    Command::new("gdrive", "Copy the repository to storage in Google Drive.")
        .flags(&[providers::GDRIVE]);

/// `repository sync-to rclone`
pub(super) static SYNC_TO_RCLONE: Command =
    Command::new("rclone", "Copy the repository to storage on an rclone remote.")
        .flags(&[providers::RCLONE]);

/// `repository sync-to s3`
pub(super) static SYNC_TO_S3: Command =
    Command::new("s3", "Copy the repository to storage in S3-compatible storage.")
        .flags(&[providers::S3]);

/// `repository sync-to sftp`
pub(super) static SYNC_TO_SFTP: Command =
    Command::new("sftp", "Copy the repository to storage on an SFTP server.")
        .flags(&[providers::SFTP]);

/// `repository sync-to webdav`
pub(super) static SYNC_TO_WEBDAV: Command =
    Command::new("webdav", "Copy the repository to storage on a WebDAV server.")
        .flags(&[providers::WEBDAV]);

const SYNC_TO_FLAGS: &[Flag] = &[
    Flag::switch("update", "Overwrite blobs that are older at the destination.").default("true"),
    Flag::switch("delete", "Delete blobs that are not at the source."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("must-exist", "Fail if the destination is not initialised."),
    Flag::switch("times", "Copy modification times."),
];

/// `repository sync-to`
pub(super) static SYNC_TO: Command =
    Command::new("sync-to", "Copy the repository to another place.")
        .flags(&[SYNC_TO_FLAGS])
        .commands(&[
            &SYNC_TO_AZURE,
            &SYNC_TO_B2,
            &SYNC_TO_FILESYSTEM,
            &SYNC_TO_FROM_CONFIG,
            &SYNC_TO_GCS,
            &SYNC_TO_GDRIVE,
            &SYNC_TO_RCLONE,
            &SYNC_TO_S3,
            &SYNC_TO_SFTP,
            &SYNC_TO_WEBDAV,
        ]);

const VALIDATE_PROVIDER_FLAGS: &[Flag] = &[
    Flag::int("num-storage-connections", "Number of storage connections.").default("5"),
    Flag::duration("concurrency-test-duration", "Duration of the concurrency test.").default("30s"),
    Flag::int("put-blob-workers", "Number of workers that write.").default("3"),
    Flag::int("get-blob-workers", "Number of workers that read.").default("3"),
    Flag::int("get-metadata-workers", "Number of workers that read metadata.").default("3"),
];

/// `repository validate-provider`
pub(super) static VALIDATE_PROVIDER: Command =
    Command::new("validate-provider", "Check that a storage behaves as needed.")
        .flags(&[VALIDATE_PROVIDER_FLAGS]);

const UPGRADE_BEGIN_FLAGS: &[Flag] = &[
    Flag::duration("io-drain-timeout", "Time that clients have to notice the upgrade.")
        .default("15m0s"),
    Flag::switch("allow-unsafe-upgrade", "Skip the safety checks.").hidden(),
    Flag::duration("status-poll-interval", "Interval at which the state is checked.")
        .default("60s"),
    Flag::duration("max-permitted-clock-drift", "Largest difference between clocks.")
        .default("5m0s"),
    Flag::switch("lock-only", "Only take the lock.").hidden(),
    Flag::one_of("commit-mode", &["always", "never"], "When to commit the upgrade.").hidden(),
];

/// `repository upgrade begin`
pub(super) static UPGRADE_BEGIN: Command =
    Command::new("begin", "Begin the upgrade.").flags(&[UPGRADE_BEGIN_FLAGS]);

const UPGRADE_ROLLBACK_FLAGS: &[Flag] =
    &[Flag::switch("force", "Run although another user owns maintenance.")];

/// `repository upgrade rollback`
pub(super) static UPGRADE_ROLLBACK: Command =
    Command::new("rollback", "Roll the upgrade back.").flags(&[UPGRADE_ROLLBACK_FLAGS]);

/// `repository upgrade validate`
pub(super) static UPGRADE_VALIDATE: Command =
    Command::new("validate", "Check the upgraded indexes.");

/// `repository upgrade`
pub(super) static UPGRADE: Command =
    Command::new("upgrade", "Upgrade the format of the repository.")
        .hidden()
        .requires_env("KOPIA_UPGRADE_LOCK_ENABLED")
        .commands(&[&UPGRADE_BEGIN, &UPGRADE_ROLLBACK, &UPGRADE_VALIDATE]);
