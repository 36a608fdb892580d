//! `mount`: snapshots as a file system, to look around in with any program.
//!
//! [`tree`] gives what is shown numbers and loads directories when they are looked into;
//! `fuse` answers the kernel from it. Only Linux has the latter, and only with the feature
//! `mount`; elsewhere the command is refused in one sentence.

#[cfg(all(target_os = "linux", feature = "mount"))]
mod fuse;
#[cfg(any(test, all(target_os = "linux", feature = "mount")))]
mod tree;

use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("browse", "Open the mounted directory in a file browser.").refused(),
    Flag::switch("trace-fs", "Log each file system operation."),
    Flag::switch("fuse-allow-other", "Let other users access the mounted directory."),
    Flag::switch("fuse-allow-non-empty-mount", "Mount over a directory that is not empty."),
    Flag::switch("webdav", "Mount with WebDAV.").refused(),
    Flag::int("max-cached-entries", "Number of directory entries to keep in memory.")
        .default("100000")
        .ignored("directories that were looked into stay in memory"),
    Flag::int("max-cached-dirs", "Number of directories to keep in memory.")
        .default("100")
        .ignored("directories that were looked into stay in memory"),
];

/// `mount`
pub(super) static COMMAND: Command = with_handler(
    Command::new("mount", "Mount an object as a directory.")
        .flags(&[FLAGS])
        .args(&[Arg::text("path", "").default("all"), Arg::text("mountPoint", "").default("*")]),
);

#[cfg(all(target_os = "linux", feature = "mount"))]
const fn with_handler(command: Command) -> Command {
    command.run(fuse::run)
}

#[cfg(not(all(target_os = "linux", feature = "mount")))]
const fn with_handler(command: Command) -> Command {
    command
}
