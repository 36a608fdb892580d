//! Commands of `snapshot` that kopia has and this program refuses for now.

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const COPY_HISTORY_FLAGS: &[Flag] =
    &[Flag::switch("dry-run", "Show what would be done without doing it.").short('n')];

/// `snapshot copy-history`
pub(super) static COPY_HISTORY: Command =
    Command::new("copy-history", "Copy snapshots to another user, host or path.")
        .flags(&[COPY_HISTORY_FLAGS])
        .args(&[Arg::text("source", "Source").required(), Arg::text("destination", "")]);

const MOVE_HISTORY_FLAGS: &[Flag] =
    &[Flag::switch("dry-run", "Show what would be done without doing it.").short('n')];

/// `snapshot move-history`
pub(super) static MOVE_HISTORY: Command =
    Command::new("move-history", "Move snapshots to another user, host or path.")
        .flags(&[MOVE_HISTORY_FLAGS])
        .args(&[Arg::text("source", "Source").required(), Arg::text("destination", "")]);

const FIX_INVALID_FILES_FLAGS: &[Flag] = &[
    Flag::one_of(
        "invalid-file-handling",
        &["fail", "stub", "keep", "remove"],
        "What to do with files that cannot be read.",
    )
    .default("stub"),
    Flag::float("verify-files-percent", "Percentage of files to read in full.").default("0"),
];

/// `snapshot fix invalid-files`
pub(super) static FIX_INVALID_FILES: Command =
    Command::new("invalid-files", "Replace or remove files that cannot be read.")
        .flags(&[FIX_INVALID_FILES_FLAGS, shared::FIX]);

const FIX_REMOVE_FILES_FLAGS: &[Flag] = &[
    Flag::text("object-id", "Object ids of the files to remove.").repeated(),
    Flag::text("filename", "Patterns of the names of the files to remove.").repeated(),
];

/// `snapshot fix remove-files`
pub(super) static FIX_REMOVE_FILES: Command =
    Command::new("remove-files", "Remove files from snapshots.")
        .flags(&[FIX_REMOVE_FILES_FLAGS, shared::FIX]);

/// `snapshot fix`
pub(super) static FIX: Command =
    Command::new("fix", "Repair snapshots.").commands(&[&FIX_INVALID_FILES, &FIX_REMOVE_FILES]);

const MIGRATE_FLAGS: &[Flag] = &[
    Flag::existing_path("source-config", "Configuration file of the repository to migrate from.")
        .required(),
    Flag::text("sources", "Sources to include.").repeated(),
    Flag::switch("all", "Include everything."),
    Flag::switch("policies", "Migrate policies too.").default("true"),
    Flag::switch("overwrite-policies", "Overwrite existing policies."),
    Flag::switch("latest-only", "Only the latest snapshot of each source."),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("apply-ignore-rules", "Apply the current ignore rules."),
];

/// `snapshot migrate`
pub(super) static MIGRATE: Command =
    Command::new("migrate", "Copy snapshots from another repository.").flags(&[MIGRATE_FLAGS]);
