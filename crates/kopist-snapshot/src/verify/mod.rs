//! Verifying snapshots: every tree can be walked, and everything in it is there.
//!
//! Directories are read. For files, every content must be in the index and lie inside a pack
//! that exists; a part of the files is read completely, in the order of the packs. Facts:
//! `kopia:snapshot/snapshotfs/snapshot_verifier.go`.

mod file;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kopist_format::directory::{DirEntry, EntryType};
use kopist_format::id::{ContentId, ObjectId};
use kopist_repo::{ContentInfo, PlanOptions, RepoError, Repository};
use parking_lot::Mutex;

pub use file::FileVerifier;

use crate::error::{Result, SnapshotError};
use crate::walk::{Root, Visitor, walk};

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Threads.
    pub parallel: usize,
    /// How many of a hundred files are read.
    pub files_percent: f64,
    /// Stop after this many errors; `None` never stops.
    pub max_errors: Option<u64>,
    /// Compute the hashes of what is read, too. Contents are authenticated when they are
    /// decrypted; this finds those that were something else when they were encrypted.
    pub hashes: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { parallel: 8, files_percent: 0.0, max_errors: None, hashes: false }
    }
}

/// What was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyStats {
    /// Objects looked at, each once.
    pub objects: u64,
    /// Bytes of the files among them.
    pub bytes: u64,
    /// Files read.
    pub read_files: u64,
    /// Bytes read, each content once.
    pub read_bytes: u64,
    /// Errors.
    pub errors: u64,
}

/// Something that is missing or damaged.
#[derive(Debug)]
pub struct Damage {
    /// Which entry it was found in: the label of the root and the path.
    pub path: String,
    /// What is wrong.
    pub error: SnapshotError,
}

/// Listens to a verification. Called from several threads.
pub trait VerifyProgress: Sync {
    /// More was verified; called often.
    fn progress(&self, stats: &VerifyStats) {
        let _ = stats;
    }

    /// Something is missing or damaged.
    fn damaged(&self, damage: Damage);

    /// Whether to stop.
    fn stop(&self) -> bool {
        false
    }
}

impl<F: Fn(Damage) + Sync> VerifyProgress for F {
    fn damaged(&self, damage: Damage) {
        self(damage);
    }
}

/// Contents are read when this many wait.
const BATCH: usize = 8192;

struct Verification<'a> {
    repo: &'a Repository,
    options: &'a VerifyOptions,
    progress: &'a dyn VerifyProgress,
    files: FileVerifier<'a>,
    batch: Mutex<Vec<(ContentInfo, Arc<str>)>>,
    objects: AtomicU64,
    bytes: AtomicU64,
    read_files: AtomicU64,
    read_bytes: AtomicU64,
    errors: AtomicU64,
    stop: AtomicBool,
}

/// Verifies trees. Everything wrong is shown to `progress`; the result only counts.
///
/// An error means that nothing could be verified at all.
pub fn verify(
    repo: &Repository,
    roots: &[Root],
    options: &VerifyOptions,
    progress: &dyn VerifyProgress,
) -> Result<VerifyStats> {
    let verification = Verification {
        repo,
        options,
        progress,
        files: FileVerifier::new(repo, options.files_percent)?,
        batch: Mutex::default(),
        objects: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        read_files: AtomicU64::new(0),
        read_bytes: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    walk(repo, &verification.files.view, roots, options.parallel, &verification);
    let rest = std::mem::take(&mut *verification.batch.lock());
    verification.read_batch(rest);
    Ok(verification.stats())
}

impl Visitor for Verification<'_> {
    fn object(&self, path: &str, entry: &DirEntry, object: &ObjectId) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        // A directory is verified by reading it.
        if !entry.is_dir() {
            self.bytes.fetch_add(entry.size.unsigned_abs(), Ordering::Relaxed);
            if let Err(error) = self.file(path, entry, object) {
                self.failed(path, error.into());
            }
        }
        self.progress.progress(&self.stats());
    }

    fn failed(&self, path: &str, error: SnapshotError) {
        let errors = self.errors.fetch_add(1, Ordering::Relaxed) + 1;
        if self.options.max_errors.is_some_and(|most| errors >= most) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.progress.damaged(Damage { path: path.to_owned(), error });
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.progress.stop()
    }
}

