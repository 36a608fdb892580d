//! Commands of `repository` that kopia has and this program refuses for now.

use crate::commands::{providers, shared};
use crate::grammar::{Command, Flag};

const CONNECT_SERVER_FLAGS: &[Flag] = &[
    Flag::text("url", "URL of the server.").required(),
    Flag::text("server-cert-fingerprint", "SHA-256 fingerprint of the server's certificate."),
    Flag::one_of(
        "local-cache-key-derivation-algorithm",
        &["scrypt-65536-8-1", "pbkdf2-sha256-600000"],
        "Key derivation of the local cache.",
    )
    .default("scrypt-65536-8-1")
    .hidden(),
];

/// `repository connect server`
pub(super) static CONNECT_SERVER: Command =
    Command::new("server", "a repository server").flags(&[CONNECT_SERVER_FLAGS]);

/// `repository connect azure`
pub(super) static CONNECT_AZURE: Command =
    Command::new("azure", "Connect to a repository in Azure Blob Storage.")
        .flags(&[providers::AZURE]);

/// `repository connect b2`
pub(super) static CONNECT_B2: Command =
    Command::new("b2", "Connect to a repository in Backblaze B2.").flags(&[providers::B2]);

/// `repository connect filesystem`
pub(super) static CONNECT_FILESYSTEM: Command =
    Command::new("filesystem", "Connect to a repository on a file system.")
        .flags(&[providers::FILESYSTEM]);

/// `repository connect from-config`
pub(super) static CONNECT_FROM_CONFIG: Command = Command::new(
    "from-config",
    "Connect to a repository from the storage of a configuration file or token.",
)
.flags(&[providers::FROM_CONFIG]);

/// `repository connect gcs`
pub(super) static CONNECT_GCS: Command =
    Command::new("gcs", "Connect to a repository in Google Cloud Storage.")
        .flags(&[providers::GCS]);

/// `repository connect gdrive`
pub(super) static CONNECT_GDRIVE: Command =
    Command::new("gdrive", "Connect to a repository in Google Drive.").flags(&[providers::GDRIVE]);

/// `repository connect rclone`
pub(super) static CONNECT_RCLONE: Command =
    Command::new("rclone", "Connect to a repository on an rclone remote.")
        .flags(&[providers::RCLONE]);

/// `repository connect s3`
pub(super) static CONNECT_S3: Command =
    Command::new("s3", "Connect to a repository in S3-compatible storage.").flags(&[providers::S3]);

/// `repository connect sftp`
pub(super) static CONNECT_SFTP: Command =
    Command::new("sftp", "Connect to a repository on an SFTP server.").flags(&[providers::SFTP]);

/// `repository connect webdav`
pub(super) static CONNECT_WEBDAV: Command =
    Command::new("webdav", "Connect to a repository on a WebDAV server.")
        .flags(&[providers::WEBDAV]);

/// `repository connect`
pub(super) static CONNECT: Command =
    Command::new("connect", "Connect to a repository.").flags(&[shared::CONNECT]).commands(&[
        &CONNECT_SERVER,
        &CONNECT_AZURE,
        &CONNECT_B2,
        &CONNECT_FILESYSTEM,
        &CONNECT_FROM_CONFIG,
        &CONNECT_GCS,
        &CONNECT_GDRIVE,
        &CONNECT_RCLONE,
        &CONNECT_S3,
        &CONNECT_SFTP,
        &CONNECT_WEBDAV,
    ]);

/// `repository create azure`
pub(super) static CREATE_AZURE: Command =
    Command::new("azure", "Create a repository in Azure Blob Storage.").flags(&[providers::AZURE]);

/// `repository create b2`
pub(super) static CREATE_B2: Command =
    Command::new("b2", "Create a repository in Backblaze B2.").flags(&[providers::B2]);

/// `repository create filesystem`
pub(super) static CREATE_FILESYSTEM: Command =
    Command::new("filesystem", "Create a repository on a file system.")
        .flags(&[providers::FILESYSTEM]);

/// `repository create from-config`
pub(super) static CREATE_FROM_CONFIG: Command = Command::new(
    "from-config",
    "Create a repository from the storage of a configuration file or token.",
)
.flags(&[providers::FROM_CONFIG]);

/// `repository create gcs`
pub(super) static CREATE_GCS: Command =
    Command::new("gcs", "Create a repository in Google Cloud Storage.").flags(&[providers::GCS]);

/// `repository create gdrive`
pub(super) static CREATE_GDRIVE: Command =
    Command::new("gdrive", "Create a repository in Google Drive.").flags(&[providers::GDRIVE]);

