//! `manifest list`

use crate::commands::shared;
use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("filter", "Only manifests with this label, key:value.").repeated(),
    Flag::text("sort", "Labels to sort by.").repeated(),
];

/// `manifest list`
pub(super) static COMMAND: Command =
    Command::new("list", "List manifests.").aliases(&["ls"]).flags(&[FLAGS, shared::JSON]);
