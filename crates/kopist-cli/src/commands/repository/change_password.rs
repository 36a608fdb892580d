//! `repository change-password`

use crate::grammar::{Command, Flag};

const FLAGS: &[Flag] = &[Flag::text("new-password", "The new password.").env("KOPIA_NEW_PASSWORD")];

/// `repository change-password`
pub(super) static COMMAND: Command =
    Command::new("change-password", "Change the password of the repository.").flags(&[FLAGS]);
