//! Settings of maintenance, and how careful it is.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Schedule;
use crate::json::nanos;

/// Payload of the manifest `type=maintenance`. The default is what a repository without it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MaintenanceParameters {
    /// `user@host` that runs maintenance; nobody else may.
    pub owner: String,
    /// Frequent, small maintenance.
    pub quick: Cycle,
    /// Everything.
    pub full: Cycle,
    /// Which log blobs stay.
    pub log_retention: LogRetention,
    /// Whether locks of the storage are extended for data in use.
    pub extend_object_locks: bool,
    /// Listings and deletions at the same time; 0 for a default.
    pub list_parallelism: i64,
    /// What a newer program wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How often one kind of maintenance runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cycle {
    /// Whether it runs at all.
    pub enabled: bool,
    /// From one run to the next.
    #[serde(with = "nanos")]
    pub interval: SignedDuration,
}

/// Limits for log blobs; 0 means no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRetention {
    /// Bytes of all logs together.
    #[serde(default)]
    pub max_total_size: i64,
    /// Number of logs.
    #[serde(default)]
    pub max_count: i64,
    /// Age of a log.
    #[serde(with = "nanos", default)]
    pub max_age: SignedDuration,
}

impl Default for LogRetention {
    fn default() -> Self {
        Self {
            max_total_size: 1 << 30,
            max_count: 10_000,
            max_age: SignedDuration::from_hours(30 * 24),
        }
    }
}

impl Default for MaintenanceParameters {
    fn default() -> Self {
        Self {
            owner: String::new(),
            quick: Cycle { enabled: true, interval: SignedDuration::from_hours(1) },
            full: Cycle { enabled: true, interval: SignedDuration::from_hours(24) },
            log_retention: LogRetention::default(),
            extend_object_locks: false,
            list_parallelism: 0,
            unknown: Map::new(),
        }
    }
}

/// A kind of maintenance run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Frequent, small maintenance.
    Quick,
    /// Everything.
    Full,
}

impl MaintenanceParameters {
    /// What is due now, if anything. An empty schedule makes full maintenance due at once.
    pub fn due(&self, schedule: &Schedule, now: Timestamp) -> Option<Mode> {
        if self.full.enabled && now >= schedule.next_full_maintenance {
            Some(Mode::Full)
        } else if self.quick.enabled && now >= schedule.next_quick_maintenance {
            Some(Mode::Quick)
        } else {
            None
        }
    }

    /// Puts off the next run of a mode; full maintenance counts as quick, too.
    pub fn schedule_next(&self, mode: Mode, schedule: &mut Schedule, now: Timestamp) {
        let after = |cycle: &Cycle| now.saturating_add(cycle.interval).unwrap_or(Timestamp::MAX);
        schedule.next_quick_maintenance = after(&self.quick);
        if mode == Mode::Full {
            schedule.next_full_maintenance = after(&self.full);
        }
    }
}

/// Margins that keep maintenance from taking away what somebody is about to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafetyParameters {
    /// Younger contents are not moved to other packs.
    pub rewrite_min_age: SignedDuration,
    /// Younger contents are never garbage.
    pub min_content_age_subject_to_gc: SignedDuration,
    /// Two collections must be this far apart, from the end of one to the start of the next.
    pub margin_between_snapshot_gc: SignedDuration,
    /// Whether a tombstone must have survived two collections before it is dropped.
    pub require_two_gc_cycles: bool,
    /// Whether listings are trusted to be up to date.
    pub disable_eventual_consistency_safety: bool,
    /// Subtracted from the time before which tombstones are dropped.
    pub drop_content_from_index_extra_margin: SignedDuration,
    /// Younger packs are never deleted.
    pub pack_delete_min_age: SignedDuration,
    /// Sessions that have not been heard of for longer are dead.
    pub session_expiration_age: SignedDuration,
    /// Clients have this long to learn where rewritten contents are now.
    pub min_rewrite_to_orphan_deletion_delay: SignedDuration,
}

impl SafetyParameters {
    /// No margins: only while no other client is connected.
    pub const NONE: Self = Self {
        rewrite_min_age: SignedDuration::ZERO,
        min_content_age_subject_to_gc: SignedDuration::ZERO,
        margin_between_snapshot_gc: SignedDuration::ZERO,
        require_two_gc_cycles: false,
        disable_eventual_consistency_safety: true,
        drop_content_from_index_extra_margin: SignedDuration::ZERO,
        pack_delete_min_age: SignedDuration::ZERO,
        session_expiration_age: SignedDuration::ZERO,
        min_rewrite_to_orphan_deletion_delay: SignedDuration::ZERO,
    };

    /// Safe beside any number of clients.
    pub const FULL: Self = Self {
        rewrite_min_age: SignedDuration::from_hours(2),
        min_content_age_subject_to_gc: SignedDuration::from_hours(24),
        margin_between_snapshot_gc: SignedDuration::from_hours(4),
        require_two_gc_cycles: true,
        disable_eventual_consistency_safety: false,
        drop_content_from_index_extra_margin: SignedDuration::from_hours(1),
        pack_delete_min_age: SignedDuration::from_hours(24),
        session_expiration_age: SignedDuration::from_hours(96),
        min_rewrite_to_orphan_deletion_delay: SignedDuration::from_hours(1),
    };
}

impl Default for SafetyParameters {
    fn default() -> Self {
        Self::FULL
    }
}
