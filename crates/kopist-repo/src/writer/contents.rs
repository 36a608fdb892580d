//! Writing, reading, deleting and renewing single contents.

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::exists;
use kopist_format::{
    compression::Compressor,
    id::{ContentId, Hash, IdPrefix},
    index::{Entry, PackName},
    pack::PackKind,
};

use super::{
    INDEX_INTERVAL, RepositoryWriter,
    block::{Block, LARGE, Plain, Sealed},
    count,
    pending::{Pack, PackData, PackSlot},
};
use crate::{
    content::{ContentInfo, open_content, open_payload},
    error::{RepoError, Result},
    pack::start_of_pack,
    repository::Repository,
    settings::Crypto,
    util::random,
};

/// What is to be appended to a pack.
struct Payload<'a> {
    /// Compressed already, not encrypted.
    bytes: Plain<'a>,
    meta: Meta,
}

/// What the index says about it.
struct Meta {
    id: ContentId,
    original_length: usize,
    compression: u32,
    deleted: bool,
    /// Timestamp of the entry that this one replaces.
    previous: Option<i64>,
    /// Whether it is as old as the entry that it replaces, or as young as now.
    keeps_age: bool,
}

impl Meta {
    /// Of a content that exists. The payload stays as it is: what is authentic needs no second
    /// compression, and what this program cannot compress any more can still be carried on.
    fn again(info: &ContentInfo) -> Self {
        Self {
            id: info.id,
            original_length: info.original_length as usize,
            compression: info.compression,
            deleted: info.deleted,
            previous: Some(info.timestamp),
            keeps_age: false,
        }
    }
}

impl RepositoryWriter {
    /// Stores `data`, unless the repository has it, and returns its id.
    ///
    /// The id depends on `data` and `prefix` only. With `compressor` the data is stored
    /// compressed if that saves anything; where the repository cannot record it (index version
    /// 1), contents with a prefix are stored as they are and others are an error: objects are
    /// then compressed before they become contents.
    pub fn write_content(
        &self,
        data: &[u8],
        prefix: Option<IdPrefix>,
        compressor: Option<Compressor>,
    ) -> Result<ContentId> {
        self.write_plain(Plain::Borrowed(data), prefix, compressor)
    }

    /// Like [`write_content`](Self::write_content), with memory that the writer may keep: a large
    /// content that is not compressed goes into its pack where it is.
    pub(crate) fn write_plain(
        &self,
        data: Plain<'_>,
        prefix: Option<IdPrefix>,
        compressor: Option<Compressor>,
    ) -> Result<ContentId> {
        let _busy = self.ahead.busy();
        let hash = self.shared.repo.crypto().hasher.hash(data.bytes());
        self.write_hashed(data, &hash, prefix, compressor)
    }

    /// Stores several contents, hashing them together, which is faster for small ones.
    pub fn write_contents(
        &self,
        data: &[&[u8]],
        prefix: Option<IdPrefix>,
        compressor: Option<Compressor>,
    ) -> Result<Vec<ContentId>> {
        let _busy = self.ahead.busy();
        let mut hashes = Vec::with_capacity(data.len());
        self.shared.repo.crypto().hasher.hash_many(data, &mut hashes);
        data.iter()
            .zip(&hashes)
            .map(|(data, hash)| self.write_hashed(Plain::Borrowed(data), hash, prefix, compressor))
            .collect()
    }

    fn write_hashed(
        &self,
        data: Plain<'_>,
        hash: &Hash,
        prefix: Option<IdPrefix>,
        compressor: Option<Compressor>,
    ) -> Result<ContentId> {
        let shared = &*self.shared;
        self.before_writing()?;
        let _gate = shared.gate.read();
        count(&shared.counters.hashed_contents, 1);
        let length = data.bytes().len() as u64;
        count(&shared.counters.hashed_bytes, length);

        let id = ContentId::new(prefix, hash);
        let previous = match self.current(&id)? {
            Some((_, false)) => {
                self.take_back(data);
                return Ok(id);
            }
            Some((timestamp, true)) => Some(timestamp),
            None => None,
        };
        let compressor = match compressor {
            Some(_) if shared.repo.parameters().index_version < 2 => {
                if prefix.is_none() {
                    return Err(RepoError::InvalidOption(
                        "compression is not enabled for this repository".into(),
                    ));
                }
                None
            }
            other => other,
        };
        self.compress_and_append(id, data, compressor, previous)?;
        count(&shared.counters.new_contents, 1);
        count(&shared.counters.new_bytes, length);
        Ok(id)
    }

