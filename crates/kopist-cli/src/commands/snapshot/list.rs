//! `snapshot list`

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::switch("incomplete", "Include incomplete snapshots.").short('i'),
    Flag::switch("human-readable", "Print sizes for people.").default("true"),
    Flag::switch("delta", "Show the difference in size to the previous snapshot.").short('d'),
    Flag::switch("manifest-id", "Show manifest ids.").short('m'),
    Flag::switch("retention", "Show the reasons for which a snapshot is kept.").default("true"),
    Flag::switch("mtime", "Show modification times."),
    Flag::switch("owner", "Show owners."),
    Flag::switch("show-identical", "Show identical snapshots one by one.").short('l'),
    Flag::switch("storage-stats", "Compute how much data each snapshot added."),
    Flag::switch("reverse", "Newest first."),
    Flag::switch("all", "Include other users and hosts.").short('a'),
    Flag::int("max-results", "Number of snapshots to show for each source.").short('n'),
    Flag::text("tags", "Tag, key:value.").repeated(),
];

/// `snapshot list`
pub(super) static COMMAND: Command = Command::new("list", "List snapshots.")
    .aliases(&["ls"])
    .flags(&[FLAGS, shared::JSON])
    .args(&[Arg::text("source", "Source")]);
