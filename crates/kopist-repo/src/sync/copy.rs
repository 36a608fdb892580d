//! Doing what was planned.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Feature, PutOptions, delete_all, in_parallel,
};
use parking_lot::Mutex;

use super::{Amount, Doing, SyncError, SyncEvent, SyncObserver, SyncOptions, SyncPlan, refers};

/// Copies are read back in pieces of this size, so that comparing takes little memory.
const PIECE: usize = 8 << 20;

/// Copies blobs, over all rounds.
pub(super) struct Copying<'a> {
    source: &'a dyn BlobStore,
    destination: &'a dyn BlobStore,
    options: &'a SyncOptions,
    observer: &'a dyn SyncObserver,
    /// Whether the destination takes times; known after the first put.
    keep_times: AtomicBool,
    copied: Counter,
    verified: Counter,
    /// What was gone in this round.
    gone: AtomicU64,
    /// Why the work was ended.
    end: Mutex<Option<SyncError>>,
}

#[derive(Default)]
struct Counter {
    blobs: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    fn add(&self, bytes: u64) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> Amount {
        Amount {
            blobs: self.blobs.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl<'a> Copying<'a> {
    pub(super) fn new(
        source: &'a dyn BlobStore,
        destination: &'a dyn BlobStore,
        options: &'a SyncOptions,
        observer: &'a dyn SyncObserver,
    ) -> Self {
        Self {
            source,
            destination,
            options,
            observer,
            keep_times: AtomicBool::new(options.keep_times),
            copied: Counter::default(),
            verified: Counter::default(),
            gone: AtomicU64::new(0),
            end: Mutex::new(None),
        }
    }

    /// What was copied in all rounds.
    pub(super) fn copied(&self) -> Amount {
        self.copied.get()
    }

    /// What was read back and found equal.
    pub(super) fn verified(&self) -> Amount {
        self.verified.get()
    }

    /// Copies everything; `false` if something was gone, so that another round is needed.
    pub(super) fn round(&mut self, plan: &SyncPlan) -> Result<bool, SyncError> {
        self.gone.store(0, Ordering::Relaxed);
        self.copy(&plan.packs)?;
        // An index that names a pack that was gone would be wrong without the one after it.
        if self.options.lenient || self.gone.load(Ordering::Relaxed) == 0 {
            self.copy(&plan.referring)?;
        }
        Ok(self.gone.load(Ordering::Relaxed) == 0)
    }

    fn copy(&self, blobs: &[BlobMeta]) -> Result<(), SyncError> {
        let result = in_parallel(blobs, self.options.parallel.max(1), |blob| {
            if self.observer.stop() {
                self.end.lock().get_or_insert(SyncError::Stopped);
            }
            if self.end.lock().is_some() {
                return Ok(()); // the rest is passed over
            }
            self.blob(blob)
        });
        if let Some(end) = self.end.lock().take() {
            return Err(end);
        }
        result.doing("error copying blobs")
    }

    fn blob(&self, blob: &BlobMeta) -> Result<(), BlobError> {
        let body = match self.source.get(&blob.id, ByteRange::Full) {
            Err(error) if error.is_not_found() => {
                self.gone.fetch_add(1, Ordering::Relaxed);
                self.observer.event(SyncEvent::Gone(&blob.id));
                return Ok(());
            }
            result => result?,
        };
        self.put(blob, &body)?;
        if is_chosen(&blob.id, self.options.verify_percent) {
            // Once more, in case that somebody else wrote it at the same time.
            let equal = self.is_kept(&blob.id, &body)? || {
                self.put(blob, &body)?;
                self.is_kept(&blob.id, &body)?
            };
            if !equal {
                self.end.lock().get_or_insert(SyncError::Differs(blob.id.clone()));
                return Ok(());
            }
            self.verified.add(body.len() as u64);
        }
        self.copied.add(body.len() as u64);
        self.observer.event(SyncEvent::Copied(self.copied.get()));
        Ok(())
    }

    fn put(&self, blob: &BlobMeta, body: &[u8]) -> Result<(), BlobError> {
        if self.keep_times.load(Ordering::Relaxed) {
            let options = PutOptions::with_mod_time(blob.timestamp);
            match self.destination.put(&blob.id, &[body], &options) {
                Err(BlobError::Unsupported { feature: Feature::SetModTime, .. }) => {
                    if self.keep_times.swap(false, Ordering::Relaxed) {
                        self.observer.event(SyncEvent::TimesNotKept);
                    }
                }
                result => return result.map(drop),
            }
        }
        self.destination.put(&blob.id, &[body], &PutOptions::default()).map(drop)
    }

    /// Whether the destination gives back what it was given.
    fn is_kept(&self, id: &BlobId, body: &[u8]) -> Result<bool, BlobError> {
        if self.destination.metadata(id)?.length != body.len() as u64 {
            return Ok(false);
        }
        let mut offset = 0;
        for piece in body.chunks(PIECE) {
            let length = piece.len() as u64;
            let range = ByteRange::Bounded { offset, length };
            if self.destination.get(id, range)?[..] != *piece {
                return Ok(false);
            }
            offset += length;
        }
        Ok(true)
    }
}

/// Whether a blob is among those that are read back. Names are random enough, and the answer is
/// the same in every run.
fn is_chosen(id: &BlobId, percent: f64) -> bool {
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    percent >= 100.0 || ((hash >> 11) as f64 / (1_u64 << 53) as f64) * 100.0 < percent
}

/// Deletes what is not at the source: first what refers to others.
pub(super) fn delete(
    destination: &dyn BlobStore,
    plan: &SyncPlan,
    options: &SyncOptions,
    observer: &dyn SyncObserver,
) -> Result<Amount, SyncError> {
    let Some(deletion) = options.delete else { return Ok(Amount::default()) };
    let part = u128::from(plan.delete.bytes) * 100 / u128::from(plan.destination.bytes.max(1));
    if deletion.at_most_percent.is_some_and(|most| part > u128::from(most)) {
        let percent = u64::try_from(part).unwrap_or(100);
        return Err(SyncError::TooMuchToDelete { percent });
    }
    let (referring, others): (Vec<BlobId>, Vec<BlobId>) =
        plan.doomed.iter().cloned().partition(refers);
    for ids in [referring, others] {
        if observer.stop() {
            return Err(SyncError::Stopped);
        }
        delete_all(destination, &ids, options.parallel.max(1))
            .doing("error copying blobs: error deleting blob")?;
    }
    Ok(plan.delete)
}
