use std::time::Duration;

use parking_lot::Mutex;

use crate::pace::Timer;

/// How many seconds' worth of tokens a bucket holds: a burst of that size is free.
const WINDOW: f64 = 60.0;

/// How full a bucket is at first.
const INITIAL_FILL: f64 = 0.1;

/// Tokens that come at a steady rate. Taking more than there are puts the taker, and those after
/// it, to waiting until the debt is paid (kopia:repo/blob/throttling).
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Tokens per second; zero means any number.
    rate: f64,
    tokens: f64,
    refilled: Duration,
}

impl State {
    fn capacity(&self) -> f64 {
        self.rate * WINDOW
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.capacity());
        self.refilled = now;
    }
}

impl Bucket {
    pub(super) fn set_rate(&self, rate: f64, now: Duration) {
        let mut state = self.0.lock();
        if rate.total_cmp(&state.rate).is_eq() {
            return;
        }
        state.refill(now);
        let was_unlimited = state.rate == 0.0;
        state.rate = rate;
        let capacity = state.capacity();
        state.tokens =
            if was_unlimited { capacity * INITIAL_FILL } else { state.tokens.min(capacity) };
    }

    /// Takes tokens, waiting for them if need be.
    pub(super) fn take(&self, tokens: f64, timer: &dyn Timer) {
        let debt = {
            let mut state = self.0.lock();
            if state.rate == 0.0 {
                return;
            }
            state.refill(timer.elapsed());
            state.tokens -= tokens;
            -state.tokens / state.rate
        };
        if debt > 0.0 {
            // A program that stops goes on without the wait.
            let _ = timer.wait(Duration::try_from_secs_f64(debt).unwrap_or(Duration::MAX));
        }
    }

    /// Gives tokens back that were taken in advance and not needed.
    pub(super) fn give_back(&self, tokens: f64) {
        let mut state = self.0.lock();
        state.tokens = (state.tokens + tokens).min(state.capacity());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::ManualTimer;

    #[test]
    fn tokens_come_at_the_rate() {
        let timer = ManualTimer::new();
        let bucket = Bucket::default();
        bucket.take(1e12, &timer);
        assert_eq!(timer.elapsed(), Duration::ZERO, "no limit, no wait");
        bucket.set_rate(10.0, timer.elapsed());
        bucket.take(60.0, &timer);
        assert_eq!(timer.elapsed(), Duration::ZERO, "a tenth of a minute's worth is there");
        bucket.take(20.0, &timer);
        assert_eq!(timer.elapsed(), Duration::from_secs(2));
        timer.advance(Duration::from_hours(1));
        let before = timer.elapsed();
        bucket.take(600.0, &timer);
        assert_eq!(timer.elapsed(), before, "a full bucket holds a minute's worth");
        bucket.take(5.0, &timer);
        assert_eq!(timer.elapsed(), before + Duration::from_millis(500));
        bucket.give_back(5.0);
        bucket.take(5.0, &timer);
        assert_eq!(timer.elapsed(), before + Duration::from_millis(500));
    }
}