    /// Compresses outside of every lock, then goes on with [`append_payload`](Self::append_payload).
    fn compress_and_append(
        &self,
        id: ContentId,
        data: Plain<'_>,
        compressor: Option<Compressor>,
        previous: Option<i64>,
    ) -> Result<()> {
        let original_length = data.bytes().len();
        let mut bytes = data;
        let mut compression = 0;
        if let Some(compressor) = compressor {
            let mut packed = self.shared.scratch.take();
            let smaller = compressor
                .compress(bytes.bytes(), &mut packed)
                .map_err(|e| RepoError::format(format!("content {id}"), e))?;
            if smaller {
                compression = compressor.header();
                self.take_back(std::mem::replace(&mut bytes, Plain::Owned(packed)));
            } else {
                self.shared.scratch.give(packed);
            }
        }
        let meta =
            Meta { id, original_length, compression, deleted: false, previous, keeps_age: false };
        self.append_payload(Payload { bytes, meta })
    }

    /// Memory that nobody needs any more.
    fn take_back(&self, data: Plain<'_>) {
        if let Plain::Owned(buffer) = data {
            self.shared.scratch.give(buffer);
        }
    }

    /// Encrypts outside of every lock, then appends to the pending pack.
    fn append_payload(&self, payload: Payload<'_>) -> Result<()> {
        let shared = &*self.shared;
        let cipher = &shared.repo.crypto().cipher;
        let Payload { bytes, meta } = payload;
        let id = meta.id;
        let sealed = match bytes {
            Plain::Block(block) if cipher.seals_in_place() => block.seal(cipher, id.iv()),
            bytes if bytes.bytes().len() >= LARGE && cipher.seals_in_place() => {
                let block = Block::of(bytes.bytes());
                self.take_back(bytes);
                block.seal(cipher, id.iv())
            }
            bytes => {
                let mut sealed = shared.scratch.take();
                let result = cipher.seal(bytes.bytes(), id.iv(), &mut sealed);
                self.take_back(bytes);
                result.map(|()| Sealed::Heap(sealed))
            }
        };
        let sealed = sealed.map_err(|e| RepoError::format(format!("content {id}"), e))?;
        if let Some(buffer) = self.append(&meta, sealed)? {
            shared.scratch.give(buffer);
        }
        Ok(())
    }

    /// What every write begins with: packs that failed first, then an index if the last one is
    /// too long ago.
    fn before_writing(&self) -> Result<()> {
        self.uploads.retry_failed()?;
        let due = self.is_index_due();
        if due { self.flush_contents(false) } else { Ok(()) }
    }

    pub(super) fn is_index_due(&self) -> bool {
        let last = *self.shared.last_index.lock();
        self.now().duration_since(last) > INDEX_INTERVAL
    }

    /// Timestamp of the entry that is in force, and whether it is a deletion.
    fn current(&self, id: &ContentId) -> Result<Option<(i64, bool)>> {
        if let Some((entry, _)) = self.shared.index.lock().get(id) {
            return Ok(Some((entry.timestamp, entry.deleted)));
        }
        let view = self.shared.repo.fresh_index()?;
        let Some((_, entry)) = view.find(id)? else { return Ok(None) };
        // A content whose pack is gone is written anew, as one that was deleted.
        let is_lost =
            !entry.deleted && self.shared.repo.is_index_doubtful() && !self.has_pack(entry.pack)?;
        Ok(Some((entry.timestamp, entry.deleted || is_lost)))
    }

    /// Whether a pack is in the storage; asked only once for each.
    fn has_pack(&self, pack: &str) -> Result<bool> {
        if let Some(known) = self.shared.checked_packs.lock().get(pack) {
            return Ok(*known);
        }
        let there = exists(self.shared.repo.store().as_ref(), &pack.into())?;
        self.shared.checked_packs.lock().insert(pack.to_owned(), there);
        Ok(there)
    }

