//! Which policies may be stored (`kopia:snapshot/policy/policy_manager.go`).

use super::cron;
use super::model::{Policy, Scheduling};
use super::set::is_root;
use crate::SourceInfo;

/// A policy that cannot be stored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// `manual` stands alone.
    #[error(
        "invalid scheduling policy: manual cannot be combined with other scheduling policies; clear them first"
    )]
    ManualAndScheduled,
    /// Not a cron expression.
    #[error("invalid scheduling policy: invalid cron expression {0:?}")]
    Cron(String),
    /// A setting of the server that makes no sense for a path.
    #[error(
        "invalid upload policy: max parallel snapshots cannot be specified for paths, only global, username@hostname or @hostname"
    )]
    ParallelSnapshotsOfPath,
    /// Path with a separator at its end.
    #[error("invalid policy path {0:?}: path cannot end with a slash or a backslash")]
    TrailingSeparator(String),
}

/// Checks a policy before it is stored for `target`.
pub fn validate(target: &SourceInfo, policy: &Policy) -> Result<(), PolicyError> {
    let scheduling = &policy.scheduling;
    if scheduling.manual && *scheduling != (Scheduling { manual: true, ..Default::default() }) {
        return Err(PolicyError::ManualAndScheduled);
    }
    if let Some(wrong) = scheduling.cron.iter().find(|expression| !cron::is_valid(expression)) {
        return Err(PolicyError::Cron(wrong.clone()));
    }
    if !target.path.is_empty() && policy.upload.max_parallel_snapshots.is_some() {
        return Err(PolicyError::ParallelSnapshotsOfPath);
    }
    if target.path.ends_with(['/', '\\']) && !is_root(&target.path) {
        return Err(PolicyError::TrailingSeparator(target.path.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_stored() {
        let check = |target: &str, edit: &dyn Fn(&mut Policy)| {
            let mut policy = super::super::built_in();
            policy.scheduling = Scheduling::default();
            policy.upload.max_parallel_snapshots = None;
            edit(&mut policy);
            validate(&SourceInfo::parse(target, "h", "u", "/").unwrap(), &policy)
        };
        assert_eq!(check("u@h:/a", &|_| {}), Ok(()));
        for root in ["u@h:/", "u@h:C:\\", "u@h:C:/"] {
            assert_eq!(check(root, &|_| {}), Ok(()));
        }
        assert!(matches!(check("u@h:/a/", &|_| {}), Err(PolicyError::TrailingSeparator(_))));
        assert!(matches!(check("u@h:\\", &|_| {}), Err(PolicyError::TrailingSeparator(_))));
        assert_eq!(check("u@h", &|policy| policy.scheduling.manual = true), Ok(()));
        assert_eq!(
            check("u@h", &|policy| {
                policy.scheduling.manual = true;
                policy.scheduling.run_missed = Some(false);
            }),
            Err(PolicyError::ManualAndScheduled)
        );
        assert_eq!(
            check("u@h", &|policy| policy.scheduling.cron = vec!["0 0 * * *".into(), "x".into()]),
            Err(PolicyError::Cron("x".into()))
        );
        let parallel = |policy: &mut Policy| policy.upload.max_parallel_snapshots = Some(2);
        assert_eq!(check("u@h", &parallel), Ok(()));
        assert_eq!(check("u@h:/a", &parallel), Err(PolicyError::ParallelSnapshotsOfPath));
    }
}
