//! Maintenance: when its tasks may run, and what each must see before it deletes.
//!
//! Nothing here reads or deletes: these are the schedule blob `kopia.maintenance` and its history
//! ([`Schedule`]), the margins ([`SafetyParameters`]), and the decisions that follow from both, as
//! functions of the time of day that the caller gives (the storage's, not the local one).
//!
//! The chain that protects data: contents that no snapshot needs become tombstones once they are
//! old enough; the tombstones are dropped only when a second, later collection has had a chance to
//! take them back ([`Schedule::safe_drop_time`]); a pack is deleted only when no entry names it
//! and every client has had time to notice ([`judge_unreferenced`]).
//!
//! Sources: `kopia:repo/maintenance/`.

mod decisions;
mod parameters;
mod schedule;
#[cfg(test)]
mod tests;

pub use decisions::{Orphan, ShortPacks, judge_unreferenced};
pub use parameters::{Cycle, LogRetention, MaintenanceParameters, Mode, SafetyParameters};
pub use schedule::{Extra, MAX_RUNS, RunInfo, Schedule, task};

use jiff::SignedDuration;

/// The blob that holds the [`Schedule`].
pub const SCHEDULE_BLOB: &str = "kopia.maintenance";

/// Maintenance refuses to run when the local clock and that of the storage differ by more.
pub const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
