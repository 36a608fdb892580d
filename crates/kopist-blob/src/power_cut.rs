use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use jiff::Timestamp;

use crate::store::forward;
use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Leftovers, Operation, PutOptions, Retention,
    Target,
};

/// What becomes of the change during which the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastChange {
    /// It never reached the store.
    Lost,
    /// It is in the store, but nobody was told.
    Applied,
}

/// Ends the life of a process between two changes of a store.
///
/// The first `changes` changes (puts, deletions, prolonged locks) succeed; the next one and all
/// after it fail for good, and except perhaps for [that next one](LastChange) leave nothing
/// behind. Reading goes on, as it does not matter any more. Afterwards look at what is in the
/// store below: that is what the next process finds.
///
/// ```
/// use kopist_blob::{BlobStore, LastChange, MemoryStore, PowerCut, PutOptions};
///
/// let job = |store: &dyn BlobStore| -> Result<(), kopist_blob::BlobError> {
///     store.put(&"data".into(), &[b"1"], &PutOptions::default())?;
///     store.put(&"index".into(), &[b"2"], &PutOptions::default())?;
///     Ok(())
/// };
/// // Kill the job at every point and look at the remains.
/// for changes in 0.. {
///     let disk = MemoryStore::new();
///     let store = PowerCut::after(disk.clone(), changes, LastChange::Lost);
///     let outcome = job(&store);
///     let has = |id: &str| disk.metadata(&id.into()).is_ok();
///     assert!(has("data") || !has("index"), "an index without its data");
///     if outcome.is_ok() {
///         break;
///     }
/// }
/// ```
#[derive(Debug)]
pub struct PowerCut<S> {
    inner: S,
    allowed: u64,
    last: LastChange,
    made: AtomicU64,
}

impl<S: BlobStore> PowerCut<S> {
    /// The power goes after this many changes.
    pub fn after(inner: S, changes: u64, last: LastChange) -> Self {
        Self { inner, allowed: changes, last, made: AtomicU64::new(0) }
    }

    /// The power never goes; for counting the changes of a job.
    pub fn never(inner: S) -> Self {
        Self::after(inner, u64::MAX, LastChange::Lost)
    }

    /// How many changes were asked for, refused ones included.
    pub fn changes(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// Whether the power is gone.
    pub fn is_cut(&self) -> bool {
        self.changes() > self.allowed
    }

    /// What the next process finds.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn change<T>(
        &self,
        operation: Operation,
        target: impl Into<Target>,
        change: impl FnOnce() -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        if number < self.allowed {
            return change();
        }
        if number == self.allowed && self.last == LastChange::Applied {
            change()?;
        }
        Err(BlobError::Injected { operation, target: target.into(), retriable: false })
    }
}

impl<S: BlobStore> BlobStore for PowerCut<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.inner.get(id, range)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        self.change(Operation::Put, id, || self.inner.put(id, data, options))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.change(Operation::Delete, id, || self.inner.delete(id))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.inner.list(prefix, visit)
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        self.change(Operation::ExtendRetention, id, || self.inner.extend_retention(id, retention))
    }

    /// Sweeping removes no blob, so it does not count as a change.
    fn sweep_leftovers(&self, now: Timestamp) -> Result<Leftovers, BlobError> {
        if self.is_cut() { Ok(Leftovers::default()) } else { self.inner.sweep_leftovers(now) }
    }

    forward!(self => self.inner; metadata, capacity, identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    fn put(store: &dyn BlobStore, id: &str) -> bool {
        store.put(&id.into(), &[b"x"], &PutOptions::default()).is_ok()
    }

    #[test]
    fn nothing_changes_after_the_cut() {
        for (last, left) in [(LastChange::Lost, 2), (LastChange::Applied, 3)] {
            let store = PowerCut::after(MemoryStore::new(), 2, last);
            let outcomes: Vec<bool> =
                ["a", "b", "c", "d"].iter().map(|id| put(&store, id)).collect();
            assert_eq!(outcomes, [true, true, false, false]);
            assert!(store.is_cut() && store.delete(&"a".into()).is_err());
            assert_eq!(store.inner().len(), left);
            assert!(store.get(&"a".into(), ByteRange::Full).is_ok());
        }
    }

    #[test]
    fn the_cut_is_final_for_every_thread() {
        let store = PowerCut::after(MemoryStore::new(), 10, LastChange::Lost);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    (0..10).filter(|n| put(store, &format!("{thread}-{n}"))).count()
                });
            }
        });
        assert_eq!((store.inner().len(), store.changes()), (10, 40));
    }
}
