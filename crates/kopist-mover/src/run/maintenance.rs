//! Maintenance: connect as its owner; a repository that does not exist yet is not an
//! error, because the schedule often exists before the first backup.

use super::Context;
use super::connect::{Connected, connect};
use super::failure::Failure;
use crate::plan::MoverPlan;
use crate::report::{Outcome, Reason};

/// Runs maintenance.
pub(super) fn run(plan: &MoverPlan, context: &Context) -> Result<Outcome, Failure> {
    let connection = match connect(plan, context)? {
        Connected::Open(connection) => connection,
        Connected::Absent { place } => {
            context.report.info(format!("there is no repository yet: {place}"));
            context.report.line("No eligible repository found, nothing to maintain");
            return Ok(Outcome::skipped(Reason::NoRepository, "there is no repository yet"));
        }
    };
    super::connected(plan, context, &connection);
    Err(Failure::new(Reason::NotImplemented, "this build has no maintenance; nothing was changed"))
}
