//! What is to be copied.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kopist_blob::{BlobId, BlobMeta, BlobStore, ByteRange, list_all};
use kopist_format::session::SESSION_PREFIX;

use super::{Doing, REFERRING, SyncError, SyncEvent, SyncObserver, SyncOptions, Update, changes};

/// Blobs and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, blob: &BlobMeta) {
        self.blobs += 1;
        self.bytes += blob.length;
    }
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct SyncPlan {
    /// Everything at the source.
    pub source: Amount,
    /// To be copied.
    pub copy: Amount,
    /// There already.
    pub in_sync: Amount,
    /// Not at the source, and to be deleted.
    pub delete: Amount,
    /// Everything at the destination.
    pub destination: Amount,
    /// What refers to nothing, then what refers to it, the oldest first.
    pub(super) packs: Vec<BlobMeta>,
    pub(super) referring: Vec<BlobMeta>,
    pub(super) doomed: Vec<BlobId>,
}

/// Lists both sides and compares them.
pub(super) fn plan(
    source: &dyn BlobStore,
    destination: &dyn BlobStore,
    options: &SyncOptions,
    observer: &dyn SyncObserver,
) -> Result<SyncPlan, SyncError> {
    let mut plan = SyncPlan::default();
    let mut there: HashMap<BlobId, BlobMeta> = list_all(destination, "")
        .doing("error listing BLOBs in destination repository")?
        .into_iter()
        .map(|blob| (blob.id.clone(), blob))
        .collect();
    for blob in there.values() {
        plan.destination.add(blob);
    }
    observer.event(SyncEvent::Destination(plan.destination));

    let listing = "error listing blobs";
    let mut known = HashSet::new();
    for prefix in REFERRING {
        known.extend(list_all(source, prefix).doing(listing)?.into_iter().map(|blob| blob.id));
    }
    let mut suspects = Vec::new();
    let mut visit = |blob: BlobMeta| {
        plan.source.add(&blob);
        let theirs = there.remove(&blob.id);
        let refers = super::refers(&blob.id);
        match theirs {
            Some(theirs) if options.update == Update::IfDifferent && changes(&blob.id) => {
                suspects.push((blob, theirs));
            }
            Some(theirs) if is_in_sync(options.update, &blob, &theirs) => plan.in_sync.add(&blob),
            // Its packs may have come after ours were listed: next time.
            _ if refers && !known.contains(&blob.id) => {}
            _ if !options.markers && blob.id.starts_with(SESSION_PREFIX) => {}
            _ => {
                plan.copy.add(&blob);
                if refers { plan.referring.push(blob) } else { plan.packs.push(blob) }
            }
        }
        observer.event(SyncEvent::Found { source: plan.source, copy: plan.copy });
        if observer.stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    source.list("", &mut visit).doing(listing)?;
    if observer.stop() {
        return Err(SyncError::Stopped);
    }
    for (blob, theirs) in suspects {
        if blob.length == theirs.length && is_equal(source, destination, &blob.id)? {
            plan.in_sync.add(&blob);
        } else {
            plan.copy.add(&blob);
            plan.referring.push(blob);
        }
    }
    plan.referring.sort_by_key(|blob| blob.timestamp);
    if let Some(deletion) = options.delete {
        let gone = there
            .into_values()
            .filter(|blob| deletion.written_before.is_none_or(|moment| blob.timestamp < moment));
        for blob in gone {
            plan.delete.add(&blob);
            plan.doomed.push(blob.id);
        }
    }
    Ok(plan)
}

fn is_in_sync(update: Update, ours: &BlobMeta, theirs: &BlobMeta) -> bool {
    match update {
        Update::Never => true,
        Update::IfOlder => theirs.timestamp >= ours.timestamp,
        Update::IfDifferent => theirs.length == ours.length,
    }
}

/// Whether a small blob is the same on both sides. One that is gone is not.
fn is_equal(
    source: &dyn BlobStore,
    destination: &dyn BlobStore,
    id: &BlobId,
) -> Result<bool, SyncError> {
    let read = |store: &dyn BlobStore| match store.get(id, ByteRange::Full) {
        Err(error) if error.is_not_found() => Ok(None),
        result => result.map(Some).doing("error comparing blobs"),
    };
    Ok(read(source)? == read(destination)?)
}
