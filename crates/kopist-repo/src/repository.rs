//! An open repository.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Telling};
use kopist_format::{
    blob_crypto::{open_blob, seal_blob},
    format_blob::{BlobCfg, FormatBlob, RepositoryFormat},
    id::{ContentId, ObjectId},
    index::{Index, IndexBuilder},
    session::{SESSION_PREFIX, SessionId, SessionMarker},
    splitter::SplitterAlgorithm,
};
use secrecy::SecretString;

use crate::{
    cache::{CacheMeter, CacheOptions, IndexFiles, KopiaFiles, SharedIndexBytes},
    clock::{Clock, SystemClock},
    content::{
        ContentInfo, From as Origin, PackReader, open_content, open_payload, unreadable_blob,
    },
    error::{RepoError, Result, Unreadable},
    identity::ClientIdentity,
    index::{ActiveSet, CommittedIndex, EpochManager, IndexSource, IndexView, KeyRange, legacy},
    manifest::{ManifestCache, ManifestView},
    object::{self, Chunk, ObjectReader},
    settings::{Crypto, Leniency, ParameterChange, Parameters, Settings},
    writer::{RepositoryWriter, WriterOptions},
};

/// The committed index is at most this old when a content is looked up.
const INDEX_TRUSTED: SignedDuration = SignedDuration::from_mins(15);

/// How to open a repository.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Under which name to write.
    pub identity: ClientIdentity,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Caches on disk; none keeps indexes in memory.
    pub cache: Option<CacheOptions>,
    /// Refuse to write. The store should be wrapped read-only as well.
    pub read_only: bool,
    /// Our name as owner of an upgrade lock; empty if we are not upgrading.
    pub upgrade_owner: String,
    /// Repair mode, read-only: skip index blobs that do not open, ignore an upgrade lock.
    pub permissive: bool,
    /// Open although the repository requires a feature that this program does not have.
    pub ignore_missing_features: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            identity: ClientIdentity::default(),
            clock: Arc::new(SystemClock),
            cache: None,
            read_only: false,
            upgrade_owner: String::new(),
            permissive: false,
            ignore_missing_features: false,
        }
    }
}

/// An open repository: contents, objects and manifests as they are committed.
///
/// Cheap to clone and shared between threads. Writing goes through a [`RepositoryWriter`].
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn BlobStore>,
    identity: ClientIdentity,
    clock: Arc<dyn Clock>,
    read_only: bool,
    permissive: bool,
    settings: Settings,
    unique_id: Vec<u8>,
    crypto: Crypto,
    splitter: SplitterAlgorithm,
    epochs: EpochManager,
    index: CommittedIndex,
    packs: PackReader,
    manifests: ManifestCache,
    cache_meter: Arc<CacheMeter>,
}

/// What the session markers of a repository say.
#[derive(Debug, Default)]
pub struct Sessions {
    /// The newest marker of each session.
    pub active: Vec<SessionMarker>,
    /// Markers that do not open. Their names still tell which sessions they are of.
    pub unreadable: Vec<(BlobId, RepoError)>,
}

