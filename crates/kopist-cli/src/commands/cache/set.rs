//! `cache set`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::int64("content-cache-size-mb", "Size to which the content cache is swept, in MB."),
    Flag::int64("content-cache-size-limit-mb", "Size that the content cache never exceeds, in MB."),
    Flag::duration("content-min-sweep-age", "Age below which cached contents are not swept."),
    Flag::int64("metadata-cache-size-mb", "Size to which the metadata cache is swept, in MB."),
    Flag::int64(
        "metadata-cache-size-limit-mb",
        "Size that the metadata cache never exceeds, in MB.",
    ),
    Flag::duration("metadata-min-sweep-age", "Age below which cached metadata is not swept."),
    Flag::duration("index-min-sweep-age", "Age below which cached indexes are not swept."),
    Flag::duration(
        "max-list-cache-duration",
        "Time for which a listing of index blobs may be reused.",
    ),
    Flag::text("cache-directory", "Directory of the cache."),
];

/// `cache set`
pub(super) static COMMAND: Command =
    Command::new("set", "Set parameters of the cache.").flags(&[FLAGS]);
