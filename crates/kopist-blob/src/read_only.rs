use bytes::Bytes;
use jiff::Timestamp;

use crate::store::forward;
use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Leftovers, Operation, PutOptions, Retention,
};

/// Refuses every change, for connections that must not write.
#[derive(Debug)]
pub struct ReadOnly<S>(S);

impl<S: BlobStore> ReadOnly<S> {
    /// Guards `inner`.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

fn refused(operation: Operation, id: &BlobId) -> BlobError {
    BlobError::ReadOnly { operation, target: id.into() }
}

impl<S: BlobStore> BlobStore for ReadOnly<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.0.get(id, range)
    }

    fn put(&self, id: &BlobId, _: &[&[u8]], _: &PutOptions) -> Result<BlobMeta, BlobError> {
        Err(refused(Operation::Put, id))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        Err(refused(Operation::Delete, id))
    }

    fn extend_retention(&self, id: &BlobId, _: &Retention) -> Result<(), BlobError> {
        Err(refused(Operation::ExtendRetention, id))
    }

    /// Leaves everything as it is.
    fn sweep_leftovers(&self, _: Timestamp) -> Result<Leftovers, BlobError> {
        Ok(Leftovers::default())
    }

    fn is_read_only(&self) -> bool {
        true
    }

    forward!(self => self.0; metadata, list, capacity, identity);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, list_all};

    #[test]
    fn reads_pass_and_changes_do_not() {
        let inner = MemoryStore::new();
        let id = BlobId::from("a");
        inner.put(&id, &[b"x"], &PutOptions::default()).unwrap();
        let store = ReadOnly::new(inner.clone());
        assert!(store.is_read_only());
        assert_eq!(&store.get(&id, ByteRange::Full).unwrap()[..], b"x");
        assert_eq!(list_all(&store, "").unwrap().len(), 1);
        let retention =
            Retention { mode: "COMPLIANCE".to_owned(), period: std::time::Duration::from_hours(1) };
        for error in [
            store.put(&id, &[], &PutOptions::default()).unwrap_err(),
            store.delete(&id).unwrap_err(),
            store.extend_retention(&id, &retention).unwrap_err(),
        ] {
            assert!(matches!(error, BlobError::ReadOnly { .. }) && !error.is_retriable());
        }
        assert_eq!(inner.total_bytes(), 1);
    }
}