impl Repository {
    /// Opens the repository in `store`: settings, upgrade lock, then the index.
    pub fn open(
        store: Arc<dyn BlobStore>,
        password: &SecretString,
        options: OpenOptions,
    ) -> Result<Self> {
        let OpenOptions { identity, clock, cache, .. } = options;
        let (read_only, permissive) = (options.read_only, options.permissive);
        let read_only = read_only || permissive || store.is_read_only();
        let store = match &cache {
            Some(cache) => {
                let kopia = KopiaFiles::new(&cache.dir);
                Arc::new(Telling::new(store, move |id: &BlobId| kopia.forget(id)))
            }
            None => store,
        };
        let settings = Settings::open(
            Arc::clone(&store),
            Arc::clone(&clock),
            password,
            &options.upgrade_owner,
            Leniency {
                ignore_lock: permissive,
                ignore_missing_features: options.ignore_missing_features,
            },
        )?;
        let format = settings.format();
        if let Some(cache) = &cache {
            cache.prepare();
        }
        let splitter = SplitterAlgorithm::by_name(format.splitter_name())
            .map_err(|e| RepoError::InvalidOption(e.to_string()))?;
        let files = cache
            .as_ref()
            .map(|cache| IndexFiles::new(cache.sub_dir("indexes"), cache.index_min_age_secs));
        let cache_meter = Arc::<CacheMeter>::default();
        let max_pack_size = settings.parameters().max_pack_size;
        let inner = Inner {
            packs: PackReader::new(
                Arc::clone(&store),
                cache.as_ref(),
                max_pack_size,
                Arc::clone(&cache_meter),
            ),
            store,
            identity,
            clock,
            read_only,
            permissive,
            unique_id: settings.format_blob().unique_id,
            crypto: settings.crypto()?,
            settings,
            splitter,
            epochs: EpochManager::default(),
            index: CommittedIndex::new(files, Arc::clone(&cache_meter)),
            manifests: ManifestCache::default(),
            cache_meter,
        };
        inner.index.refresh(&inner)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The storage.
    pub fn store(&self) -> &Arc<dyn BlobStore> {
        &self.inner.store
    }

    /// How often the caches have what is asked for; counts on while the repository is open.
    pub fn cache_meter(&self) -> Arc<CacheMeter> {
        Arc::clone(&self.inner.cache_meter)
    }

    /// Who we are.
    pub fn identity(&self) -> &ClientIdentity {
        &self.inner.identity
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Whether writing is refused.
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// The repository's random name; also the salt of its keys.
    pub fn unique_id(&self) -> &[u8] {
        &self.inner.unique_id
    }

    /// Algorithms, secrets and parameters, as last read.
    pub fn format(&self) -> Arc<RepositoryFormat> {
        self.inner.settings.format()
    }

    /// The outside of `kopia.repository`, as last read.
    pub fn format_blob(&self) -> FormatBlob {
        self.inner.settings.format_blob()
    }

    /// The retention settings, as last read.
    pub fn blob_cfg(&self) -> BlobCfg {
        self.inner.settings.blob_cfg()
    }

    /// The parameters that may change, as last read.
    pub fn parameters(&self) -> Arc<Parameters> {
        self.inner.settings.parameters()
    }

    /// The splitter of objects that name none.
    pub fn splitter(&self) -> SplitterAlgorithm {
        self.inner.splitter
    }

    /// Changes the password. Other clients fail with `invalid repository password` within 15
    /// minutes.
    pub fn change_password(&self, password: &SecretString) -> Result<()> {
        self.writable()?;
        self.inner.settings.change_password(password)
    }

    /// Changes parameters; `false` if nothing changed.
    pub fn set_parameters(&self, change: &ParameterChange) -> Result<bool> {
        self.writable()?;
        self.inner.settings.set_parameters(change)
    }

    /// Fails if the repository must not be used now: another client upgrades it. Reads the
    /// settings again when they are older than 15 minutes.
    pub fn check_usable(&self) -> Result<()> {
        self.inner.settings.check_usable()
    }

    /// Begins a write session.
    pub fn writer(&self, options: WriterOptions) -> Result<RepositoryWriter> {
        RepositoryWriter::new(self, options)
    }

    /// Brings the committed index up to date with what other clients wrote.
    pub fn refresh(&self) -> Result<()> {
        self.check_usable()?;
        self.inner.epochs.invalidate();
        self.inner.index.refresh(&*self.inner)
    }

    /// Refreshes; whether that showed another index than the one of `revision`.
    pub(crate) fn refresh_changed(&self, revision: u64) -> Result<bool> {
        self.refresh()?;
        Ok(self.inner.index.view().revision() != revision)
    }

    /// The committed contents, refreshed if the last refresh is more than 15 minutes ago.
    pub fn fresh_index(&self) -> Result<Arc<IndexView>> {
        let index = &self.inner.index;
        let limit = self.inner.clock.now().saturating_sub(INDEX_TRUSTED).unwrap_or(Timestamp::MIN);
        if index.refreshed() <= limit {
            self.check_usable()?;
            index.refresh_if_older(limit, &*self.inner)?;
        }
        Ok(index.view())
    }

    /// The committed contents as of the last refresh.
    pub fn index(&self) -> Arc<IndexView> {
        self.inner.index.view()
    }

    /// The index blobs that count now (a listing), and the deletion watermark in Unix seconds.
    pub fn active_index_blobs(&self) -> Result<(Vec<BlobId>, Option<i64>)> {
        let ActiveSet { blobs, watermark, .. } = self.inner.active()?;
        Ok((blobs, watermark))
    }

    /// What is known of a content, deleted ones included.
    pub fn content_info(&self, id: &ContentId) -> Result<Option<ContentInfo>> {
        Ok(self.fresh_index()?.find(id)?.map(|(_, entry)| entry.to_entry()))
    }

    /// Visits the contents of a range in the order of their ids, deleted ones included.
    pub fn contents(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&kopist_format::index::EntryRef<'_>) -> Result<()>,
    ) -> Result<()> {
        for entry in self.fresh_index()?.entries(range) {
            visit(&entry?.1)?;
        }
        Ok(())
    }

    /// The bytes of a content; a deleted one is readable as long as its pack exists.
    pub fn read_content(&self, id: &ContentId) -> Result<Bytes> {
        let info = self.content_info(id)?.ok_or(RepoError::ContentNotFound(*id))?;
        match self.read_entry(&info) {
            // Maintenance may have moved it since the index was read.
            Err(RepoError::ContentUnreadable { .. })
                if self
                    .inner
                    .store
                    .metadata(&BlobId::from(info.pack.as_str()))
                    .is_err_and(|e| e.is_not_found()) =>
            {
                self.refresh()?;
                let moved = self.content_info(id)?.ok_or(RepoError::ContentNotFound(*id))?;
                self.read_entry(&moved)
            }
            result => result,
        }
    }

    /// Whether these are the bytes of a content: whether their hash is its id.
    pub fn is_content(&self, id: &ContentId, bytes: &[u8]) -> bool {
        self.crypto().hasher.hash(bytes).as_slice() == id.hash()
    }

    /// The bytes of a content whose place is known.
    pub fn read_entry(&self, info: &ContentInfo) -> Result<Bytes> {
        self.read_entry_as(info, open_content)
    }

    /// The same without decompressing.
    pub(crate) fn read_entry_payload(&self, info: &ContentInfo) -> Result<Vec<u8>> {
        self.read_entry_as(info, open_payload)
    }

    fn read_entry_as<T>(
        &self,
        info: &ContentInfo,
        open: impl Fn(&Crypto, &ContentInfo, &[u8]) -> Result<T>,
    ) -> Result<T> {
        self.check_usable()?;
        let packs = &self.inner.packs;
        let (sealed, from) = packs.fetch(info).map_err(|e| unreadable_blob(info, e))?;
        match open(self.crypto(), info, &sealed) {
            Err(_) if from == Origin::Cache => {
                // Damaged in the cache, or in the storage: get it from there once more.
                packs.forget(info);
                let (sealed, _) = packs.fetch(info).map_err(|e| unreadable_blob(info, e))?;
                open(self.crypto(), info, &sealed)
            }
            result => result,
        }
    }

    /// Opens an object for reading.
    pub fn open_object(&self, id: &ObjectId) -> Result<ObjectReader> {
        ObjectReader::open(self, id)
    }

    /// A whole object in memory: for directories and other small ones.
    pub fn read_object(&self, id: &ObjectId) -> Result<Vec<u8>> {
        object::read_object(self, id)
    }

    /// The chunks of an object in order: the object itself if it is one content.
    pub fn object_chunks(&self, id: &ObjectId) -> Result<Vec<Chunk>> {
        object::object_chunks(self, id)
    }

    /// Visits every content that an object needs: its data and its lists of chunks.
    pub fn object_contents(&self, id: &ObjectId, visit: &mut dyn FnMut(ContentId)) -> Result<()> {
        object::backing_contents(self, id, visit)
    }

    /// All committed manifests.
    pub fn manifests(&self) -> Result<ManifestView> {
        crate::manifest::load(self, &self.inner.manifests)
    }

    /// All committed manifests that can be read, and the contents of manifests that are damaged.
    pub fn readable_manifests(&self) -> Result<(ManifestView, Vec<Unreadable>)> {
        crate::manifest::load_readable(self, &self.inner.manifests)
    }

    /// Sessions that have begun and not ended.
    pub fn sessions(&self) -> Result<Sessions> {
        let mut sessions = Sessions::default();
        for blob in kopist_blob::list_all(self.store().as_ref(), SESSION_PREFIX)? {
            let read = self.get_sealed(&blob.id).and_then(|json| {
                serde_json::from_slice::<SessionMarker>(&json)
                    .map_err(|e| RepoError::format(format!("session marker {}", blob.id), e))
            });
            let marker = match read {
                Ok(marker) => marker,
                Err(e) if e.is_not_found() => continue, // it has ended meanwhile
                Err(e) if e.is_damage() => {
                    sessions.unreadable.push((blob.id, e));
                    continue;
                }
                Err(e) => return Err(e),
            };
            match sessions.active.iter_mut().find(|other| other.id == marker.id) {
                Some(other) if other.checkpoint_time < marker.checkpoint_time => *other = marker,
                Some(_) => {}
                None => sessions.active.push(marker),
            }
        }
        Ok(sessions)
    }

    // What the other modules of this crate need.

    pub(crate) fn crypto(&self) -> &Crypto {
        &self.inner.crypto
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn packs(&self) -> &PackReader {
        &self.inner.packs
    }

    pub(crate) fn epochs(&self) -> &EpochManager {
        &self.inner.epochs
    }

    pub(crate) fn index_source(&self) -> &dyn IndexSource {
        &*self.inner
    }

    /// Whether an index entry alone does not say that its pack is there.
    pub(crate) fn is_index_doubtful(&self) -> bool {
        self.inner.index.is_doubtful()
    }

    /// Index blobs that do not count any more, though this process may have written them just now.
    pub(crate) fn forget_own_indexes(&self, replaced: &[BlobId]) {
        self.inner.index.forget_own(replaced);
    }

    /// Single index blobs, for compaction.
    pub(crate) fn load_indexes(&self, blobs: &[BlobId]) -> Result<Vec<Index<SharedIndexBytes>>> {
        self.inner.index.load_indexes(&*self.inner, blobs)
    }

    pub(crate) fn writable(&self) -> Result<()> {
        if self.inner.read_only {
            return Err(RepoError::ReadOnly);
        }
        self.inner.settings.check_writable()
    }

    /// Puts a blob with the retention that its name asks for.
    pub(crate) fn put_blob(&self, id: &BlobId, data: &[&[u8]]) -> Result<BlobMeta, BlobError> {
        self.inner.store.put(id, data, &self.inner.settings.put_options(id.as_str()))
    }

    /// Puts a blob that is encrypted as a whole and named by its hash.
    pub(crate) fn put_sealed(&self, prefix: &str, suffix: &str, plain: &[u8]) -> Result<BlobMeta> {
        let crypto = self.crypto();
        let (name, body) = seal_blob(&crypto.hasher, &crypto.cipher, plain, prefix, suffix)
            .map_err(|e| RepoError::format(format!("blob {prefix}…"), e))?;
        Ok(self.put_blob(&BlobId::from(name), &[&body])?)
    }

    /// Stores a diagnostic log, gzip of JSON lines, under `_log_…` and its hash. Nothing in the
    /// repository depends on it; maintenance deletes old ones.
    pub fn put_log(&self, name: &str, log: &[u8]) -> Result<()> {
        self.writable()?;
        self.put_sealed(name, "", log)?;
        Ok(())
    }

    /// The bytes of a blob that is encrypted as a whole, such as a diagnostic log.
    pub fn read_sealed_blob(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.get_sealed(id)
    }

    /// Gets a blob that is encrypted as a whole.
    pub(crate) fn get_sealed(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.inner.fetch(id)
    }

    /// The shards of a session's index.
    pub(crate) fn encode_index(&self, index: &IndexBuilder) -> Result<Vec<Vec<u8>>> {
        index
            .build_stable(self.parameters().index_version)
            .map_err(|e| RepoError::format("index of the session", e))
    }

    /// Stores a session's index and shows it.
    pub(crate) fn write_session_index(
        &self,
        session: &SessionId,
        shards: Vec<Vec<u8>>,
    ) -> Result<()> {
        self.check_usable()?;
        let blobs = if self.parameters().epoch.enabled {
            self.inner.epochs.write(self, session, &shards)?
        } else {
            legacy::write_session(self, session, &shards)?
        };
        let own = blobs.into_iter().zip(shards).collect();
        self.inner.index.add_own(&*self.inner, own)
    }
}

impl IndexSource for Inner {
    fn active(&self) -> Result<ActiveSet> {
        let parameters = self.settings.parameters();
        if parameters.epoch.enabled {
            self.epochs.active(self.store.as_ref(), self.clock.as_ref(), &parameters.epoch)
        } else {
            legacy::active(self)
        }
    }

    fn fetch(&self, blob: &BlobId) -> Result<Vec<u8>> {
        let body = self.store.get(blob, ByteRange::Full)?;
        open_blob(&self.crypto.cipher, blob.as_str(), &body)
            .map_err(|e| RepoError::format(format!("index blob {blob}"), e))
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobMeta>> {
        Ok(kopist_blob::list_all(self.store.as_ref(), prefix)?)
    }

    fn forget_listings(&self) {
        self.store.flush_caches();
        self.epochs.invalidate();
    }

    fn overhead(&self) -> u32 {
        u32::try_from(self.crypto.cipher.overhead()).unwrap_or(u32::MAX)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn is_permissive(&self) -> bool {
        self.permissive
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("store", &self.inner.store.display_name())
            .field("identity", &self.inner.identity)
            .field("index", &self.inner.index)
            .finish_non_exhaustive()
    }
}
