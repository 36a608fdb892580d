//! Everyday work on whole sets of blobs.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::{BlobError, BlobId, BlobMeta, BlobStore};

/// Every blob whose id starts with `prefix`, in the order of ids.
pub fn list_all(store: &dyn BlobStore, prefix: &str) -> Result<Vec<BlobMeta>, BlobError> {
    let mut found = Vec::new();
    store.list(prefix, &mut |meta| {
        found.push(meta);
        ControlFlow::Continue(())
    })?;
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Every blob of several prefixes, listed by up to `parallelism` threads, in the order of ids.
/// Prefixes that overlap yield each blob once.
pub fn list_prefixes(
    store: &dyn BlobStore,
    prefixes: &[&str],
    parallelism: usize,
) -> Result<Vec<BlobMeta>, BlobError> {
    let found = Mutex::new(Vec::new());
    in_parallel(prefixes, parallelism, |prefix| {
        let part = list_all(store, prefix)?;
        found.lock().extend(part);
        Ok(())
    })?;
    let mut found = found.into_inner();
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// Deletes blobs with up to `parallelism` threads. The first error ends the work and is
/// returned; blobs not yet reached stay.
pub fn delete_all(
    store: &dyn BlobStore,
    ids: &[BlobId],
    parallelism: usize,
) -> Result<(), BlobError> {
    in_parallel(ids, parallelism, |id| store.delete(id))
}

/// Whether the store holds a blob.
pub fn exists(store: &dyn BlobStore, id: &BlobId) -> Result<bool, BlobError> {
    match store.metadata(id) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the store holds a blob of this prefix. Stops at the first one.
pub fn any_with_prefix(store: &dyn BlobStore, prefix: &str) -> Result<bool, BlobError> {
    let mut any = false;
    store.list(prefix, &mut |_| {
        any = true;
        ControlFlow::Break(())
    })?;
    Ok(any)
}

/// Runs `work` on every item with up to `parallelism` threads (at least one, the caller's).
/// The first error stops the hand-out of further items and is returned.
pub fn in_parallel<T: Sync>(
    items: &[T],
    parallelism: usize,
    work: impl Fn(&T) -> Result<(), BlobError> + Sync,
) -> Result<(), BlobError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            if let Err(error) = work(item) {
                failed.store(true, Ordering::Relaxed);
                first_error.lock().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..parallelism.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    first_error.into_inner().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Faulty, MemoryStore, Operation, PutOptions, When};

    #[test]
    fn the_first_error_ends_parallel_work() {
        let inner = MemoryStore::new();
        let ids: Vec<BlobId> = (0..100).map(|n| format!("p{n:02}").into()).collect();
        for id in &ids {
            inner.put(id, &[b"x"], &PutOptions::default()).unwrap();
        }
        let store = Faulty::new(inner, 1).with_prefix(
            Operation::Delete,
            "p10",
            When::Always,
            Fault::Permanent,
        );
        let error = delete_all(&store, &ids, 4).unwrap_err();
        assert!(error.to_string().contains("p10"), "{error}");
        // Each of the four threads may have had one more in hand.
        assert!(store.inner().metadata(&ids[10]).is_ok() && !store.inner().is_empty());
        delete_all(&store, &[], 4).unwrap();
    }
}