impl Verification<'_> {
    fn stats(&self) -> VerifyStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        VerifyStats {
            objects: get(&self.objects),
            bytes: get(&self.bytes),
            read_files: get(&self.read_files),
            read_bytes: get(&self.read_bytes),
            errors: get(&self.errors),
        }
    }

    fn file(&self, path: &str, entry: &DirEntry, object: &ObjectId) -> Result<(), RepoError> {
        let contents = self.files.check(object)?;
        if self.files.is_chosen(object) {
            self.files.check_lengths(object)?;
            if self.options.hashes {
                self.check_size(entry, object)?;
            }
            self.read_files.fetch_add(1, Ordering::Relaxed);
            self.choose(path, &contents)?;
        }
        Ok(())
    }

    /// The chunks of a file are as long as the file.
    fn check_size(&self, entry: &DirEntry, object: &ObjectId) -> Result<(), RepoError> {
        let chunks = self.repo.object_chunks(object)?;
        let length = chunks.last().map_or(0, kopist_repo::Chunk::end);
        if entry.kind != EntryType::File || u64::try_from(entry.size) == Ok(length) {
            return Ok(());
        }
        let reason = format!("it has {length} bytes, the directory says {}", entry.size);
        Err(RepoError::ObjectInvalid { id: *object, reason })
    }

    /// Has contents read, those that were not.
    fn choose(&self, path: &str, contents: &[ContentId]) -> Result<(), RepoError> {
        let path: Arc<str> = path.into();
        let mut chosen = Vec::new();
        for id in contents {
            match self.files.view.find(id)? {
                Some((ordinal, entry)) => {
                    if self.files.read.lock().insert(ordinal) {
                        chosen.push((entry.to_entry(), path.clone()));
                    }
                }
                None => {
                    self.repo.read_content(id)?;
                }
            }
        }
        let mut batch = self.batch.lock();
        batch.extend(chosen);
        if batch.len() >= BATCH {
            let full = std::mem::take(&mut *batch);
            drop(batch);
            self.read_batch(full);
        }
        Ok(())
    }

    /// Reads contents in the order in which they lie; each is authenticated and unpacked.
    fn read_batch(&self, batch: Vec<(ContentInfo, Arc<str>)>) {
        let paths: HashMap<ContentId, Arc<str>> =
            batch.iter().map(|(info, path)| (info.id, path.clone())).collect();
        let contents = batch.into_iter().map(|(info, _)| info).collect();
        let runs = self.repo.plan_reads(contents, &PlanOptions::default());
        let next = AtomicU64::new(0);
        let work = || {
            while !self.stop() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(run) = usize::try_from(index).ok().and_then(|index| runs.get(index))
                else {
                    return;
                };
                let result = self.repo.read_run(run, &mut |info, data| {
                    match data {
                        Ok(data) => {
                            self.read_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                            if self.options.hashes && !self.repo.is_content(&info.id, &data) {
                                self.report(&paths, &info.id, wrong_hash(info));
                            }
                        }
                        // It may have been moved by maintenance meanwhile.
                        Err(_) => match self.repo.read_content(&info.id) {
                            Ok(_) => {}
                            Err(error) => self.report(&paths, &info.id, error),
                        },
                    }
                    Ok(())
                });
                if let Err(error) = result
                    && let Some(first) = run.contents.first()
                {
                    self.report(&paths, &first.id, error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.parallel.clamp(1, 256) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// Tells of a content that is damaged.
    fn report(&self, paths: &HashMap<ContentId, Arc<str>>, id: &ContentId, error: RepoError) {
        let path = paths.get(id).map_or("", |path| path);
        self.failed(path, error.into());
    }
}

/// A content opens and is not what its id says.
fn wrong_hash(info: &ContentInfo) -> RepoError {
    RepoError::ContentUnreadable {
        id: info.id,
        pack: info.pack.as_str().into(),
        offset: info.offset.into(),
        length: info.packed_length.into(),
        source: "its bytes have another hash".into(),
    }
}
