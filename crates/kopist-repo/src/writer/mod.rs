//! Writing: a session whose results become visible at [`flush`](RepositoryWriter::flush).
//!
//! ```text
//! caller's threads                     upload threads
//!   hash → known? ─ yes → done
//!     no → compress → encrypt → append to the pending pack of its kind (p or q)
//!                                  full → queue → local index → put → entries are stored
//! flush: pending packs → wait for all packs → one index blob → delete the session's marker
//! ```
//!
//! * One [`RepositoryWriter`] is shared by reference between all threads of a run. Hashing,
//!   compression and encryption run outside of every lock; only the copy into the pack buffer is
//!   under the lock of its kind of pack.
//! * Memory is bounded by [`WriterOptions::pack_memory`]; a large content goes into its pack in
//!   the memory that it was read into. When the storage is slower than the writers, they wait.
//! * The order *session marker → packs → index → marker away* is the durability promise: an
//!   index never names a pack that was not acknowledged, so a crash at any point leaves a
//!   repository that verifies, at worst with packs that nothing refers to.
//! * A pack that cannot be stored is kept. Every later write or flush tries it again before it
//!   does anything else and reports the failure, so nothing is ever silently dropped.
//!
//! Sources: `kopia:repo/content/content_manager.go`, `content_manager_lock_free.go`,
//! `sessions.go`.

mod ahead;
mod block;
mod buffers;
mod contents;
mod flush;
mod manifests;
mod pending;
mod session;
mod uploads;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::{error::Result, repository::Repository};
pub(crate) use ahead::{Promise, Stream};
pub(crate) use block::{Gathering, Plain};

use ahead::Ahead;
use buffers::Buffers;
use pending::{PackSlot, PendingIndex};
use session::Session;
use uploads::Uploads;

/// An index is written at least this often, so that a killed run loses little.
const INDEX_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// Memory that is kept between the steps of single contents.
const SPARE_SCRATCH: usize = 16 << 20;
/// Memory for packs where a pack is stored about as fast as the next one is made.
const PACK_MEMORY_NEAR: usize = 48 << 20;
/// Memory for packs where several on their way at once make up for the distance.
const PACK_MEMORY_FAR: usize = 112 << 20;

/// How a writer works.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// What the session is for, for logs.
    pub purpose: String,
    /// Full packs that may wait for the storage or be on their way (at least 1). Each takes up to
    /// the repository's maximal pack size and one content.
    pub packs_in_flight: usize,
    /// Bytes of full packs that wait or are on their way, and of the one that is being filled.
    /// However small, one pack may be on its way while the next is filled. `None` takes what suits
    /// the store: 48 MiB for a directory of this machine, 112 MiB for others.
    pub pack_memory: Option<usize>,
    /// Packs on their way at once (at least 1).
    pub upload_threads: usize,
    /// Threads that hash, compress and encrypt the chunks of large objects while no other
    /// threads write; 0 leaves all work to the caller's threads.
    pub threads: usize,
    /// Write manifests as one when there are 16 or more of their contents.
    pub compact_manifests: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            purpose: String::new(),
            packs_in_flight: 3,
            pack_memory: None,
            upload_threads: 3,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            compact_manifests: true,
        }
    }
}

/// What a writer has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Contents given to the writer, and their bytes.
    pub hashed_contents: u64,
    /// Bytes of those.
    pub hashed_bytes: u64,
    /// Contents that were not known before.
    pub new_contents: u64,
    /// Plain bytes of those.
    pub new_bytes: u64,
    /// Bytes of those after compression and encryption.
    pub packed_bytes: u64,
    /// Packs acknowledged by the storage.
    pub packs: u64,
    /// Bytes of those.
    pub pack_bytes: u64,
    /// Index blobs written.
    pub index_blobs: u64,
}

#[derive(Debug, Default)]
struct Counters {
    hashed_contents: AtomicU64,
    hashed_bytes: AtomicU64,
    new_contents: AtomicU64,
    new_bytes: AtomicU64,
    packed_bytes: AtomicU64,
    packs: AtomicU64,
    pack_bytes: AtomicU64,
    index_blobs: AtomicU64,
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Writes contents, objects and manifests. See the module documentation.
///
/// Clones are the same writer. Dropping the last one without [`flush`](Self::flush) discards what
/// was not flushed.
#[derive(Clone)]
pub struct RepositoryWriter {
    shared: Arc<Shared>,
    uploads: Arc<Uploads>,
    ahead: Arc<Ahead>,
}

/// What the writer's callers and its upload threads share.
struct Shared {
    repo: Repository,
    options: WriterOptions,
    /// Held for reading while a content is written, for writing during a flush.
    gate: RwLock<()>,
    /// One for each kind of pack, see `PackKind`.
    packs: [Mutex<PackSlot>; 2],
    index: Mutex<PendingIndex>,
    session: Mutex<Option<Session>>,
    last_index: Mutex<Timestamp>,
    manifests: Mutex<manifests::PendingManifests>,
    pack_memory: usize,
    scratch: Buffers,
    counters: Counters,
    /// Packs of a doubtful index, and whether they are there.
    checked_packs: Mutex<HashMap<String, bool>>,
}

impl RepositoryWriter {
    pub(crate) fn new(repo: &Repository, options: WriterOptions) -> Result<Self> {
        repo.writable()?;
        let pack_memory = options.pack_memory.unwrap_or_else(|| {
            let near =
                matches!(repo.store().storage_config().kind.as_str(), "filesystem" | "memory");
            if near { PACK_MEMORY_NEAR } else { PACK_MEMORY_FAR }
        });
        let shared = Arc::new(Shared {
            repo: repo.clone(),
            gate: RwLock::new(()),
            packs: [Mutex::default(), Mutex::default()],
            index: Mutex::default(),
            session: Mutex::new(None),
            last_index: Mutex::new(repo.clock().now()),
            manifests: Mutex::default(),
            pack_memory,
            scratch: Buffers::new(SPARE_SCRATCH),
            counters: Counters::default(),
            checked_packs: Mutex::default(),
            options,
        });
        let uploads = Arc::new(Uploads::new(&shared));
        let ahead = Arc::new(Ahead::new(shared.options.threads));
        Ok(Self { shared, uploads, ahead })
    }

    /// The repository that is written to. It shows what is committed; reads that must see what
    /// this writer has not flushed yet go through the writer.
    pub fn repository(&self) -> &Repository {
        &self.shared.repo
    }

    /// What was done so far.
    pub fn stats(&self) -> WriterStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        WriterStats {
            hashed_contents: get(&counters.hashed_contents),
            hashed_bytes: get(&counters.hashed_bytes),
            new_contents: get(&counters.new_contents),
            new_bytes: get(&counters.new_bytes),
            packed_bytes: get(&counters.packed_bytes),
            packs: get(&counters.packs),
            pack_bytes: get(&counters.pack_bytes),
            index_blobs: get(&counters.index_blobs),
        }
    }
}

impl std::fmt::Debug for RepositoryWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepositoryWriter")
            .field("options", &self.shared.options)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
