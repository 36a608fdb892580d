//! Commands of `blob` that kopia has and this program refuses for now.

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const GC_FLAGS: &[Flag] = &[
    Flag::text("delete", "Pass 'yes' to delete unused blobs."),
    Flag::int("parallel", "Number of parallel operations.").default("16"),
    Flag::text("prefix", "Only ids with this prefix."),
];

/// `blob gc`
pub(super) static GC: Command = Command::new("gc", "Delete blobs that no index refers to.")
    .hidden()
    .flags(&[GC_FLAGS, shared::SAFETY]);

const SHARDS_MODIFY_FLAGS: &[Flag] = &[
    Flag::switch(
        "i-am-sure-kopia-is-not-running",
        "Confirm that no other program uses the repository.",
    )
    .required(),
    Flag::existing_path("path", "Directory of the repository.").required(),
    Flag::text("default-shards", "New default sharding, comma-separated lengths, or 'flat'."),
    Flag::text("override", "Sharding of blobs with a prefix, prefix=lengths.").repeated(),
    Flag::text("remove-override", "Remove the sharding of a prefix.").repeated(),
    Flag::int("unsharded-length", "Length up to which names are not sharded."),
    Flag::switch("dry-run", "Show what would be done without doing it."),
];

/// `blob shards modify`
pub(super) static SHARDS_MODIFY: Command =
    Command::new("modify", "Change the sharding of a repository on a file system.")
        .aliases(&["reshard"])
        .hidden()
        .flags(&[SHARDS_MODIFY_FLAGS]);

/// `blob shards`
pub(super) static SHARDS: Command =
    Command::new("shards", "Work with the sharding of a repository.")
        .hidden()
        .commands(&[&SHARDS_MODIFY]);
