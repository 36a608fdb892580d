//! The way of a full pack to the storage.

use std::{collections::HashMap, sync::Arc, thread::JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use kopist_blob::BlobId;
use kopist_format::index::PackName;
use parking_lot::{Condvar, Mutex};

use super::{Shared, count, pending::Pack};
use crate::{
    error::{RepoError, Result},
    pack::PackTail,
};

/// The packs between "full" and "stored", and the threads that take them there.
///
/// Threads start with the first pack, so that a writer that stores nothing costs nothing.
pub(super) struct Uploads {
    shared: Arc<Shared>,
    state: Arc<(Mutex<State>, Condvar)>,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct State {
    /// Packs that are queued, on their way, or failed; the latter wait to be tried again.
    packs: HashMap<PackName, Arc<Pack>>,
    failed: Vec<Arc<Pack>>,
    /// Packs queued or on their way, and their bytes.
    active: usize,
    bytes: usize,
}

impl State {
    fn begins(&mut self, pack: &Pack) {
        self.active += 1;
        self.bytes += pack.data.len();
    }

    fn ends(&mut self, pack: &Pack) {
        self.active -= 1;
        self.bytes -= pack.data.len();
    }
}

#[derive(Default)]
struct Threads {
    queue: Option<Sender<Arc<Pack>>>,
    handles: Vec<JoinHandle<()>>,
}

impl Uploads {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), state: Arc::default(), threads: Mutex::default() }
    }

    /// Hands a full pack over; waits while too many are on their way.
    pub(super) fn submit(&self, pack: Pack) {
        let limit = self.shared.options.packs_in_flight.max(1);
        // Room for the next pack, which grows while this one is on its way.
        let next = self.shared.repo.parameters().max_pack_size;
        let room = self.shared.pack_memory.saturating_sub(pack.data.len().saturating_add(next));
        let pack = Arc::new(pack);
        {
            let (state, changed) = &*self.state;
            let mut state = state.lock();
            while state.active > 0 && (state.active >= limit || state.bytes > room) {
                changed.wait(&mut state);
            }
            state.begins(&pack);
            state.packs.insert(pack.name.clone(), Arc::clone(&pack));
        }
        let queued = self.queue().and_then(|queue| queue.send(Arc::clone(&pack)).ok());
        if queued.is_none() {
            // No thread could be started: the caller's does the work.
            upload(&self.shared, &self.state, pack);
        }
    }

    fn queue(&self) -> Option<Sender<Arc<Pack>>> {
        let mut threads = self.threads.lock();
        if let Some(queue) = &threads.queue {
            return Some(queue.clone());
        }
        // The length of the queue is bounded by `active`, above.
        let (sender, receiver): (_, Receiver<Arc<Pack>>) = unbounded();
        let wanted = self.shared.options.upload_threads.max(1);
        for number in 0..wanted.min(self.shared.options.packs_in_flight.max(1)) {
            let (receiver, shared) = (receiver.clone(), Arc::clone(&self.shared));
            let state = Arc::clone(&self.state);
            let run = move || {
                for pack in receiver {
                    upload(&shared, &state, pack);
                }
            };
            match std::thread::Builder::new().name(format!("upload-{number}")).spawn(run) {
                Ok(handle) => threads.handles.push(handle),
                Err(e) if threads.handles.is_empty() => {
                    tracing::warn!(error = %e, "cannot start an upload thread");
                    return None;
                }
                Err(_) => break,
            }
        }
        threads.queue = Some(sender.clone());
        Some(sender)
    }

    /// A pack that is not stored yet.
    pub(super) fn get(&self, name: &PackName) -> Option<Arc<Pack>> {
        self.state.0.lock().packs.get(name).cloned()
    }

    /// Tries failed packs again, in the caller's thread. The first failure is the result; that
    /// pack and those after it stay.
    pub(super) fn retry_failed(&self) -> Result<()> {
        let (state, changed) = &*self.state;
        loop {
            let pack = {
                let mut state = state.lock();
                let Some(failed) = state.failed.pop() else { return Ok(()) };
                state.begins(&failed);
                failed
            };
            let result = store(&self.shared, &pack);
            let mut state = state.lock();
            state.ends(&pack);
            changed.notify_all();
            match result {
                Ok(()) => {
                    state.packs.remove(&pack.name);
                }
                Err(error) => {
                    state.failed.push(pack);
                    return Err(error);
                }
            }
        }
    }

    /// Returns when every pack that was submitted is stored; failed ones are tried once more.
    pub(super) fn finish(&self) -> Result<()> {
        let (state, changed) = &*self.state;
        loop {
            {
                let mut state = state.lock();
                // Packs that another thread tries again count, too.
                while state.active > 0 {
                    changed.wait(&mut state);
                }
                if state.failed.is_empty() {
                    return Ok(());
                }
            }
            self.retry_failed()?;
        }
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        let mut threads = self.threads.lock();
        threads.queue = None;
        for handle in threads.handles.drain(..) {
            // A panic of the thread has been reported by the panic hook.
            let _ = handle.join();
        }
    }
}

/// Stores one pack and notes the result.
fn upload(shared: &Shared, state: &(Mutex<State>, Condvar), pack: Arc<Pack>) {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store(shared, &pack)))
        .unwrap_or_else(|_| {
            Err(RepoError::format(format!("pack {}", pack.name), "the upload panicked"))
        });
    let (state, changed) = state;
    let mut state = state.lock();
    state.ends(&pack);
    match result {
        Ok(()) => {
            state.packs.remove(&pack.name);
            drop(state);
            // Before anybody takes its place.
            drop(pack);
        }
        Err(error) => {
            tracing::warn!(pack = %pack.name, %error, "pack not stored, it will be tried again");
            state.failed.push(pack);
        }
    }
    changed.notify_all();
}

/// Puts the pack; once the storage has acknowledged it, its entries count as stored.
fn store(shared: &Shared, pack: &Pack) -> Result<()> {
    let repo = &shared.repo;
    repo.check_usable()?;
    let local = pack.entries.iter().chain(&pack.tombstones);
    let version = repo.parameters().index_version;
    let tail = PackTail::build(repo.crypto(), version, pack.data.len(), local)?;
    let pieces: Vec<&[u8]> = pack.data.pieces().chain([tail.as_bytes()]).collect();
    let id = BlobId::from(pack.name.as_str());
    let stored = repo
        .put_blob(&id, &pieces)
        .map_err(|source| RepoError::PackNotStored { pack: id, source })?;
    shared.index.lock().pack_stored(pack);
    count(&shared.counters.packs, 1);
    count(&shared.counters.pack_bytes, stored.length);
    Ok(())
}
