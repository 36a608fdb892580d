//! Commands of `index` that kopia has and this program refuses for now.

use crate::grammar::{Command, Flag};

/// `index epoch list`
pub(super) static EPOCH_LIST: Command = Command::new("list", "List epochs.");

/// `index epoch`
pub(super) static EPOCH: Command =
    Command::new("epoch", "Work with epochs.").hidden().commands(&[&EPOCH_LIST]);

const OPTIMIZE_FLAGS: &[Flag] = &[
    Flag::int("max-small-blobs", "Number of small index blobs to leave alone.").default("1"),
    Flag::duration("drop-deleted-older-than", "Drop entries of contents deleted longer ago."),
    Flag::text("drop-contents", "Drop the entry of this content.").repeated(),
    Flag::switch("all", "Include everything."),
];

/// `index optimize`
pub(super) static OPTIMIZE: Command =
    Command::new("optimize", "Compact index blobs.").hidden().flags(&[OPTIMIZE_FLAGS]);

const RECOVER_FLAGS: &[Flag] = &[
    Flag::text("blob-prefixes", "Prefixes of the pack blobs to recover from.").repeated(),
    Flag::text("blobs", "Pack blobs to recover from.").repeated(),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("ignore-errors", "Continue after errors."),
    Flag::switch("delete-indexes", "Delete all index blobs first."),
    Flag::switch("commit", "Write the result."),
];

/// `index recover`
pub(super) static RECOVER: Command =
    Command::new("recover", "Rebuild index blobs from packs.").flags(&[RECOVER_FLAGS]);