/// `repository create rclone`
pub(super) static CREATE_RCLONE: Command =
    Command::new("rclone", "Create a repository on an rclone remote.").flags(&[providers::RCLONE]);

/// `repository create s3`
pub(super) static CREATE_S3: Command =
    Command::new("s3", "Create a repository in S3-compatible storage.").flags(&[providers::S3]);

/// `repository create sftp`
pub(super) static CREATE_SFTP: Command =
    Command::new("sftp", "Create a repository on an SFTP server.").flags(&[providers::SFTP]);

/// `repository create webdav`
pub(super) static CREATE_WEBDAV: Command =
    Command::new("webdav", "Create a repository on a WebDAV server.").flags(&[providers::WEBDAV]);

const CREATE_FLAGS: &[Flag] = &[
    Flag::one_of(
        "block-hash",
        &[
            "BLAKE2B-256",
            "BLAKE2B-256-128",
            "BLAKE2S-128",
            "BLAKE2S-256",
            "BLAKE3-256",
            "BLAKE3-256-128",
            "HMAC-SHA224",
            "HMAC-SHA256",
            "HMAC-SHA256-128",
            "HMAC-SHA3-224",
            "HMAC-SHA3-256",
        ],
        "Hash of contents.",
    )
    .default("BLAKE2B-256-128"),
    Flag::one_of(
        "encryption",
        &["AES256-GCM-HMAC-SHA256", "CHACHA20-POLY1305-HMAC-SHA256"],
        "Encryption of contents.",
    )
    .default("AES256-GCM-HMAC-SHA256"),
    Flag::one_of("ecc", &["REED-SOLOMON-CRC32"], "Error correction.").default("REED-SOLOMON-CRC32"),
    Flag::int("ecc-overhead-percent", "Space for error correction, in percent (0 disables it).")
        .default("0"),
    Flag::one_of(
        "object-splitter",
        &[
            "DYNAMIC",
            "DYNAMIC-128K-BUZHASH",
            "DYNAMIC-128K-RABINKARP",
            "DYNAMIC-1M-BUZHASH",
            "DYNAMIC-1M-RABINKARP",
            "DYNAMIC-256K-BUZHASH",
            "DYNAMIC-256K-RABINKARP",
            "DYNAMIC-2M-BUZHASH",
            "DYNAMIC-2M-RABINKARP",
            "DYNAMIC-4M-BUZHASH",
            "DYNAMIC-4M-RABINKARP",
            "DYNAMIC-512K-BUZHASH",
            "DYNAMIC-512K-RABINKARP",
            "DYNAMIC-8M-BUZHASH",
            "DYNAMIC-8M-RABINKARP",
            "FIXED",
            "FIXED-128K",
            "FIXED-1M",
            "FIXED-256K",
            "FIXED-2M",
            "FIXED-4M",
            "FIXED-512K",
            "FIXED-8M",
        ],
        "Splitter of objects.",
    )
    .default("DYNAMIC-4M-BUZHASH"),
    Flag::switch("create-only", "Create the repository without connecting to it.").short('c'),
    Flag::int("format-version", "Format version (0: the default)."),
    Flag::one_of("retention-mode", &["GOVERNANCE", "COMPLIANCE"], "Object lock mode."),
    Flag::duration("retention-period", "Object lock period."),
    Flag::one_of(
        "format-block-key-derivation-algorithm",
        &["scrypt-65536-8-1", "pbkdf2-sha256-600000"],
        "Key derivation from the password.",
    )
    .default("scrypt-65536-8-1"),
];

/// `repository create`
pub(super) static CREATE: Command = Command::new("create", "Create a repository.")
    .flags(&[CREATE_FLAGS, shared::CONNECT])
    .commands(&[
        &CREATE_AZURE,
        &CREATE_B2,
        &CREATE_FILESYSTEM,
        &CREATE_FROM_CONFIG,
        &CREATE_GCS,
        &CREATE_GDRIVE,
        &CREATE_RCLONE,
        &CREATE_S3,
        &CREATE_SFTP,
        &CREATE_WEBDAV,
    ]);

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

/// `repository throttle get`
pub(super) static THROTTLE_GET: Command =
    Command::new("get", "Show throttling limits.").flags(&[shared::JSON]);

/// `repository throttle set`
pub(super) static THROTTLE_SET: Command =
    Command::new("set", "Set throttling limits.").flags(&[shared::LIMITS]);

/// `repository throttle`
pub(super) static THROTTLE: Command =
    Command::new("throttle", "Work with throttling.").commands(&[&THROTTLE_GET, &THROTTLE_SET]);

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
