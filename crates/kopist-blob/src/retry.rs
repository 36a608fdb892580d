//! Trying again what may pass by itself.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::pace::{SystemTimer, Timer, fraction, scramble};
use crate::store::forward;
use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Capacity, Leftovers, PutOptions, Retention,
};

/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// How often and after which waits a call is made again. The default is 10 attempts over 12 to 25
/// seconds, jitter included; kopia's are as many over 11 (kopia:internal/retry), and some of its
/// client libraries have their own inside of them. A store that says how long it wants to be left
/// alone ([`BlobError::wait`]) gets that, up to a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all; one means no retry.
    pub attempts: u32,
    /// Wait after the first failure.
    pub first_wait: Duration,
    /// How much longer each wait is than the one before.
    pub factor: f64,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            first_wait: Duration::from_millis(100),
            factor: 1.8,
            longest_wait: Duration::from_secs(32),
        }
    }
}

impl RetryPolicy {
    /// The wait after `failures` failures (at least one), before jitter.
    pub fn wait_after(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = self.first_wait.as_secs_f64() * self.factor.powi(exponent);
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX).min(self.longest_wait)
    }
}

/// Makes single calls again that failed for a reason that may pass
/// ([`BlobError::is_retriable`]), waiting between half of and the whole of the policy's wait so
/// that many clients do not come back all at once. Clones share the jitter.
///
/// [`Retry`] does this for whole operations. A store needs it only where one operation is many
/// requests: a listing of a hundred pages must not start again because the last page failed.
#[derive(Clone, Debug)]
pub struct Attempts {
    policy: RetryPolicy,
    timer: Arc<dyn Timer>,
    jitter: Arc<AtomicU64>,
}

impl Attempts {
    /// By a policy, waiting by `timer`.
    pub fn new(policy: RetryPolicy, timer: Arc<dyn Timer>) -> Self {
        // Clients that start together must differ; how does not matter.
        let jitter = Arc::new(AtomicU64::new(getrandom::u64().unwrap_or_default()));
        Self { policy, timer, jitter }
    }

    /// Calls `attempt` until it succeeds, fails for good, or has failed often enough.
    ///
    /// # Errors
    /// [`BlobError::GaveUp`] after the last attempt.
    pub fn run<T>(&self, attempt: impl FnMut() -> Result<T, BlobError>) -> Result<T, BlobError> {
        self.run_while(attempt, || true)
    }

    fn run_while<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, BlobError>,
        mut may_repeat: impl FnMut() -> bool,
    ) -> Result<T, BlobError> {
        let mut failures = 0;
        loop {
            let error = match attempt() {
                Err(error) if error.is_retriable() && may_repeat() => error,
                other => return other,
            };
            failures += 1;
            if failures >= self.policy.attempts {
                return Err(match failures {
                    1 => error,
                    attempts => BlobError::GaveUp { attempts, source: Box::new(error) },
                });
            }
            let own = self.policy.wait_after(failures).mul_f64(self.factor());
            let wait = own.max(error.wait().min(LONGEST_ASKED));
            tracing::debug!(%error, failures, ?wait, "trying again");
            if !self.timer.wait(wait) {
                return Err(error);
            }
        }
    }

    /// A factor in `0.5..1.0`.
    fn factor(&self) -> f64 {
        0.5 + fraction(scramble(self.jitter.fetch_add(1, Ordering::Relaxed))) / 2.0
    }
}

/// Makes the calls of a store again, as [`Attempts`] does.
///
/// Every operation is safe to repeat. A listing is repeated only while nothing has been reported
/// yet. A create-only put whose answer was lost reports
/// [`AlreadyExists`](BlobError::AlreadyExists).
#[derive(Debug)]
pub struct Retry<S> {
    inner: S,
    attempts: Attempts,
}

impl<S: BlobStore> Retry<S> {
    /// Retries as kopia does.
    pub fn new(inner: S) -> Self {
        Self::with(inner, RetryPolicy::default(), Arc::new(SystemTimer::new()))
    }

    /// Retries by a policy of your own, waiting by `timer`.
    pub fn with(inner: S, policy: RetryPolicy, timer: Arc<dyn Timer>) -> Self {
        Self { inner, attempts: Attempts::new(policy, timer) }
    }

    fn run<T>(
        &self,
        attempt: impl FnMut() -> Result<T, BlobError>,
        may_repeat: impl FnMut() -> bool,
    ) -> Result<T, BlobError> {
        self.attempts.run_while(attempt, may_repeat)
    }
}

