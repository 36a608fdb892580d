//! Limits on how fast a store is used.

mod bucket;
mod gate;
mod limits;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

pub use limits::Limits;

use crate::pace::{SystemTimer, Timer};
use crate::store::forward;
use crate::{BlobError, BlobId, BlobMeta, BlobStore, ByteRange, PutOptions};
use bucket::Bucket;
use gate::Gate;

/// Keeps the use of a store within [`Limits`], which may change at any time.
///
/// Reads and stats share one limit, writes and deletions another. What retries below this
/// wrapper do is not counted.
#[derive(Debug)]
pub struct Throttle<S> {
    inner: S,
    timer: Arc<dyn Timer>,
    limits: Mutex<Limits>,
    reads: Bucket,
    writes: Bucket,
    lists: Bucket,
    upload: Bucket,
    download: Bucket,
    readers: Gate,
    writers: Gate,
}

impl<S: BlobStore> Throttle<S> {
    /// Limits the use of `inner`.
    pub fn new(inner: S, limits: &Limits) -> Result<Self, BlobError> {
        Self::with_timer(inner, limits, Arc::new(SystemTimer::new()))
    }

    /// As [`new`](Self::new), waiting by `timer`.
    pub fn with_timer(inner: S, limits: &Limits, timer: Arc<dyn Timer>) -> Result<Self, BlobError> {
        let throttle = Self {
            inner,
            timer,
            limits: Mutex::default(),
            reads: Bucket::default(),
            writes: Bucket::default(),
            lists: Bucket::default(),
            upload: Bucket::default(),
            download: Bucket::default(),
            readers: Gate::default(),
            writers: Gate::default(),
        };
        throttle.set_limits(limits)?;
        Ok(throttle)
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// Changes the limits for calls from now on. Unusable limits change nothing.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), BlobError> {
        limits.check()?;
        let now = self.timer.elapsed();
        let mut current = self.limits.lock();
        self.reads.set_rate(limits.reads_per_second, now);
        self.writes.set_rate(limits.writes_per_second, now);
        self.lists.set_rate(limits.lists_per_second, now);
        self.upload.set_rate(limits.upload_bytes_per_second, now);
        self.download.set_rate(limits.download_bytes_per_second, now);
        self.readers.set_limit(limits.concurrent_reads);
        self.writers.set_limit(limits.concurrent_writes);
        *current = *limits;
        Ok(())
    }
}

impl<S: BlobStore> BlobStore for Throttle<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.reads.take(1.0, &*self.timer);
        let _inside = self.readers.enter();
        // Whole blobs are paid for when their size is known. Kopia takes 20 MB in advance,
        // which makes small ones wait for minutes when the speed is low.
        let expected = match range {
            ByteRange::Full => 0,
            ByteRange::Bounded { length, .. } => length,
        };
        self.download.take(expected as f64, &*self.timer);
        let outcome = self.inner.get(id, range);
        let read = outcome.as_ref().map_or(0, |data| data.len() as u64);
        if read > expected {
            self.download.take((read - expected) as f64, &*self.timer);
        } else {
            self.download.give_back((expected - read) as f64);
        }
        outcome
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.reads.take(1.0, &*self.timer);
        let _inside = self.readers.enter();
        self.inner.metadata(id)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        self.writes.take(1.0, &*self.timer);
        let _inside = self.writers.enter();
        let length: usize = data.iter().map(|part| part.len()).sum();
        self.upload.take(length as f64, &*self.timer);
        self.inner.put(id, data, options)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.writes.take(1.0, &*self.timer);
        let _inside = self.writers.enter();
        self.inner.delete(id)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.lists.take(1.0, &*self.timer);
        self.inner.list(prefix, visit)
    }

    forward!(self => self.inner; extend_retention, capacity, sweep_leftovers, identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use crate::pace::ManualTimer;
    use std::time::Duration;

    fn throttled(limits: Limits) -> (Throttle<MemoryStore>, ManualTimer) {
        let timer = ManualTimer::new();
        let throttle =
            Throttle::with_timer(MemoryStore::new(), &limits, Arc::new(timer.clone())).unwrap();
        (throttle, timer)
    }

    #[test]
    fn uploads_keep_to_their_speed() {
        let (store, timer) =
            throttled(Limits { upload_bytes_per_second: 1000.0, ..Limits::default() });
        // A tenth of the bucket of 60 000 is there at first.
        for _ in 0..16 {
            store.put(&"a".into(), &[&[0; 500], &[0; 500]], &PutOptions::default()).unwrap();
        }
        assert_eq!(timer.elapsed(), Duration::from_secs(10));
    }

    #[test]
    fn downloads_pay_for_what_they_read() {
        let (store, timer) =
            throttled(Limits { download_bytes_per_second: 1000.0, ..Limits::default() });
        store.put(&"a".into(), &[&[0; 1000]], &PutOptions::default()).unwrap();
        for range in [ByteRange::Full, ByteRange::Bounded { offset: 0, length: 1000 }] {
            for _ in 0..8 {
                store.get(&"a".into(), range).unwrap();
                // Bytes that did not come cost nothing.
                store.get(&"missing".into(), range).unwrap_err();
            }
        }
        // 16 000 bytes, of which 6 000 are there at first.
        let waited = timer.elapsed().as_secs();
        assert!((10..=11).contains(&waited), "{waited}");
    }

    #[test]
    fn calls_keep_to_their_rate() {
        let (store, timer) = throttled(Limits {
            reads_per_second: 1.0,
            writes_per_second: 1.0,
            lists_per_second: 1.0,
            ..Limits::default()
        });
        for _ in 0..8 {
            store.metadata(&"a".into()).unwrap_err();
            store.delete(&"a".into()).unwrap();
            store.list("", &mut |_| ControlFlow::Continue(())).unwrap();
        }
        // Six of each are free; while the read waits a second, tokens come for the others.
        assert_eq!(timer.elapsed(), Duration::from_secs(2));
    }

    #[test]
    fn limits_change_at_run_time_or_not_at_all() {
        let (store, timer) = throttled(Limits::default());
        let slow = Limits { writes_per_second: 1.0, ..Limits::default() };
        store.set_limits(&slow).unwrap();
        store.set_limits(&Limits { writes_per_second: -1.0, ..Limits::default() }).unwrap_err();
        assert_eq!(store.limits(), slow);
        for _ in 0..7 {
            store.delete(&"a".into()).unwrap();
        }
        assert_eq!(timer.elapsed(), Duration::from_secs(1));
        store.set_limits(&Limits::default()).unwrap();
        for _ in 0..1000 {
            store.delete(&"a".into()).unwrap();
        }
        assert_eq!(timer.elapsed(), Duration::from_secs(1));
    }
}
