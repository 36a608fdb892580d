//! The effective policy: levels folded from the most specific to the most general.
//!
//! Facts: `kopia:snapshot/policy/policy_merge.go` and the `Merge` of each section. Most fields
//! follow one rule, "the nearest level that says something wins"; the exceptions are written
//! out. Unknown keys are not merged, since their rule is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::defaults::built_in;
use super::model::{Policy, Unset as _};
use crate::SourceInfo;

/// Which level gave each field, by the field's path in JSON such as `retention.keepDaily`.
/// Fields that the global policy or the built-in defaults gave are not listed.
pub type Origins = BTreeMap<&'static str, SourceInfo>;

/// Folds policies, the most specific first, and then the built-in defaults.
///
/// A level with `no_parent` ends the folding: neither later levels nor the defaults count then,
/// and actions around folders are dropped.
#[must_use]
pub fn merge(levels: &[(SourceInfo, &Policy)]) -> (Policy, Origins) {
    let mut merged = Policy::default();
    let mut origins = Origins::new();
    for (target, policy) in levels {
        fold(&mut merged, &mut origins, policy, target);
        if policy.no_parent {
            return (merged, origins);
        }
    }
    fold(&mut merged, &mut origins, &built_in(), &SourceInfo::global());
    if let Some((_, own)) = levels.first() {
        // Actions around folders are not inherited.
        merged.actions.before_folder.clone_from(&own.actions.before_folder);
        merged.actions.after_folder.clone_from(&own.actions.after_folder);
    }
    (merged, origins)
}

fn set_origin(origins: &mut Origins, field: &'static str, source: &SourceInfo) {
    if source.is_global() {
        origins.remove(field);
    } else {
        origins.insert(field, source.clone());
    }
}

fn fold(into: &mut Policy, origins: &mut Origins, from: &Policy, source: &SourceInfo) {
    /// The nearest level that says something wins.
    macro_rules! nearest {
        ($($name:literal $($field:ident).+;)*) => {
            $(
                if into.$($field).+.is_unset() && !from.$($field).+.is_unset() {
                    into.$($field).+.clone_from(&from.$($field).+);
                    set_origin(origins, $name, source);
                }
            )*
        };
    }
    nearest! {
        "retention.keepLatest" retention.keep_latest;
        "retention.keepHourly" retention.keep_hourly;
        "retention.keepDaily" retention.keep_daily;
        "retention.keepWeekly" retention.keep_weekly;
        "retention.keepMonthly" retention.keep_monthly;
        "retention.keepAnnual" retention.keep_annual;
        "retention.ignoreIdenticalSnapshots" retention.ignore_identical_snapshots;
        "files.ignore" files.ignore;
        "files.noParentIgnore" files.no_parent_ignore;
        "files.ignoreDotFiles" files.ignore_dot_files;
        "files.noParentDotFiles" files.no_parent_dot_files;
        "files.ignoreCacheDirs" files.ignore_cache_dirs;
        "files.maxFileSize" files.max_file_size;
        "files.oneFileSystem" files.one_file_system;
        "errorHandling.ignoreFileErrors" error_handling.ignore_file_errors;
        "errorHandling.ignoreDirectoryErrors" error_handling.ignore_directory_errors;
        "errorHandling.ignoreUnknownTypes" error_handling.ignore_unknown_types;
        "scheduling.intervalSeconds" scheduling.interval_seconds;
        "scheduling.cron" scheduling.cron;
        "scheduling.manual" scheduling.manual;
        "scheduling.runMissed" scheduling.run_missed;
        "compression.compressorName" compression.compressor_name;
        "compression.minSize" compression.min_size;
        "compression.maxSize" compression.max_size;
        "metadataCompression.compressorName" metadata_compression.compressor_name;
        "splitter.algorithm" splitter.algorithm;
        "actions.beforeSnapshotRoot" actions.before_snapshot_root;
        "actions.afterSnapshotRoot" actions.after_snapshot_root;
        "osSnapshots.volumeShadowCopy.enable" os_snapshots.volume_shadow_copy.enable;
        "logging.directories.snapshotted" logging.directories.snapshotted;
        "logging.directories.ignored" logging.directories.ignored;
        "logging.entries.snapshotted" logging.entries.snapshotted;
        "logging.entries.ignored" logging.entries.ignored;
        "logging.entries.cacheHit" logging.entries.cache_hit;
        "logging.entries.cacheMiss" logging.entries.cache_miss;
        "upload.maxParallelSnapshots" upload.max_parallel_snapshots;
        "upload.maxParallelFileReads" upload.max_parallel_file_reads;
        "upload.parallelUploadAboveSize" upload.parallel_upload_above_size;
    }

    // Times of the day add up until a nearer level forbids it; the origin is set regardless.
    if !from.scheduling.times_of_day.is_empty() {
        set_origin(origins, "scheduling.timeOfDay", source);
        if !into.scheduling.no_parent_times_of_day {
            let times = &mut into.scheduling.times_of_day;
            times.extend_from_slice(&from.scheduling.times_of_day);
            times.sort_unstable();
            times.dedup();
        }
    }
    into.scheduling.no_parent_times_of_day |= from.scheduling.no_parent_times_of_day;

    unite(
        (&mut into.compression.only_compress, &mut into.compression.no_parent_only_compress),
        (&from.compression.only_compress, from.compression.no_parent_only_compress),
        || set_origin(origins, "compression.onlyCompress", source),
    );
    unite(
        (&mut into.compression.never_compress, &mut into.compression.no_parent_never_compress),
        (&from.compression.never_compress, from.compression.no_parent_never_compress),
        || set_origin(origins, "compression.neverCompress", source),
    );
}

/// Adds a list to the ones of nearer levels, unless one of those forbids it. The flag of a level
/// stops the levels above it, not the level itself.
fn unite(
    (list, stopped): (&mut Vec<String>, &mut bool),
    (more, stop): (&[String], bool),
    contributed: impl FnOnce(),
) {
    if *stopped {
        return;
    }
    if !more.is_empty() {
        contributed();
    }
    let united: BTreeSet<String> = list.drain(..).chain(more.iter().cloned()).collect();
    list.extend(united);
    *stopped = stop;
}
