//! What to do: by argument, or by `DIRECTION`.

use super::error::PlanError;
use crate::env::Env;

/// The three things that a mover does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Save the data directory as a snapshot.
    Backup,
    /// Fill the data directory from a snapshot.
    Restore,
    /// Look after the repository.
    Maintenance,
}

impl Operation {
    /// The word for it in arguments, reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Maintenance => "maintenance",
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
        _ => None,
    };
    if let (Some(operation), Some(direction)) = (by_direction, env.text("DIRECTION")) {
        return Ok(Dispatch { operation, label: direction.to_owned() });
    }
    let mut chosen: Option<&str> = None;
    for arg in args {
        match (arg.as_str(), chosen) {
            ("backup" | "restore", None) => chosen = Some(arg),
            ("backup" | "restore", Some(first)) if first == arg => {}
            ("backup" | "restore", Some(first)) => {
                return Err(PlanError::ManyOperations(first.to_owned(), arg.clone()));
            }
            ("maintenance", _) => return Err(PlanError::MaintenanceByArgument),
            _ => return Err(PlanError::UnknownOperation(arg.clone())),
        }
    }
    let operation = match chosen {
        Some("backup") => Operation::Backup,
        Some(_) => Operation::Restore,
        None => return Err(PlanError::NoOperation),
    };
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
    }
}
