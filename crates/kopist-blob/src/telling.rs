//! Telling of changes.

use std::fmt::{self, Debug};

use crate::store::forward;
use crate::{BlobError, BlobId, BlobMeta, BlobStore, PutOptions};

/// Tells a listener of every blob that was written or deleted through this wrapper. After an
/// error nobody knows what the store did, so that failed calls are told too.
pub struct Telling<S, F> {
    inner: S,
    changed: F,
}

impl<S: BlobStore, F: Fn(&BlobId) + Send + Sync> Telling<S, F> {
    /// Calls `changed` after every put and delete of `inner`.
    pub fn new(inner: S, changed: F) -> Self {
        Self { inner, changed }
    }
}

impl<S: Debug, F> Debug for Telling<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telling").field(&self.inner).finish()
    }
}

impl<S: BlobStore, F: Fn(&BlobId) + Send + Sync> BlobStore for Telling<S, F> {
    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        let outcome = self.inner.put(id, data, options);
        (self.changed)(id);
        outcome
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let outcome = self.inner.delete(id);
        (self.changed)(id);
        outcome
    }

    forward!(self => self.inner; get, metadata, list, extend_retention, capacity,
        sweep_leftovers, identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{MemoryStore, ReadOnly, list_all};

    #[test]
    fn changes_are_told_once_they_are_there_and_failures_too() {
        let inner = MemoryStore::new();
        let told = Mutex::new(Vec::new());
        let tell = |id: &BlobId| {
            told.lock().push((id.to_string(), list_all(&inner, "").unwrap().len()));
        };
        let store = Telling::new(inner.clone(), tell);
        store.put(&"a".into(), &[b"1"], &PutOptions::default()).unwrap();
        store.delete(&"a".into()).unwrap();
        assert_eq!(*told.lock(), [("a".to_owned(), 1), ("a".to_owned(), 0)]);
        told.lock().clear();
        let store = Telling::new(ReadOnly::new(inner.clone()), tell);
        store.put(&"b".into(), &[b"1"], &PutOptions::default()).unwrap_err();
        assert_eq!(*told.lock(), [("b".to_owned(), 0)]);
    }
}
