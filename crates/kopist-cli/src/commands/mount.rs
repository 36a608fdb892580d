//! `mount`

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("browse", "Open the mounted directory in a file browser."),
    Flag::switch("trace-fs", "Log each file system operation."),
    Flag::switch("fuse-allow-other", "Let other users access the mounted directory."),
    Flag::switch("fuse-allow-non-empty-mount", "Mount over a directory that is not empty."),
    Flag::switch("webdav", "Mount with WebDAV."),
    Flag::int("max-cached-entries", "Number of directory entries to keep in memory.")
        .default("100000"),
    Flag::int("max-cached-dirs", "Number of directories to keep in memory.").default("100"),
];

/// `mount`
pub(super) static COMMAND: Command = Command::new("mount", "Mount an object as a directory.")
    .flags(&[FLAGS])
    .args(&[Arg::text("path", "").default("all"), Arg::text("mountPoint", "").default("*")]);
