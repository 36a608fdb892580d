//! Index blobs of repositories with epochs.
//!
//! Time is cut into *epochs*, numbered by `xe` markers. A session's index goes into the current
//! one (`xn<E>_…`); maintenance compacts epochs that nobody can write to any more (`xs`, `xr`).
//! The rule that makes this safe without locks: an index of epoch E may appear only while the
//! current epoch is E or E+1. Hence epochs up to *current − 2* are settled.
//!
//! What names mean and which of them count are pure functions (`kopist_format::epoch`); this is
//! the part with a clock and a storage.
//!
//! Source: `kopia:internal/epoch/epoch_manager.go`.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobId, BlobStore};
use kopist_format::{
    blob_crypto::seal_blob,
    epoch::{BlobInfo, EPOCH_PREFIX, EpochState, session_suffix, uncompacted_prefix},
    format_blob::EpochParameters,
    session::SessionId,
};
use parking_lot::Mutex;

use super::ActiveSet;
use crate::{
    clock::{Clock, later},
    error::{RepoError, Result},
    repository::Repository,
};

/// A refresh that took longer than its result is valid is tried again, first after this time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What the listing said, and until when that may be relied on.
#[derive(Debug)]
pub(crate) struct ListedEpochs {
    pub(crate) state: EpochState,
    pub(crate) valid_until: Timestamp,
}

/// Remembers the state of epochs for as long as it is valid.
#[derive(Debug, Default)]
pub(crate) struct EpochManager {
    state: Mutex<Option<Arc<ListedEpochs>>>,
}

impl EpochManager {
    /// The next use lists again.
    pub(crate) fn invalidate(&self) {
        *self.state.lock() = None;
    }

    /// A state that is valid for at least `margin` more.
    pub(crate) fn state(
        &self,
        store: &dyn BlobStore,
        clock: &dyn Clock,
        parameters: &EpochParameters,
        margin: SignedDuration,
    ) -> Result<Arc<ListedEpochs>> {
        let mut known = self.state.lock();
        if let Some(known) = &*known
            && later(clock.now(), margin) < known.valid_until
        {
            return Ok(Arc::clone(known));
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let valid_until = later(clock.now(), parameters.epoch_refresh_frequency);
            // One listing shows everything: names sort so that markers (`xe`) come first, and an
            // epoch cannot advance twice while it runs.
            let state = EpochState::from_blobs(list(store)?);
            if clock.now() < valid_until {
                let fresh = Arc::new(ListedEpochs { state, valid_until });
                *known = Some(Arc::clone(&fresh));
                return Ok(fresh);
            }
            tracing::warn!("listing the index took longer than its result is valid, trying again");
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// The index blobs that count.
    pub(crate) fn active(
        &self,
        store: &dyn BlobStore,
        clock: &dyn Clock,
        parameters: &EpochParameters,
    ) -> Result<ActiveSet> {
        let listed = self.state(store, clock, parameters, SignedDuration::ZERO)?;
        Ok(ActiveSet::new(listed.state.active_set(), listed.state.watermark()))
    }

    /// Stores the shards of a session's index in the current epoch; returns their names in order.
    pub(crate) fn write(
        &self,
        repo: &Repository,
        session: &SessionId,
        shards: &[Vec<u8>],
    ) -> Result<Vec<BlobId>> {
        let parameters = &repo.parameters().epoch;
        let (store, clock) = (repo.store().as_ref(), repo.clock().as_ref());
        let crypto = repo.crypto();
        let suffix = session_suffix(session, shards.len());
        let sealed = shards
            .iter()
            .map(|shard| seal_blob(&crypto.hasher, &crypto.cipher, shard, "", &suffix))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| RepoError::format("index of the session", e))?;

        // At least three quarters of the validity must be left to write in.
        let margin = parameters.epoch_refresh_frequency * 3 / 4;
        let mut epoch = None;
        let mut written: Vec<BlobId> = Vec::new();
        'attempt: loop {
            let listed = self.state(store, clock, parameters, margin)?;
            let current = listed.state.write_epoch();
            if epoch != Some(current) {
                // Written into an epoch that is over by now: begin anew in the current one.
                remove(store, &mut written)?;
                epoch = Some(current);
            }
            for (name, body) in sealed.iter().skip(written.len()) {
                if clock.now() >= listed.valid_until {
                    continue 'attempt;
                }
                let id = BlobId::from(format!("{}{name}", uncompacted_prefix(current)));
                repo.put_blob(&id, &[body])?;
                written.push(id);
            }
            self.invalidate();
            let after = self.state(store, clock, parameters, SignedDuration::ZERO)?;
            if after.state.write_epoch() >= current + 2 {
                // The epoch may have been compacted without these.
                remove(store, &mut written)?;
                return Err(RepoError::SlowIndexWrite);
            }
            return Ok(written);
        }
    }
}

/// All blobs of the epoch index.
fn list(store: &dyn BlobStore) -> Result<Vec<BlobInfo>> {
    let mut blobs = Vec::new();
    store.list(EPOCH_PREFIX, &mut |meta| {
        blobs.push(BlobInfo::new(meta.id.as_str(), meta.length, meta.timestamp));
        ControlFlow::Continue(())
    })?;
    blobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(blobs)
}

fn remove(store: &dyn BlobStore, blobs: &mut Vec<BlobId>) -> Result<()> {
    for blob in blobs.drain(..) {
        store.delete(&blob)?;
    }
    Ok(())
}
