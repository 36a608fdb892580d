use std::ops::ControlFlow;
use std::time::Instant;

use bytes::Bytes;

use crate::store::forward;
use crate::{BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Operation, PutOptions};

/// Tells every call, its size and its duration to `tracing`, at level `DEBUG` and under the
/// target `kopist_blob::traced`. Costs nothing worth measuring while nobody listens.
#[derive(Debug)]
pub struct Traced<S>(S);

impl<S: BlobStore> Traced<S> {
    /// Observes `inner`.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

fn tell<T>(
    operation: Operation,
    name: &str,
    call: impl FnOnce() -> Result<T, BlobError>,
    amount: impl FnOnce(&T) -> u64,
) -> Result<T, BlobError> {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return call();
    }
    let start = Instant::now();
    let outcome = call();
    let took = start.elapsed();
    match &outcome {
        Ok(value) => tracing::debug!(%operation, name, amount = amount(value), ?took),
        Err(error) => tracing::debug!(%operation, name, %error, ?took),
    }
    outcome
}

impl<S: BlobStore> BlobStore for Traced<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        tell(Operation::Get, id.as_str(), || self.0.get(id, range), |data| data.len() as u64)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        tell(Operation::Metadata, id.as_str(), || self.0.metadata(id), |meta| meta.length)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        tell(Operation::Put, id.as_str(), || self.0.put(id, data, options), |meta| meta.length)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        tell(Operation::Delete, id.as_str(), || self.0.delete(id), |()| 0)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let reported = std::cell::Cell::new(0);
        let call = || {
            self.0.list(prefix, &mut |meta| {
                reported.set(reported.get() + 1);
                visit(meta)
            })
        };
        tell(Operation::List, prefix, call, |()| reported.get())
    }

    forward!(self => self.0; extend_retention, capacity, sweep_leftovers, identity, is_read_only);
}
