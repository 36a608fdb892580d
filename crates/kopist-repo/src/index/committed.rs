//! The current view and how it follows the storage.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobId, BlobMeta};
use kopist_format::{epoch::BlobInfo, index::Index};
use parking_lot::{Mutex, RwLock};

use super::{IndexView, Segment, segment::choose_merged};
use crate::{
    cache::{CacheMeter, IndexBytes, IndexFiles, SharedIndexBytes},
    error::{RepoError, Result},
    util::parallel_map,
};

/// Index blobs fetched at once.
const PARALLEL: usize = 16;
/// Index blobs from this length on are fetched by few: each is in memory twice while it is
/// decrypted.
const LARGE: u64 = 4 << 20;
/// So many.
const PARALLEL_LARGE: usize = 2;
/// Loading is tried this often when blobs vanish (another client compacts and cleans up).
const ATTEMPTS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// More active index blobs than this make everything slow.
const TOO_MANY_BLOBS: usize = 1000;
/// Storages with weak listings show a new blob after this time at the latest.
const LISTING_DELAY: SignedDuration = SignedDuration::from_mins(15);

/// The index blobs that count at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ActiveSet {
    /// Their names, each once.
    pub(crate) blobs: Vec<BlobId>,
    /// The deletion watermark, Unix seconds.
    pub(crate) watermark: Option<i64>,
    /// Those of the blobs that are large.
    pub(crate) large: HashSet<BlobId>,
    /// Whether entries may name packs that were deleted because nothing needed them.
    pub(crate) doubtful: bool,
}

impl ActiveSet {
    /// The blobs that a listing has shown.
    pub(crate) fn new<'a>(
        listed: impl IntoIterator<Item = &'a BlobInfo>,
        watermark: Option<i64>,
    ) -> Self {
        let mut set = Self { watermark, ..Self::default() };
        for blob in listed {
            let id = BlobId::from(blob.name.as_str());
            if blob.length >= LARGE {
                set.large.insert(id.clone());
            }
            set.blobs.push(id);
        }
        set
    }
}

/// How index blobs are found and read.
pub(crate) trait IndexSource: Sync {
    /// Lists what counts now.
    fn active(&self) -> Result<ActiveSet>;
    /// Fetches and decrypts one index blob.
    fn fetch(&self, blob: &BlobId) -> Result<Vec<u8>>;
    /// Lists blobs.
    fn list(&self, prefix: &str) -> Result<Vec<BlobMeta>>;
    /// Forgets what earlier listings said.
    fn forget_listings(&self);
    /// Encryption overhead, which version 1 needs.
    fn overhead(&self) -> u32;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Whether index blobs that do not open are skipped with a warning.
    fn is_permissive(&self) -> bool;
}

/// The committed index of an open repository.
pub(crate) struct CommittedIndex {
    files: Option<IndexFiles>,
    meter: Arc<CacheMeter>,
    current: RwLock<Current>,
    /// One refresh at a time; holds what the next one can use again.
    loader: Mutex<Loader>,
}

struct Current {
    view: Arc<IndexView>,
    refreshed: Timestamp,
    doubtful: bool,
}

#[derive(Default)]
struct Loader {
    segments: HashMap<BlobId, Arc<Segment>>,
    merged: Option<Arc<Segment>>,
    set: ActiveSet,
    own: Vec<(BlobId, Timestamp)>,
}

impl CommittedIndex {
    /// An index that shows nothing until the first [`refresh`](Self::refresh).
    pub(crate) fn new(files: Option<IndexFiles>, meter: Arc<CacheMeter>) -> Self {
        let view = Arc::new(IndexView::new(Vec::new(), None, 0));
        Self {
            files,
            meter,
            current: RwLock::new(Current { view, refreshed: Timestamp::MIN, doubtful: false }),
            loader: Mutex::default(),
        }
    }

    /// What is committed, as of the last refresh.
    pub(crate) fn view(&self) -> Arc<IndexView> {
        Arc::clone(&self.current.read().view)
    }

    /// When the last refresh began.
    pub(crate) fn refreshed(&self) -> Timestamp {
        self.current.read().refreshed
    }

