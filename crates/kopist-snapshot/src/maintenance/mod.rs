//! Maintenance of a repository: what is due, in which order, and what is remembered of it.
//!
//! [`run`](run()) is the frame. It checks that this client is the one to do it, notes the next
//! run in the schedule *before* doing anything, takes the storage's time of that note as the time
//! of the whole run, collects what no snapshot uses ([`gc`](crate::gc)) and then calls the tasks
//! of [`kopist_repo::maintenance`]. The history of successful runs is what the margins are
//! measured by: every task is recorded as it ends, and nothing follows a task that failed.
//!
//! What is damaged is named and left alone. Damaged session markers keep their packs, a manifest
//! that cannot be read keeps everything that it might need, and a schedule that does not open is
//! set aside: none of them stops the rest.
//!
//! What makes deleting safe is not here but in the tasks and in
//! `kopist_format::maintenance`; the order and the conditions between them are
//! (`kopia:repo/maintenance/maintenance_run.go`).

mod lock;
mod parameters;
mod run;

pub use kopist_format::maintenance::{MaintenanceParameters, Mode, SafetyParameters, task};
pub use parameters::{claim, parameters, readable_parameters, set_parameters};
pub use run::{
    MaintenanceError, MaintenanceEvent, MaintenanceOptions, MaintenanceOutcome,
    MaintenanceProgress, run,
};