impl<S: BlobStore> BlobStore for Retry<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.run(|| self.inner.get(id, range), || true)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.run(|| self.inner.metadata(id), || true)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        self.run(|| self.inner.put(id, data, options), || true)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.run(|| self.inner.delete(id), || true)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let reported = std::cell::Cell::new(false);
        self.run(
            || {
                self.inner.list(prefix, &mut |meta| {
                    reported.set(true);
                    visit(meta)
                })
            },
            || !reported.get(),
        )
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        self.run(|| self.inner.extend_retention(id, retention), || true)
    }

    fn capacity(&self) -> Result<Capacity, BlobError> {
        self.run(|| self.inner.capacity(), || true)
    }

    fn sweep_leftovers(&self, now: Timestamp) -> Result<Leftovers, BlobError> {
        self.run(|| self.inner.sweep_leftovers(now), || true)
    }

    forward!(self => self.inner; identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::{Fault, Faulty, When};
    use crate::pace::ManualTimer;
    use crate::{MemoryStore, Operation, list_all};

    fn store(when: When, fault: Fault) -> (Retry<Faulty<MemoryStore>>, ManualTimer) {
        let inner = MemoryStore::new();
        inner.put(&"a".into(), &[b"x"], &PutOptions::default()).unwrap();
        let timer = ManualTimer::new();
        let faulty = [Operation::Get, Operation::Put, Operation::List, Operation::Delete]
            .into_iter()
            .fold(Faulty::new(inner, 1), |faulty, op| faulty.with(op, when, fault));
        (Retry::with(faulty, RetryPolicy::default(), Arc::new(timer.clone())), timer)
    }

    #[test]
    fn what_passes_is_tried_again() {
        let (store, timer) = store(When::UpTo(9), Fault::Transient);
        store.get(&"a".into(), ByteRange::Full).unwrap();
        let waited = timer.elapsed().as_secs_f64();
        assert!((12.0..25.0).contains(&waited), "{waited}");
        store.put(&"b".into(), &[b"x"], &PutOptions::default()).unwrap();
        store.delete(&"a".into()).unwrap();
        assert_eq!(list_all(&store, "").unwrap().len(), 1);
    }

    #[test]
    fn stores_are_left_alone_as_long_as_they_ask() {
        for (asked, expected) in [(0, 0.05..0.1), (7, 7.0..7.1), (3600, 60.0..60.1)] {
            let timer = ManualTimer::new();
            let attempts = Attempts::new(RetryPolicy::default(), Arc::new(timer.clone()));
            let mut refusals = vec![BlobError::Remote {
                operation: Operation::Get,
                target: (&BlobId::from("a")).into(),
                retriable: true,
                wait_seconds: asked,
                source: "too many requests".into(),
            }];
            attempts.run(|| refusals.pop().map_or(Ok(()), Err)).unwrap();
            let waited = timer.elapsed().as_secs_f64();
            assert!(expected.contains(&waited), "{asked}: {waited}");
        }
    }

    #[test]
    fn what_does_not_pass_is_given_up() {
        let (store, _) = store(When::Always, Fault::Transient);
        let error = store.get(&"a".into(), ByteRange::Full).unwrap_err();
        assert!(matches!(error, BlobError::GaveUp { attempts: 10, .. }), "{error}");
        assert!(!error.is_retriable());
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        let (store, timer) = store(When::Always, Fault::Permanent);
        let error = store.get(&"a".into(), ByteRange::Full).unwrap_err();
        assert!(matches!(error, BlobError::Injected { .. }), "{error}");
        assert!(store.metadata(&"missing".into()).unwrap_err().is_not_found());
        assert_eq!(timer.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_listing_never_reports_a_blob_twice() {
        let (store, _) = store(When::Always, Fault::LostAnswer);
        let mut seen = 0;
        let outcome = store.list("", &mut |_| {
            seen += 1;
            ControlFlow::Continue(())
        });
        assert!(outcome.is_err());
        assert_eq!(seen, 1);
    }

    #[test]
    fn stopping_ends_the_waits() {
        let timer = SystemTimer::new();
        timer.stop();
        let faulty =
            Faulty::new(MemoryStore::new(), 1).with(Operation::Get, When::Always, Fault::Transient);
        let slow = RetryPolicy { first_wait: Duration::from_hours(1), ..RetryPolicy::default() };
        let store = Retry::with(faulty, slow, Arc::new(timer));
        assert!(store.get(&"a".into(), ByteRange::Full).is_err());
    }

    #[test]
    fn waits_grow_to_their_limit() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait_after(1), Duration::from_millis(100));
        assert_eq!(policy.wait_after(2), Duration::from_millis(180));
        assert_eq!(policy.wait_after(1000), Duration::from_secs(32));
    }
}