    /// Whether an entry alone does not say that its pack is there.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.current.read().doubtful
    }

    /// Index blobs that this process has written and that others have replaced by now: that they
    /// are not listed does not mean that the listing is behind.
    pub(crate) fn forget_own(&self, replaced: &[BlobId]) {
        self.loader.lock().own.retain(|(blob, _)| !replaced.contains(blob));
    }

    /// Brings the view up to date.
    pub(crate) fn refresh(&self, source: &dyn IndexSource) -> Result<()> {
        let mut loader = self.loader.lock();
        self.refresh_locked(&mut loader, source)
    }

    /// The same, unless another thread has done it since the caller looked at the time.
    pub(crate) fn refresh_if_older(&self, than: Timestamp, source: &dyn IndexSource) -> Result<()> {
        let mut loader = self.loader.lock();
        if self.refreshed() > than {
            return Ok(());
        }
        self.refresh_locked(&mut loader, source)
    }

    /// Takes in an index blob that this process has just written, then refreshes.
    pub(crate) fn add_own(
        &self,
        source: &dyn IndexSource,
        blobs: Vec<(BlobId, Vec<u8>)>,
    ) -> Result<()> {
        let mut loader = self.loader.lock();
        for (blob, plain) in blobs {
            let segment = self.keep(source, &blob, plain)?;
            loader.segments.insert(blob.clone(), segment);
            loader.own.push((blob, source.now()));
        }
        self.refresh_locked(&mut loader, source)
    }

    fn refresh_locked(&self, loader: &mut Loader, source: &dyn IndexSource) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let started = source.now();
            let mut set = source.active()?;
            loader.own.retain(|(_, written)| started.duration_since(*written) < LISTING_DELAY);
            for (blob, _) in &loader.own {
                if !set.blobs.contains(blob) {
                    set.blobs.push(blob.clone());
                }
            }
            set.blobs.sort_unstable();
            let result = self.load(loader, &set, source);
            match result {
                Ok(()) => {
                    self.show(loader, set, started)?;
                    return Ok(());
                }
                Err(e) if e.is_not_found() && attempt < ATTEMPTS => {
                    tracing::info!(error = %e, "an index blob vanished, listing again");
                    source.forget_listings();
                    std::thread::sleep(pause);
                    pause *= 2;
                    attempt += 1;
                }
                Err(e) if e.is_not_found() => {
                    return Err(RepoError::IndexesUnavailable { source: Box::new(e) });
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Loads the segments of a set that are not loaded yet.
    fn load(&self, loader: &mut Loader, set: &ActiveSet, source: &dyn IndexSource) -> Result<()> {
        if set.blobs.len() > TOO_MANY_BLOBS {
            tracing::warn!(
                blobs = set.blobs.len(),
                "found too many index blobs, this makes everything slow; run maintenance"
            );
        }
        let missing = set.blobs.iter().filter(|blob| !loader.segments.contains_key(*blob));
        let (large, small): (Vec<&BlobId>, Vec<&BlobId>) =
            missing.partition(|blob| set.large.contains(*blob));
        for (blobs, parallel) in [(small, PARALLEL), (large, PARALLEL_LARGE)] {
            let loaded = parallel_map(&blobs, parallel, |blob| {
                match self.load_one(source, blob) {
                    Ok(segment) => Ok(Some(((*blob).clone(), segment))),
                    Err(e) if source.is_permissive() => {
                        tracing::warn!(%blob, error = %e, "skipping an index blob that does not open");
                        Ok(None)
                    }
                    Err(e) => Err(e),
                }
            })?;
            loader.segments.extend(loaded.into_iter().flatten());
        }
        Ok(())
    }

    /// Single indexes for compaction: those of the view, from the cache, or fetched. Nothing of
    /// the view changes.
    pub(crate) fn load_indexes(
        &self,
        source: &dyn IndexSource,
        blobs: &[BlobId],
    ) -> Result<Vec<Index<SharedIndexBytes>>> {
        // Their lengths are not known here.
        parallel_map(blobs, PARALLEL_LARGE, |blob| {
            let known = self.loader.lock().segments.get(blob).cloned();
            let segment = known.map_or_else(|| self.load_one(source, blob), Ok)?;
            Ok(segment.index.clone())
        })
    }

    fn load_one(&self, source: &dyn IndexSource, blob: &BlobId) -> Result<Arc<Segment>> {
        let cached = self.files.as_ref().and_then(|files| {
            let cached = files.load(blob.as_str());
            self.meter.indexes.note(cached.is_some());
            cached
        });
        if let Some(bytes) = cached
            && let Ok(segment) = Segment::parse(blob.as_str(), bytes, source.overhead())
        {
            return Ok(Arc::new(segment));
        }
        self.keep(source, blob, source.fetch(blob)?)
    }

    fn keep(
        &self,
        source: &dyn IndexSource,
        blob: &BlobId,
        plain: Vec<u8>,
    ) -> Result<Arc<Segment>> {
        let bytes = match &self.files {
            Some(files) => files.store(blob.as_str(), plain),
            None => IndexBytes::Owned(plain),
        };
        Ok(Arc::new(Segment::parse(blob.as_str(), bytes, source.overhead())?))
    }

    /// Makes the loaded set the current view.
    fn show(&self, loader: &mut Loader, set: ActiveSet, started: Timestamp) -> Result<()> {
        let revision = self.current.read().view.revision();
        if revision > 0 && loader.set == set {
            self.current.write().refreshed = started;
            return Ok(());
        }
        let active: HashSet<&BlobId> = set.blobs.iter().collect();
        loader.segments.retain(|blob, _| active.contains(blob));
        let mut segments: Vec<Arc<Segment>> =
            set.blobs.iter().filter_map(|blob| loader.segments.get(blob)).cloned().collect();
        let lengths: Vec<usize> = segments.iter().map(|segment| segment.index.len()).collect();
        let mut chosen = choose_merged(&lengths);
        chosen.sort_unstable();
        let parts: Vec<Arc<Segment>> =
            chosen.iter().filter_map(|position| segments.get(*position)).cloned().collect();
        let known = loader.merged.take().filter(|merged| {
            merged.blobs.iter().eq(parts.iter().flat_map(|segment| &segment.blobs))
        });
        loader.merged = match known {
            Some(merged) => Some(merged),
            None if parts.is_empty() => None,
            None => Segment::merge(&parts, self.files.as_ref())?.map(Arc::new),
        };
        if let Some(merged) = &loader.merged {
            for position in chosen.into_iter().rev() {
                segments.remove(position);
            }
            segments.push(Arc::clone(merged));
        }
        if let Some(files) = &self.files {
            let merged = loader.merged.iter().filter_map(|merged| merged.file.as_deref());
            files.sweep(&set.blobs.iter().map(BlobId::as_str).chain(merged).collect());
        }
        let view = Arc::new(IndexView::new(segments, set.watermark, revision + 1));
        let doubtful = set.doubtful;
        loader.set = set;
        *self.current.write() = Current { view, refreshed: started, doubtful };
        Ok(())
    }
}

impl std::fmt::Debug for CommittedIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}
