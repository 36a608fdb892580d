//! Checking that what the index says is true of the packs.
//!
//! The quick check needs one listing: every content lies inside a pack that exists and is long
//! enough. Reading decrypts (every byte is authenticated), decompresses and computes the hash of
//! the plain bytes again, which must be the content's id.
//!
//! Nothing here uses a cache of contents: what counts is what the storage has.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
};

use kopist_blob::{BlobId, list_prefixes};
use kopist_format::id::{ContentId, Hash};
use parking_lot::Mutex;

use crate::{
    content::{ContentInfo, PlanOptions},
    error::{RepoError, Result},
    index::KeyRange,
    repository::Repository,
    util::parallel_map,
};

/// Contents whose entries are in memory at once.
const BATCH: usize = 100_000;

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Which contents.
    pub range: KeyRange,
    /// Whether deleted contents are verified too.
    pub include_deleted: bool,
    /// Part of the contents to read, 0 to 100.
    pub read_percent: f64,
    /// Reads at once.
    pub parallelism: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { range: KeyRange::all(), include_deleted: false, read_percent: 0.0, parallelism: 4 }
    }
}

/// What was found, so far or in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Contents looked at.
    pub verified: u64,
    /// Contents read.
    pub read: u64,
    /// Bytes of those, as stored.
    pub read_bytes: u64,
    /// Contents whose pack does not exist.
    pub in_missing_packs: u64,
    /// Contents that reach beyond the end of their pack.
    pub in_truncated_packs: u64,
    /// Contents that could not be read or are not what their id says.
    pub unreadable: u64,
    /// Packs that do not exist.
    pub missing_packs: u64,
    /// Packs that are too short.
    pub truncated_packs: u64,
    /// Packs with contents that cannot be read.
    pub corrupted_packs: u64,
}

impl VerifyReport {
    /// All errors.
    pub fn errors(&self) -> u64 {
        self.in_missing_packs + self.in_truncated_packs + self.unreadable
    }
}

/// One finding.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The pack does not exist.
    #[error("content {id} depends on missing blob {pack}")]
    MissingPack {
        /// The content.
        id: ContentId,
        /// The pack.
        pack: BlobId,
    },
    /// The pack is too short.
    #[error("content {id} out of bounds of its pack blob {pack}")]
    OutOfBounds {
        /// The content.
        id: ContentId,
        /// The pack.
        pack: BlobId,
    },
    /// The content does not open.
    #[error("content {id} is invalid: {source}")]
    Unreadable {
        /// The content.
        id: ContentId,
        /// Why.
        source: RepoError,
    },
    /// The content opens, but its bytes have another hash.
    #[error("content {id} is invalid: its bytes have the hash {found}")]
    WrongHash {
        /// The content.
        id: ContentId,
        /// The hash of what is stored.
        found: Hash,
    },
}

#[derive(Default)]
struct Counters {
    verified: AtomicU64,
    read: AtomicU64,
    read_bytes: AtomicU64,
    in_missing: AtomicU64,
    in_truncated: AtomicU64,
    unreadable: AtomicU64,
    packs: Mutex<[HashSet<BlobId>; 3]>,
}

const MISSING: usize = 0;
const TRUNCATED: usize = 1;
const CORRUPTED: usize = 2;

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Counters {
    fn bad_pack(&self, kind: usize, pack: &BlobId) {
        self.packs.lock()[kind].insert(pack.clone());
    }

    fn report(&self) -> VerifyReport {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let packs = self.packs.lock();
        VerifyReport {
            verified: get(&self.verified),
            read: get(&self.read),
            read_bytes: get(&self.read_bytes),
            in_missing_packs: get(&self.in_missing),
            in_truncated_packs: get(&self.in_truncated),
            unreadable: get(&self.unreadable),
            missing_packs: packs[MISSING].len() as u64,
            truncated_packs: packs[TRUNCATED].len() as u64,
            corrupted_packs: packs[CORRUPTED].len() as u64,
        }
    }
}

