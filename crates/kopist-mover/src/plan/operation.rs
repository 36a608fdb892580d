//! What to do: by argument, or by `DIRECTION`.

use super::error::PlanError;
use crate::env::Env;

/// What a mover does: three things for the operator, and three that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Save the data directory as a snapshot.
    Backup,
    /// Fill the data directory from a snapshot.
    Restore,
    /// Look after the repository.
    Maintenance,
    /// See whether all snapshots could be restored.
    Verify,
    /// Restore the newest snapshots, for the sake of it.
    TestRestore,
    /// Copy the repository to a second place.
    Replicate,
}

impl Operation {
    /// Whether it is about the snapshots of one source.
    pub fn has_source(self) -> bool {
        matches!(self, Self::Backup | Self::Restore)
    }

    /// The operation of a word that the operator does not use.
    pub(super) fn of_own_word(word: &str) -> Option<Self> {
        [Self::Verify, Self::TestRestore, Self::Replicate]
            .into_iter()
            .find(|operation| operation.name() == word)
    }

    /// The word for it in arguments, reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Maintenance => "maintenance",
            Self::Verify => "verify",
            Self::TestRestore => "test-restore",
            Self::Replicate => "replicate",
        }
    }
}

/// The operation and how the summary calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// What to do.
    pub operation: Operation,
    /// The value of `DIRECTION` if that decided, else the operation's name.
    pub label: String,
}

/// Decides from `DIRECTION` first, then from the arguments.
pub fn dispatch(args: &[String], env: &Env) -> Result<Dispatch, PlanError> {
    let by_direction = match env.text("DIRECTION") {
        Some("source") => Some(Operation::Backup),
        Some("destination") => Some(Operation::Restore),
        Some("maintenance") => Some(Operation::Maintenance),
        Some(word) => Operation::of_own_word(word),
        None => None,
    };
    if let (Some(operation), Some(direction)) = (by_direction, env.text("DIRECTION")) {
        return Ok(Dispatch { operation, label: direction.to_owned() });
    }
    let by_word = |word: &str| match word {
        "backup" => Some(Operation::Backup),
        "restore" => Some(Operation::Restore),
        word => Operation::of_own_word(word),
    };
    let mut chosen: Option<&str> = None;
    for arg in args {
        match (arg.as_str(), chosen) {
            ("maintenance", _) => return Err(PlanError::MaintenanceByArgument),
            (word, _) if by_word(word).is_none() => {
                return Err(PlanError::UnknownOperation(arg.clone()));
            }
            (_, None) => chosen = Some(arg),
            (_, Some(first)) if first == arg => {}
            (_, Some(first)) => {
                return Err(PlanError::ManyOperations(first.to_owned(), arg.clone()));
            }
        }
    }
    let operation = chosen.and_then(by_word).ok_or(PlanError::NoOperation)?;
    Ok(Dispatch { operation, label: operation.name().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str], direction: Option<&str>) -> Result<(Operation, String), PlanError> {
        let env: Env = direction.map(|d| ("DIRECTION", d)).into_iter().collect();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        dispatch(&args, &env).map(|found| (found.operation, found.label))
    }

    #[test]
    fn table() {
        use Operation::{Backup, Maintenance, Restore};
        let ok = |operation, label: &str| Ok((operation, label.to_owned()));
        assert_eq!(run(&["backup"], None), ok(Backup, "backup"));
        assert_eq!(run(&["restore"], None), ok(Restore, "restore"));
        assert_eq!(run(&[], Some("source")), ok(Backup, "source"));
        assert_eq!(run(&[], Some("destination")), ok(Restore, "destination"));
        assert_eq!(run(&["backup"], Some("maintenance")), ok(Maintenance, "maintenance"));
        assert_eq!(run(&["restore"], Some("elsewhere")), ok(Restore, "restore"));
        assert_eq!(run(&[], None), Err(PlanError::NoOperation));
        assert_eq!(run(&["maintenance"], None), Err(PlanError::MaintenanceByArgument));
        let unknown = run(&["frobnicate"], None).unwrap_err();
        assert_eq!(unknown.to_string(), "unknown operation: frobnicate");
        assert_eq!(unknown.exit_code(), 2);
        assert!(run(&["backup", "restore"], None).is_err());
        assert!(run(&["backup", "verify"], None).is_err());
        assert_eq!(run(&["verify"], None), ok(Operation::Verify, "verify"));
        let test = (Operation::TestRestore, "test-restore");
        assert_eq!(run(&["test-restore"], None), ok(test.0, test.1));
        assert_eq!(run(&[], Some("replicate")), ok(Operation::Replicate, "replicate"));
    }
}
