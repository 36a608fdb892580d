//! Commands of `repository` that kopia has and this program refuses for now.

use crate::grammar::{Command, Flag};

const UPGRADE_BEGIN_FLAGS: &[Flag] = &[
    Flag::duration("io-drain-timeout", "Time that clients have to notice the upgrade.")
        .default("15m0s"),
    Flag::switch("allow-unsafe-upgrade", "Skip the safety checks.").hidden(),
    Flag::duration("status-poll-interval", "Interval at which the state is checked.")
        .default("60s"),
    Flag::duration("max-permitted-clock-drift", "Largest difference between clocks.")
        .default("5m0s"),
    Flag::switch("lock-only", "Only take the lock.").hidden(),
    Flag::one_of("commit-mode", &["always", "never"], "When to commit the upgrade.").hidden(),
];

/// `repository upgrade begin`
pub(super) static UPGRADE_BEGIN: Command =
    Command::new("begin", "Begin the upgrade.").flags(&[UPGRADE_BEGIN_FLAGS]);

const UPGRADE_ROLLBACK_FLAGS: &[Flag] =
    &[Flag::switch("force", "Run although another user owns maintenance.")];

/// `repository upgrade rollback`
pub(super) static UPGRADE_ROLLBACK: Command =
    Command::new("rollback", "Roll the upgrade back.").flags(&[UPGRADE_ROLLBACK_FLAGS]);

/// `repository upgrade validate`
pub(super) static UPGRADE_VALIDATE: Command =
    Command::new("validate", "Check the upgraded indexes.");

/// `repository upgrade`
pub(super) static UPGRADE: Command =
    Command::new("upgrade", "Upgrade the format of the repository.")
        .hidden()
        .requires_env("KOPIA_UPGRADE_LOCK_ENABLED")
        .commands(&[&UPGRADE_BEGIN, &UPGRADE_ROLLBACK, &UPGRADE_VALIDATE]);
