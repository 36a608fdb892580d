//! Time as an argument.
//!
//! Everything in this crate that decides by time (epochs, refreshes, timestamps of contents,
//! safety margins) asks a [`Clock`], so that a test can live through months without sleeping.

use std::fmt::Debug;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the clock
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Sets the hands.
    pub fn set(&self, now: Timestamp) {
        *self.now.lock() = now;
    }

    /// Moves the hands on (or back) by `by`.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.now.lock();
        *now = now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock()
    }
}

/// `earlier + by`, kept inside the range of timestamps.
pub(crate) fn later(earlier: Timestamp, by: SignedDuration) -> Timestamp {
    earlier.saturating_add(by).unwrap_or(Timestamp::MAX)
}
