//! `repository set-client`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("read-only", "Connect for reading only."),
    Flag::switch("read-write", "Allow writing."),
    Flag::switch(
        "permissive-cache-loading",
        "Skip damaged index blobs instead of failing (rescue only).",
    )
    .hidden(),
    Flag::text("description", "Description of the repository connection.").repeated(),
    Flag::text("username", "User name.").repeated(),
    Flag::text("hostname", "Host name to record in snapshots.").repeated(),
    Flag::duration(
        "repository-format-cache-duration",
        "Time for which the format blob may be reused.",
    ),
    Flag::switch("disable-repository-format-cache", "Do not cache the format blob."),
];

/// `repository set-client`
pub(super) static COMMAND: Command =
    Command::new("set-client", "Set options of this client.").flags(&[FLAGS]);
