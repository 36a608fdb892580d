//! The schedule blob: when maintenance is due, and what ran before.

use jiff::Timestamp;
use kopist_blob::{BlobId, ByteRange};
use kopist_format::{
    format_blob::{FormatError, open_maintenance_schedule, seal_maintenance_schedule},
    json::to_go_json,
    maintenance::{SCHEDULE_BLOB, Schedule},
};

use crate::{
    error::{RepoError, Result},
    repository::Repository,
    settings::format_error,
};

impl Repository {
    /// The schedule and history of maintenance; empty if there has been none. One that is damaged
    /// [is an error that says so](RepoError::is_damage).
    pub fn maintenance_schedule(&self) -> Result<Schedule> {
        let sealed = match self.store().get(&BlobId::from(SCHEDULE_BLOB), ByteRange::Full) {
            Err(e) if e.is_not_found() => return Ok(Schedule::default()),
            result => result?,
        };
        let json = self
            .settings()
            .with_key(|format, key| {
                open_maintenance_schedule(format, key, self.unique_id(), &sealed)
            })
            .map_err(|e| match e {
                FormatError::Maintenance(e) => RepoError::format(SCHEDULE_BLOB, e),
                other => format_error(other),
            })?;
        serde_json::from_slice(&json).map_err(|e| RepoError::format(SCHEDULE_BLOB, e))
    }

    /// Copies a schedule that does not open to another blob, so that a new one may take its
    /// place; returns the name of the copy.
    pub fn set_aside_maintenance_schedule(&self) -> Result<BlobId> {
        self.writable()?;
        let damaged = self.store().get(&BlobId::from(SCHEDULE_BLOB), ByteRange::Full)?;
        let now = self.clock().now().as_second();
        let copy = BlobId::from(format!("{SCHEDULE_BLOB}.unreadable-{now}"));
        self.put_blob(&copy, &[&damaged])?;
        Ok(copy)
    }

    /// Stores the schedule and returns the storage's time of doing so, by which the margins of
    /// maintenance are measured. There is no locking: the last writer wins.
    pub fn set_maintenance_schedule(&self, schedule: &Schedule) -> Result<Timestamp> {
        self.writable()?;
        let json =
            to_go_json(schedule).map_err(|e| RepoError::format("maintenance schedule", e))?;
        let sealed = self
            .settings()
            .with_key(|format, key| seal_maintenance_schedule(format, key, self.unique_id(), &json))
            .map_err(format_error)?;
        Ok(self.put_blob(&BlobId::from(SCHEDULE_BLOB), &[&sealed])?.timestamp)
    }
}