    /// Appends to the pending pack; memory that is not kept there comes back.
    fn append(&self, content: &Meta, sealed: Sealed) -> Result<Option<Vec<u8>>> {
        let shared = &*self.shared;
        let id = content.id;
        let kind = PackKind::of_content(&id);
        let mut slot = shared.packs[kind as usize].lock();
        if content.previous.is_none() && shared.index.lock().get(&id).is_some() {
            return Ok(None); // another thread was faster
        }
        let max = shared.repo.parameters().max_pack_size;
        if slot.pack.as_ref().is_some_and(|pack| pack.is_full_before(sealed.bytes().len(), max)) {
            self.finish_pack(&mut slot);
        }
        let pack = match &mut slot.pack {
            Some(pack) => pack,
            empty => empty.insert(self.start_pack(kind)?),
        };
        let number = |what: &str, n: usize| {
            u32::try_from(n).map_err(|_| {
                RepoError::format(format!("content {id}"), format!("{what} of {n} bytes"))
            })
        };
        let entry = Entry {
            id,
            pack: pack.name.clone(),
            offset: number("offset", pack.data.len())?,
            packed_length: number("packed length", sealed.bytes().len())?,
            original_length: number("length", content.original_length)?,
            timestamp: match content.previous {
                Some(previous) if content.keeps_age => previous.saturating_add(1),
                previous => self.timestamp_after(previous),
            },
            deleted: content.deleted,
            format_version: shared.repo.parameters().version,
            compression: content.compression,
            encryption_key: 0,
        };
        count(&shared.counters.packed_bytes, sealed.bytes().len() as u64);
        let buffer = pack.data.append(sealed);
        pack.entries.push(entry.clone());
        shared.index.lock().add_packing(entry);
        if pack.data.len() >= max {
            self.finish_pack(&mut slot);
        }
        Ok(buffer)
    }

    /// Now in seconds, but later than the entry that is replaced.
    fn timestamp_after(&self, previous: Option<i64>) -> i64 {
        let now = self.shared.repo.clock().now().as_second();
        previous.map_or(now, |previous| now.max(previous.saturating_add(1)))
    }

    fn start_pack(&self, kind: PackKind) -> Result<Pack> {
        let shared = &*self.shared;
        let session = self.session_id()?;
        let name = kind.new_name(random()?, &session);
        let mut head = Vec::new();
        start_of_pack(shared.repo.settings(), &mut head)?;
        let data = PackData::new(head);
        Ok(Pack { name, data, entries: Vec::new(), tombstones: Vec::new() })
    }

    /// Hands the pending pack of a kind over to the upload threads.
    ///
    /// The slot stays locked meanwhile: when the storage is slow, writers wait here.
    pub(super) fn finish_pack(&self, slot: &mut PackSlot) {
        if let Some(mut pack) = slot.pack.take() {
            pack.tombstones = std::mem::take(&mut slot.tombstones);
            self.uploads.submit(pack);
        }
    }

    /// Marks a content as deleted; its data stays where it is. Deleting what is deleted already
    /// changes nothing.
    ///
    /// Only for contents that nobody else can create again at the same time (manifests), and for
    /// garbage collection under its rules: see [`crate::maintenance`].
    pub fn delete_content(&self, id: &ContentId) -> Result<()> {
        self.before_writing()?;
        let shared = &*self.shared;
        let _gate = shared.gate.read();
        let mut slot = shared.packs[PackKind::of_content(id) as usize].lock();
        let dropped = shared.index.lock().drop_packing(id);
        let pending = shared.index.lock().get(id).map(|(entry, _)| entry.to_entry());
        let entry = match pending {
            Some(entry) => Some(entry),
            None => shared.repo.fresh_index()?.find(id)?.map(|(_, entry)| entry.to_entry()),
        };
        let Some(entry) = entry else {
            return if dropped { Ok(()) } else { Err(RepoError::ContentNotFound(*id)) };
        };
        if entry.deleted {
            return Ok(());
        }
        self.session_id()?;
        let timestamp = self.timestamp_after(Some(entry.timestamp));
        let tombstone = Entry { deleted: true, timestamp, ..entry };
        slot.tombstones.push(tombstone.clone());
        shared.index.lock().add_stored(tombstone);
        Ok(())
    }