/// Receives findings and progress; called from several threads.
pub trait VerifyObserver: Sync {
    /// Something is wrong with a content.
    fn error(&self, error: &VerifyError);
    /// Called now and then.
    fn progress(&self, _report: &VerifyReport) {}
}

impl<F: Fn(&VerifyError) + Sync> VerifyObserver for F {
    fn error(&self, error: &VerifyError) {
        self(error);
    }
}

impl Repository {
    /// Verifies contents. Findings go to the observer and into the report; the result is an
    /// error only if verifying itself was not possible.
    pub fn verify_contents(
        &self,
        options: &VerifyOptions,
        observer: &dyn VerifyObserver,
    ) -> Result<VerifyReport> {
        self.refresh()?;
        let view = self.fresh_index()?;
        // After the index, so that packs written meanwhile do not matter and those that the
        // index names are listed.
        let lengths: HashMap<BlobId, u64> =
            list_prefixes(self.store().as_ref(), &["p", "q"], options.parallelism.max(1))?
                .into_iter()
                .map(|meta| (meta.id, meta.length))
                .collect();
        let counters = Counters::default();
        let mut entries = view.entries(&options.range);
        loop {
            let mut to_read = Vec::new();
            let mut seen = 0;
            for entry in entries.by_ref().take(BATCH) {
                let (_, entry) = entry?;
                seen += 1;
                if entry.deleted && !options.include_deleted {
                    continue;
                }
                add(&counters.verified, 1);
                let end = u64::from(entry.offset) + u64::from(entry.packed_length);
                match lengths.get(entry.pack) {
                    None => {
                        let pack = BlobId::from(entry.pack);
                        add(&counters.in_missing, 1);
                        counters.bad_pack(MISSING, &pack);
                        observer.error(&VerifyError::MissingPack { id: entry.id, pack });
                    }
                    Some(length) if *length < end => {
                        let pack = BlobId::from(entry.pack);
                        add(&counters.in_truncated, 1);
                        counters.bad_pack(TRUNCATED, &pack);
                        observer.error(&VerifyError::OutOfBounds { id: entry.id, pack });
                    }
                    Some(_) if chance(options.read_percent)? => to_read.push(entry.to_entry()),
                    Some(_) => {}
                }
            }
            self.verify_by_reading(to_read, options.parallelism, &counters, observer)?;
            observer.progress(&counters.report());
            if seen < BATCH {
                return Ok(counters.report());
            }
        }
    }

    fn verify_by_reading(
        &self,
        contents: Vec<ContentInfo>,
        parallelism: usize,
        counters: &Counters,
        observer: &dyn VerifyObserver,
    ) -> Result<()> {
        let runs = self.plan_reads(contents, &PlanOptions::default());
        parallel_map(&runs, parallelism, |run| {
            self.read_run(run, &mut |info, data| {
                add(&counters.read, 1);
                add(&counters.read_bytes, info.packed_length.into());
                let problem = match data {
                    Err(source) => Some(VerifyError::Unreadable { id: info.id, source }),
                    Ok(data) => {
                        let found = self.crypto().hasher.hash(&data);
                        (found.as_slice() != info.id.hash())
                            .then_some(VerifyError::WrongHash { id: info.id, found })
                    }
                };
                if let Some(problem) = problem {
                    add(&counters.unreadable, 1);
                    counters.bad_pack(CORRUPTED, &run.pack);
                    observer.error(&problem);
                }
                Ok(())
            })
        })?;
        Ok(())
    }
}

/// True in `percent` of a hundred calls, by the system's random numbers.
pub fn chance(percent: f64) -> Result<bool> {
    if percent <= 0.0 {
        return Ok(false);
    }
    if percent >= 100.0 {
        return Ok(true);
    }
    let random = u32::from_le_bytes(crate::util::random()?);
    Ok(f64::from(random) < percent / 100.0 * f64::from(u32::MAX))
}
