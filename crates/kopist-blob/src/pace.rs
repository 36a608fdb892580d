//! Waiting, so that tests need not.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A clock to wait by. It has nothing to do with the time of day.
pub trait Timer: Send + Sync + Debug {
    /// Time since some fixed moment.
    fn elapsed(&self) -> Duration;

    /// Waits. Returns false when the wait was cut short because the program is to stop.
    #[must_use]
    fn wait(&self, duration: Duration) -> bool;
}

/// The clock of the system. Clones stop together.
#[derive(Clone, Debug)]
pub struct SystemTimer {
    start: Instant,
    stopped: Arc<(Mutex<bool>, Condvar)>,
}

impl SystemTimer {
    /// A timer that nobody has stopped.
    pub fn new() -> Self {
        Self { start: Instant::now(), stopped: Arc::default() }
    }

    /// Ends all present and future waits on this timer and its clones: the first step of
    /// stopping a program without sitting out its backoffs.
    pub fn stop(&self) {
        let (stopped, changed) = &*self.stopped;
        *stopped.lock() = true;
        changed.notify_all();
    }
}

impl Default for SystemTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer for SystemTimer {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait(&self, duration: Duration) -> bool {
        let (stopped, changed) = &*self.stopped;
        let deadline = Instant::now() + duration;
        let mut stopped = stopped.lock();
        while !*stopped {
            if changed.wait_until(&mut stopped, deadline).timed_out() {
                break;
            }
        }
        !*stopped
    }
}

/// A clock that stands still until somebody waits by it: then the wait is over at once, and the
/// clock has moved on. For tests.
#[derive(Clone, Debug, Default)]
pub struct ManualTimer {
    nanoseconds: Arc<AtomicU64>,
}

impl ManualTimer {
    /// A clock at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock on.
    pub fn advance(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Timer for ManualTimer {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    fn wait(&self, duration: Duration) -> bool {
        self.advance(duration);
        true
    }
}

/// Scrambles a number (SplitMix64): equal input, equal output, no pattern in between. Good for
/// jitter and made-up faults, not for secrets.
pub(crate) fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number as a fraction in `0.0..1.0`.
pub(crate) fn fraction(value: u64) -> f64 {
    (value >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_timer_does_not_wait() {
        let timer = SystemTimer::new();
        assert!(timer.wait(Duration::from_millis(1)));
        let waiting = std::thread::spawn({
            let timer = timer.clone();
            move || timer.wait(Duration::from_hours(1))
        });
        timer.stop();
        assert!(!waiting.join().unwrap());
        assert!(!timer.wait(Duration::from_hours(1)));
    }
}