    /// Makes a deleted content live again, by writing its data anew. A live one is left alone.
    pub fn undelete_content(&self, id: &ContentId) -> Result<()> {
        self.renew(id, true)
    }

    /// Writes a content's data into a new pack; a deleted one stays deleted.
    pub fn rewrite_content(&self, id: &ContentId) -> Result<()> {
        self.renew(id, false)
    }

    fn renew(&self, id: &ContentId, undelete: bool) -> Result<()> {
        self.before_writing()?;
        let _gate = self.shared.gate.read();
        let (info, payload) = self.read_with(id, open_payload, Repository::read_entry_payload)?;
        if undelete && !info.deleted {
            return Ok(());
        }
        let deleted = info.deleted && !undelete;
        let meta = Meta { deleted, ..Meta::again(&info) };
        self.append_payload(Payload { bytes: Plain::Borrowed(&payload), meta })
    }

    /// Writes a content into another pack whose decrypted payload is at hand, unless it has
    /// changed since `info` was read. Whether it was written.
    ///
    /// Its new entry wins by one second: how long nothing has needed a content does not depend on
    /// where it lies, and garbage that is moved before it is a day old must still get there.
    pub(crate) fn move_payload(&self, info: &ContentInfo, payload: &[u8]) -> Result<bool> {
        self.before_writing()?;
        let _gate = self.shared.gate.read();
        if self.content_info(&info.id)?.as_ref() != Some(info) {
            return Ok(false);
        }
        let meta = Meta { keeps_age: true, ..Meta::again(info) };
        self.append_payload(Payload { bytes: Plain::Borrowed(payload), meta })?;
        Ok(true)
    }

    /// Takes entries into the next index whose packs are stored.
    pub(crate) fn add_recovered(&self, entries: &[ContentInfo]) -> Result<()> {
        self.before_writing()?;
        let _gate = self.shared.gate.read();
        self.session_id()?;
        let mut index = self.shared.index.lock();
        for entry in entries {
            index.add_stored(entry.clone());
        }
        Ok(())
    }

    /// What is known of a content, in this session or committed; deleted ones included.
    pub fn content_info(&self, id: &ContentId) -> Result<Option<ContentInfo>> {
        if let Some((entry, _)) = self.shared.index.lock().get(id) {
            return Ok(Some(entry.to_entry()));
        }
        self.shared.repo.content_info(id)
    }

    /// The data of a content, committed or written by this session.
    pub fn read_content(&self, id: &ContentId) -> Result<Bytes> {
        Ok(self.read_with(id, open_content, Repository::read_entry)?.1)
    }

    /// Reads with `open` what is still here, with `read` what is stored.
    fn read_with<T>(
        &self,
        id: &ContentId,
        open: impl Fn(&Crypto, &ContentInfo, &[u8]) -> Result<T>,
        read: impl Fn(&Repository, &ContentInfo) -> Result<T>,
    ) -> Result<(ContentInfo, T)> {
        let repo = &self.shared.repo;
        loop {
            let found = self.shared.index.lock().get(id).map(|(e, stored)| (e.to_entry(), stored));
            let info = match found {
                Some((info, false)) => {
                    // Between the two looks its pack may have been stored: look again.
                    let Some(sealed) = self.packing_bytes(&info) else { continue };
                    let data = open(repo.crypto(), &info, &sealed)?;
                    return Ok((info, data));
                }
                Some((info, true)) => info,
                None => repo.content_info(id)?.ok_or(RepoError::ContentNotFound(*id))?,
            };
            let data = read(repo, &info)?;
            return Ok((info, data));
        }
    }

    /// The stored bytes of a content whose pack is pending or on its way.
    fn packing_bytes(&self, entry: &Entry) -> Option<Vec<u8>> {
        let slot = self.shared.packs[PackKind::of_content(&entry.id) as usize].lock();
        if let Some(pack) = &slot.pack
            && pack.name == entry.pack
        {
            return Some(pack.slice(entry)?.to_vec());
        }
        let name: &PackName = &entry.pack;
        self.uploads.get(name)?.slice(entry).map(<[u8]>::to_vec)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.repo.clock().now()
    }
}
