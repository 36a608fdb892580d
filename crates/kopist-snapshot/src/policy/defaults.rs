//! The policy that is built in (`kopia:snapshot/policy/policy_tree.go`).

use super::model::{
    Compression, DirectoryLogging, EntryLogging, ErrorHandling, Files, Logging,
    MetadataCompression, OsSnapshots, Policy, Retention, Scheduling, Upload, VolumeShadowCopy,
};

/// The built-in policy. Creating a repository writes it as the global one.
#[must_use]
pub fn built_in() -> Policy {
    Policy {
        retention: Retention {
            keep_latest: Some(10),
            keep_hourly: Some(48),
            keep_daily: Some(7),
            keep_weekly: Some(4),
            keep_monthly: Some(24),
            keep_annual: Some(3),
            ignore_identical_snapshots: Some(false),
            ..Default::default()
        },
        files: Files { ignore_dot_files: vec![".kopiaignore".into()], ..Default::default() },
        error_handling: ErrorHandling {
            ignore_file_errors: Some(false),
            ignore_directory_errors: Some(false),
            ignore_unknown_types: Some(true),
            ..Default::default()
        },
        scheduling: Scheduling { run_missed: Some(true), ..Default::default() },
        compression: Compression { compressor_name: "none".into(), ..Default::default() },
        metadata_compression: MetadataCompression {
            compressor_name: "zstd-fastest".into(),
            ..Default::default()
        },
        os_snapshots: OsSnapshots {
            volume_shadow_copy: VolumeShadowCopy { enable: Some(0), ..Default::default() },
            ..Default::default()
        },
        logging: Logging {
            directories: DirectoryLogging {
                snapshotted: Some(5),
                ignored: Some(5),
                ..Default::default()
            },
            entries: EntryLogging {
                snapshotted: Some(0),
                ignored: Some(5),
                cache_hit: Some(0),
                cache_miss: Some(0),
                ..Default::default()
            },
            ..Default::default()
        },
        upload: Upload {
            max_parallel_snapshots: Some(1),
            // Large files are cut at multiples of 2 GiB.
            parallel_upload_above_size: Some(2 << 30),
            ..Default::default()
        },
        ..Default::default()
    }
}
