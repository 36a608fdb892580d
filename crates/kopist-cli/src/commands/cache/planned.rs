//! Commands of `cache` that kopia has and this program refuses for now.

use crate::grammar::{Arg, Command, Flag};

const PREFETCH_FLAGS: &[Flag] = &[Flag::text("hint", "What the prefetched objects are used for.")];

/// `cache prefetch`
pub(super) static PREFETCH: Command = Command::new("prefetch", "Load objects into the cache.")
    .flags(&[PREFETCH_FLAGS])
    .args(&[Arg::text("object", "").required().repeated()]);

const SYNC_FLAGS: &[Flag] =
    &[Flag::int("parallel", "Number of parallel operations.").default("16")];

/// `cache sync`
pub(super) static SYNC: Command =
    Command::new("sync", "Load metadata into the cache.").flags(&[SYNC_FLAGS]);
