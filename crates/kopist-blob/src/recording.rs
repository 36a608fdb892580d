use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::store::forward;
use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Capacity, Leftovers, Operation, PutOptions,
    Retention, Target,
};

/// Remembers every call, so that a test can say which blobs a job may read, write and list.
///
/// Keep one `Arc<Recording<_>>` for the test and hand out clones of it as stores.
#[derive(Debug)]
pub struct Recording<S> {
    inner: S,
    calls: Mutex<Vec<Call>>,
}

/// One call of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// Of which blob, or of blobs with which prefix.
    pub target: Target,
    /// The range of a read.
    pub range: Option<ByteRange>,
    /// Bytes read or written; for a listing, the number of blobs reported.
    pub amount: u64,
    /// Whether it succeeded.
    pub ok: bool,
}

impl<S: BlobStore> Recording<S> {
    /// Starts with an empty record.
    pub fn new(inner: S) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The recorded store.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// All calls in the order of their end.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// All calls so far, which are then forgotten.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock())
    }

    /// Forgets all calls.
    pub fn clear(&self) {
        self.calls.lock().clear();
    }

    /// How many calls of this kind were made.
    pub fn count(&self, operation: Operation) -> usize {
        self.calls.lock().iter().filter(|call| call.operation == operation).count()
    }

    /// Sum of [`Call::amount`] over the calls of this kind.
    pub fn amount(&self, operation: Operation) -> u64 {
        let calls = self.calls.lock();
        calls.iter().filter(|call| call.operation == operation).map(|call| call.amount).sum()
    }

    /// The blobs, or the prefixes, that calls of this kind were about, in order.
    pub fn targets(&self, operation: Operation) -> Vec<String> {
        let calls = self.calls.lock();
        calls
            .iter()
            .filter(|call| call.operation == operation)
            .map(|call| match &call.target {
                Target::Blob(id) => id.to_string(),
                Target::Prefix(prefix) => prefix.clone(),
                other => other.to_string(),
            })
            .collect()
    }

    fn record<T>(
        &self,
        operation: Operation,
        target: Target,
        range: Option<ByteRange>,
        outcome: Result<T, BlobError>,
        amount: impl FnOnce(&T) -> u64,
    ) -> Result<T, BlobError> {
        let amount = outcome.as_ref().map(amount).unwrap_or_default();
        let ok = outcome.is_ok();
        self.calls.lock().push(Call { operation, target, range, amount, ok });
        outcome
    }
}

impl<S: BlobStore> BlobStore for Recording<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let outcome = self.inner.get(id, range);
        self.record(Operation::Get, id.into(), Some(range), outcome, |data| data.len() as u64)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        let outcome = self.inner.metadata(id);
        self.record(Operation::Metadata, id.into(), None, outcome, |_| 0)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let outcome = self.inner.put(id, data, options);
        self.record(Operation::Put, id.into(), None, outcome, |meta| meta.length)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let outcome = self.inner.delete(id);
        self.record(Operation::Delete, id.into(), None, outcome, |()| 0)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let mut reported = 0;
        let outcome = self.inner.list(prefix, &mut |meta| {
            reported += 1;
            visit(meta)
        });
        let target = Target::Prefix(prefix.to_owned());
        self.record(Operation::List, target, None, outcome, |()| reported)
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        let outcome = self.inner.extend_retention(id, retention);
        self.record(Operation::ExtendRetention, id.into(), None, outcome, |()| 0)
    }

    fn capacity(&self) -> Result<Capacity, BlobError> {
        let outcome = self.inner.capacity();
        let target = Target::Store(self.inner.display_name());
        self.record(Operation::Capacity, target, None, outcome, |_| 0)
    }

    fn sweep_leftovers(&self, now: Timestamp) -> Result<Leftovers, BlobError> {
        let outcome = self.inner.sweep_leftovers(now);
        let target = Target::Store(self.inner.display_name());
        self.record(Operation::Sweep, target, None, outcome, |swept| swept.bytes)
    }

    forward!(self => self.inner; identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, list_all};

    #[test]
    fn every_call_is_on_record() {
        let store = Recording::new(MemoryStore::new());
        store.put(&"a".into(), &[b"12", b"3"], &PutOptions::default()).unwrap();
        store.get(&"a".into(), ByteRange::Bounded { offset: 1, length: 2 }).unwrap();
        store.get(&"b".into(), ByteRange::Full).unwrap_err();
        list_all(&store, "x").unwrap();
        store.delete(&"a".into()).unwrap();
        assert_eq!(store.targets(Operation::Get), ["a", "b"]);
        assert_eq!((store.count(Operation::Get), store.amount(Operation::Get)), (2, 2));
        assert_eq!(store.amount(Operation::Put), 3);
        assert_eq!(store.targets(Operation::List), ["x"]);
        let failed: Vec<_> = store.take().into_iter().filter(|call| !call.ok).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].target, Target::Blob("b".into()));
        assert!(store.calls().is_empty());
    }
}
