//! What usually helps, said in one sentence after an error.
//!
//! A hint is about mistakes that are made often; where nothing is often the cause, there is none.
//! It has none of the words by which the operator picks lines for the status of a destination, so
//! that it pushes nothing out of there.

use super::outcome::Reason;
use crate::plan::Operation;

/// What to look at first.
pub fn hint(reason: Reason, message: &str, operation: Operation) -> Option<&'static str> {
    let says = |part: &str| message.to_lowercase().contains(part);
    let hint = match reason {
        Reason::PasswordInvalid => {
            "KOPIA_PASSWORD must be the one with which this repository was created. A repository \
             keeps its password when the Secret changes; and two applications with one \
             KOPIA_REPOSITORY share the repository, so they share the password, too"
        }
        Reason::RepositoryForeign => {
            "KOPIA_REPOSITORY should name a place of its own: add a prefix to the bucket, or a \
             directory to the path"
        }
        Reason::StorageUnreachable if says("its name is not known") => {
            "the name of the server is not known in this pod: look at the endpoint for a mistake \
             in writing, and let NetworkPolicies permit DNS (port 53) to the cluster's name servers"
        }
        Reason::StorageUnreachable if says("no trusted connection") => {
            "the certificate of the server is not trusted: give its certificate authority with \
             customCA, or write http:// if the server speaks no TLS"
        }
        Reason::StorageUnreachable if says("clock of this machine") => {
            "the clocks of the node and of the store differ: let the node keep its time by NTP"
        }
        Reason::StorageUnreachable if says("no connection") || says("fell silent") => {
            "look at host and port of the endpoint, at NetworkPolicies for traffic from this \
             namespace, and at the proxy variables"
        }
        _ if says("clock skew") => {
            "the clocks of the node and of the store differ, and what is old enough to be deleted \
             is told by them: let the node keep its time by NTP"
        }
        Reason::StorageAuth => {
            "look at the keys in the repository Secret: whether they are those of this store, \
             and whether a space or an end of line slipped into them"
        }
        Reason::StoragePermission if !says("fsgroup") => {
            "the keys are right, but they may not do this: they need to list, read, write and \
             delete in the bucket, below the prefix of KOPIA_REPOSITORY"
        }
        Reason::StorageFull => {
            "retention frees room only with the next maintenance, and not before a day has passed: \
             make the volume or the quota larger first"
        }
        Reason::RepositoryMissing => {
            "the place holds data of a repository without kopia.repository: bring that file back \
             from a copy, or let the backup go elsewhere"
        }
        Reason::FormatTooNew => "use an image of a release that knows this format",
        Reason::SourceUnreadable | Reason::SourceErrors if says("permission denied") => {
            "the mover runs as another user than the application: set runAsUser, runAsGroup and \
             fsGroup in moverSecurityContext to those of the application, or annotate the \
             namespace with volsync.backube/privileged-movers: \"true\""
        }
        Reason::TargetUnwritable if says("permission denied") => {
            "the mover may not write to the volume: set runAsUser and fsGroup in \
             moverSecurityContext to those of the application"
        }
        Reason::TargetUnwritable if says("no space left") => {
            "the volume is smaller than what is in the snapshot: ask for more capacity"
        }
        Reason::HookFailed if says("bash cannot be started") => {
            "actions need an image with bash and with the programs that they call"
        }
        Reason::NothingToBackup => {
            "if there should be data, look whether the volume is the one that the application \
             writes to"
        }
        // Where something of the source is there, the message says why it does not fit.
        Reason::NoSnapshot if operation == Operation::Restore && says("has no snapshot") => {
            "snapshots are found by user, host and path together. Backups write \
             <name of the ReplicationSource>@<namespace>:/data: set sourceIdentity, or username \
             and hostname, to those of the source"
        }
        Reason::NoRepository if operation == Operation::Restore => {
            "look at bucket, prefix and path in KOPIA_REPOSITORY if there should be backups already"
        }
        _ => return None,
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_mistakes_have_a_hint() {
        let backup = |reason, message| hint(reason, message, Operation::Backup);
        let part = |reason, message, part: &str| {
            let hint = backup(reason, message).unwrap();
            assert!(hint.contains(part), "{hint}");
        };
        part(Reason::PasswordInvalid, "invalid repository password", "KOPIA_PASSWORD");
        part(Reason::StorageUnreachable, "x: its name is not known", "DNS");
        part(Reason::StorageUnreachable, "no trusted connection (y)", "customCA");
        part(Reason::StorageUnreachable, "no connection (refused)", "NetworkPolicies");
        part(Reason::SourceErrors, "open /x: Permission denied", "moverSecurityContext");
        assert_eq!(backup(Reason::Success, ""), None);
        assert_eq!(backup(Reason::Internal, "boom"), None);
        assert_eq!(backup(Reason::SourceErrors, "input/output error"), None);
        assert_eq!(backup(Reason::NoSnapshot, ""), None);
        let restore = |message| hint(Reason::NoSnapshot, message, Operation::Restore);
        assert!(restore("nothing to restore: u@h:/p has no snapshot").is_some());
        assert_eq!(restore("no snapshot of u@h:/p fits: KOPIA_SHALLOW considers none"), None);
    }

    #[test]
    fn no_hint_passes_the_filter_of_a_destination() {
        let reasons = [
            Reason::PasswordInvalid,
            Reason::RepositoryForeign,
            Reason::StorageUnreachable,
            Reason::StorageAuth,
            Reason::StoragePermission,
            Reason::StorageFull,
            Reason::RepositoryMissing,
            Reason::FormatTooNew,
            Reason::SourceErrors,
            Reason::TargetUnwritable,
            Reason::HookFailed,
            Reason::NothingToBackup,
            Reason::NoSnapshot,
            Reason::NoRepository,
        ];
        let messages = [
            "its name is not known",
            "no trusted connection",
            "clock of this machine",
            "no connection",
            "permission denied",
            "no space left",
            "bash cannot be started",
            "has no snapshot",
        ];
        for reason in reasons {
            for message in messages {
                let Some(hint) = hint(reason, message, Operation::Restore) else { continue };
                let lower = hint.to_lowercase();
                for word in ["error", "failed", "unable to"] {
                    assert!(!lower.contains(word), "{hint}");
                }
                assert!(hint.len() < 350, "{hint}");
            }
        }
    }
}
