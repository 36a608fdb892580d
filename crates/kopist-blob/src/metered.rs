//! Counting calls.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::store::forward;
use crate::{BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions};

/// Counts the calls of a store, by kind of call and by how they ended, and how long they took.
///
/// What counts is what was asked for: a call that the wrapper below repeats is one call. The
/// numbers are read from the [`Meter`] at any time, by anybody.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S: BlobStore> Metered<S> {
    /// Counts the calls of `inner`.
    pub fn new(inner: S, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }

    fn call<T>(
        &self,
        operation: Operation,
        call: impl FnOnce() -> Result<T, BlobError>,
        amount: impl FnOnce(&T) -> u64,
    ) -> Result<T, BlobError> {
        let start = Instant::now();
        let outcome = call();
        let counts = self.meter.of(operation);
        match &outcome {
            Ok(value) => {
                add(&counts.succeeded, 1);
                add(&counts.bytes, amount(value));
            }
            Err(error) if error.is_not_found() => add(&counts.missing, 1),
            Err(_) => add(&counts.failed, 1),
        }
        counts.took(start.elapsed());
        outcome
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Meter {
    counts: [Counts; MEASURED.len()],
}

/// The calls that are counted.
const MEASURED: [Operation; 6] = [
    Operation::Get,
    Operation::Metadata,
    Operation::Put,
    Operation::Delete,
    Operation::List,
    Operation::ExtendRetention,
];

/// Upper limits of the classes of durations, in seconds; the last class has none.
pub const DURATION_LIMITS: [f64; 7] = [0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

#[derive(Debug, Default)]
struct Counts {
    succeeded: AtomicU64,
    missing: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
    classes: [AtomicU64; DURATION_LIMITS.len() + 1],
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

impl Counts {
    fn took(&self, time: Duration) {
        add(&self.nanoseconds, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let seconds = time.as_secs_f64();
        let class = DURATION_LIMITS.partition_point(|limit| *limit < seconds);
        if let Some(counter) = self.classes.get(class) {
            add(counter, 1);
        }
    }
}

/// The calls of one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calls {
    /// Which kind.
    pub operation: Operation,
    /// Those that did what they were asked for.
    pub succeeded: u64,
    /// Those that found no such blob.
    pub missing: u64,
    /// Those that failed in the end.
    pub failed: u64,
    /// Bytes that were read or written.
    pub bytes: u64,
    /// Seconds that they took together.
    pub seconds: f64,
    /// How many took no longer than each of [`DURATION_LIMITS`] and longer than the one before;
    /// the last number counts those that took longer than all.
    pub classes: [u64; DURATION_LIMITS.len() + 1],
}

impl Meter {
    fn of(&self, operation: Operation) -> &Counts {
        let index = MEASURED.iter().position(|measured| *measured == operation).unwrap_or(0);
        &self.counts[index]
    }

    /// What was counted so far, one row for each kind of call.
    pub fn read(&self) -> Vec<Calls> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MEASURED
            .into_iter()
            .zip(&self.counts)
            .map(|(operation, counts)| Calls {
                operation,
                succeeded: get(&counts.succeeded),
                missing: get(&counts.missing),
                failed: get(&counts.failed),
                bytes: get(&counts.bytes),
                seconds: Duration::from_nanos(get(&counts.nanoseconds)).as_secs_f64(),
                classes: std::array::from_fn(|index| get(&counts.classes[index])),
            })
            .collect()
    }

    /// All calls that have ended.
    pub fn total(&self) -> u64 {
        self.read().iter().map(|calls| calls.succeeded + calls.missing + calls.failed).sum()
    }
}

impl<S: BlobStore> BlobStore for Metered<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.call(Operation::Get, || self.inner.get(id, range), |data| data.len() as u64)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.call(Operation::Metadata, || self.inner.metadata(id), |_| 0)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let length = data.iter().map(|part| part.len() as u64).sum();
        self.call(Operation::Put, || self.inner.put(id, data, options), |_| length)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.call(Operation::Delete, || self.inner.delete(id), |()| 0)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.call(Operation::List, || self.inner.list(prefix, visit), |()| 0)
    }

    fn extend_retention(&self, id: &BlobId, retention: &crate::Retention) -> Result<(), BlobError> {
        let call = || self.inner.extend_retention(id, retention);
        self.call(Operation::ExtendRetention, call, |()| 0)
    }

    forward!(self => self.inner; capacity, sweep_leftovers, identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn calls_are_counted_by_kind_and_end() {
        let meter = Arc::new(Meter::default());
        let store = Metered::new(MemoryStore::new(), Arc::clone(&meter));
        let id = BlobId::from("p1");
        store.put(&id, &[b"ab", b"cde"], &PutOptions::default()).unwrap();
        store.get(&id, ByteRange::Full).unwrap();
        store.get(&id, ByteRange::Bounded { offset: 1, length: 2 }).unwrap();
        store.get(&"p2".into(), ByteRange::Full).unwrap_err();
        store.get(&id, ByteRange::Bounded { offset: 4, length: 9 }).unwrap_err();
        store.metadata(&id).unwrap();
        store.delete(&id).unwrap();
        let rows = meter.read();
        let row = |operation| rows.iter().find(|row| row.operation == operation).unwrap();
        let get = row(Operation::Get);
        assert_eq!((get.succeeded, get.missing, get.failed, get.bytes), (2, 1, 1, 7));
        assert_eq!(get.classes.iter().sum::<u64>(), 4);
        assert_eq!((row(Operation::Put).succeeded, row(Operation::Put).bytes), (1, 5));
        assert_eq!(row(Operation::List).succeeded, 0);
        assert_eq!(meter.total(), 7);
    }

    #[test]
    fn a_duration_belongs_to_the_first_class_that_holds_it() {
        let counts = Counts::default();
        for millis in [0, 5, 6, 100, 59_000, 61_000] {
            counts.took(Duration::from_millis(millis));
        }
        let classes = counts.classes.each_ref().map(|class| class.load(Ordering::Relaxed));
        assert_eq!(classes, [2, 1, 1, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn it_keeps_every_promise_of_the_store_below() {
        crate::testing::conformance(&|| Arc::new(Metered::new(MemoryStore::new(), Arc::default())));
    }
}
