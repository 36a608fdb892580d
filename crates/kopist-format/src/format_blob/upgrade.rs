//! The lock that keeps everybody else out of a repository while it is upgraded.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::FormatError;
use crate::json::{self, FromGo, JsonError, Object, Unknown, ZERO_TIME};

/// Says that the repository is being upgraded, by whom and when.
///
/// Programs re-read the format at least every 15 minutes; so some time after the lock was set
/// everybody has seen it. Until [`writers_drained`](Self::writers_drained) the owner must wait,
/// and whoever finds the repository [`locked`](Self::locked) by another owner must not use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpgradeLock {
    /// Who upgrades; a text of the user's choice.
    #[serde(rename = "ownerID", skip_serializing_if = "String::is_empty")]
    pub owner_id: String,
    /// When the lock was set.
    #[serde(rename = "creationTime", with = "json::time")]
    pub creation_time: Timestamp,
    /// How long before the upgrade the lock is announced; zero for at once.
    #[serde(
        rename = "advanceNoticeDuration",
        with = "json::nanos",
        skip_serializing_if = "SignedDuration::is_zero"
    )]
    pub advance_notice: SignedDuration,
    /// How long running operations may take to end.
    #[serde(
        rename = "ioDrainTimeout",
        with = "json::nanos",
        skip_serializing_if = "SignedDuration::is_zero"
    )]
    pub io_drain_timeout: SignedDuration,
    /// How often the waiting ask again.
    #[serde(
        rename = "statusPollInterval",
        with = "json::nanos",
        skip_serializing_if = "SignedDuration::is_zero"
    )]
    pub status_poll_interval: SignedDuration,
    /// What to tell users.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How much clocks may differ.
    #[serde(
        rename = "maxPermittedClockDrift",
        with = "json::nanos",
        skip_serializing_if = "SignedDuration::is_zero"
    )]
    pub max_permitted_clock_drift: SignedDuration,
    /// Keys that this program does not know.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl UpgradeLock {
    /// How long it takes until everybody has noticed the lock.
    fn drain_interval(&self) -> SignedDuration {
        self.max_permitted_clock_drift.saturating_add(self.io_drain_timeout.saturating_mul(2))
    }

    /// When the owner may begin: everybody has noticed the lock, and the notice has run out.
    pub fn upgrade_time(&self) -> Timestamp {
        later(self.creation_time, self.advance_notice.max(self.drain_interval()))
    }

    /// Whether nobody but the owner may use the repository any more.
    pub fn locked(&self, now: Timestamp) -> bool {
        let drain = self.drain_interval();
        self.advance_notice < drain
            || now >= later(self.creation_time, self.advance_notice.saturating_sub(drain))
    }

    /// Whether nobody but the owner still uses the repository.
    pub fn writers_drained(&self, now: Timestamp) -> bool {
        now >= self.upgrade_time()
    }

    /// Whether a program with this upgrade owner id must keep out.
    pub fn excludes(&self, owner_id: &str, now: Timestamp) -> bool {
        self.owner_id != owner_id && self.locked(now)
    }

    /// Checks a lock that is about to be set.
    pub fn validate(&self) -> Result<(), FormatError> {
        let zero = SignedDuration::ZERO;
        for (wrong, text) in [
            (self.owner_id.is_empty(), "no owner-id set, it is required to set a unique owner-id"),
            (self.creation_time == ZERO_TIME, "upgrade lock intent creation time is not set"),
            (
                self.io_drain_timeout <= zero,
                "io-drain-timeout is required to be set for the upgrade lock",
            ),
            (
                self.status_poll_interval > self.io_drain_timeout,
                "status-poll-interval must be less than or equal to the io-drain-timeout",
            ),
            (self.message.is_empty(), "please set an upgrade message for visibility"),
            (self.max_permitted_clock_drift <= zero, "max-permitted-clock-drift is not set"),
            (self.advance_notice < zero, "the advanced notice duration cannot be negative"),
            (
                self.advance_notice > zero && self.advance_notice <= self.drain_interval(),
                "the advanced notice duration must be more than the total drain interval",
            ),
        ] {
            if wrong {
                return Err(FormatError::InvalidUpgradeLock(text.to_owned()));
            }
        }
        Ok(())
    }

    /// The lock after its owner changed it to `other`: only the notice may change, and only to a
    /// later time.
    pub fn update(&self, other: &Self) -> Result<Self, FormatError> {
        let zero = SignedDuration::ZERO;
        let wrong = if self.owner_id != other.owner_id {
            Some("upgrade owner-id mismatch, you are not the owner of the upgrade lock")
        } else if self.advance_notice == zero && other.advance_notice != zero {
            Some("cannot set an advance notice on an existing lock")
        } else if self.advance_notice != zero && other.advance_notice == zero {
            Some("cannot unset an advance notice on an existing lock")
        } else if self.advance_notice != zero && other.upgrade_time() < self.upgrade_time() {
            Some("can only extend the upgrade-time on an existing lock")
        } else {
            None
        };
        match wrong {
            Some(text) => Err(FormatError::InvalidUpgradeLock(text.to_owned())),
            None => Ok(Self { advance_notice: other.advance_notice, ..self.clone() }),
        }
    }
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    let limit = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(by).unwrap_or(limit)
}

impl FromGo for UpgradeLock {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        let mut object = Object::parse(json)?;
        let mut lock = Self {
            owner_id: String::new(),
            creation_time: ZERO_TIME,
            advance_notice: SignedDuration::ZERO,
            io_drain_timeout: SignedDuration::ZERO,
            status_poll_interval: SignedDuration::ZERO,
            message: String::new(),
            max_permitted_clock_drift: SignedDuration::ZERO,
            unknown: Unknown::default(),
        };
        object.field("ownerID", &mut lock.owner_id)?;
        object.field("creationTime", &mut lock.creation_time)?;
        object.field("advanceNoticeDuration", &mut lock.advance_notice)?;
        object.field("ioDrainTimeout", &mut lock.io_drain_timeout)?;
        object.field("statusPollInterval", &mut lock.status_poll_interval)?;
        object.field("message", &mut lock.message)?;
        object.field("maxPermittedClockDrift", &mut lock.max_permitted_clock_drift)?;
        lock.unknown = object.unknown();
        Ok(lock)
    }
}
