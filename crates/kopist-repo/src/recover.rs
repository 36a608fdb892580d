//! Getting back what was lost.
//!
//! Every pack ends in an index of its own contents, and in repositories whose password cannot
//! change it begins with a copy of `kopia.repository`. A repository that lost its indexes, or its
//! format blob, can be put together again from its packs.
//!
//! Sources: `kopia:repo/content/content_index_recovery.go`, `kopia:repo/format/format_blob.go`.

use kopist_blob::{BlobId, BlobStore, ByteRange, list_all};
use kopist_format::{
    format_blob::{FORMAT_BLOB, FormatBlob, find_replica},
    index::Index,
    pack::{Postamble, RECOVERY_TAIL},
};

use crate::{
    content::ContentInfo,
    error::{RepoError, Result},
    repository::Repository,
    writer::RepositoryWriter,
};

/// A copy of the format blob lies in this many first or last bytes of a pack.
const REPLICA_WINDOW: u64 = 65536;

impl Repository {
    /// The contents of a pack according to its own index; deletions of contents of other packs
    /// may be among them. `length` is that of the blob.
    pub fn pack_contents(&self, pack: &BlobId, length: u64) -> Result<Vec<ContentInfo>> {
        let lost = |reason: &str| {
            RepoError::format(format!("pack {pack}"), format!("no index of its contents: {reason}"))
        };
        let store = self.store();
        let get = |offset: u64, length: u64| store.get(pack, ByteRange::Bounded { offset, length });
        let window = length.min(RECOVERY_TAIL);
        let tail = get(length - window, window)?;
        let postamble = Postamble::decode(&tail).ok_or_else(|| lost("its end is damaged"))?;
        let (start, size) = (u64::from(postamble.offset), u64::from(postamble.length));
        if start + size > length {
            return Err(lost("its end points outside of the pack"));
        }
        let sealed = get(start, size)?;
        let cipher = &self.crypto().cipher;
        let plain = cipher
            .open(&sealed, &postamble.iv)
            .map_err(|e| RepoError::format(format!("index of pack {pack}"), e))?;
        let overhead = u32::try_from(cipher.overhead()).unwrap_or(u32::MAX);
        let index = Index::parse(plain, overhead)
            .map_err(|e| RepoError::format(format!("index of pack {pack}"), e))?;
        index
            .iter()
            .map(|entry| match entry {
                Ok(entry) => Ok(entry.to_entry()),
                Err(e) => Err(RepoError::format(format!("index of pack {pack}"), e)),
            })
            .collect()
    }
}

impl RepositoryWriter {
    /// Takes the contents of a pack into the index that the next flush writes, as the pack's own
    /// index tells them. Entries that the repository has already keep winning if they are newer.
    pub fn recover_pack(&self, pack: &BlobId, length: u64) -> Result<Vec<ContentInfo>> {
        let contents = self.repository().pack_contents(pack, length)?;
        self.add_recovered(&contents)?;
        Ok(contents)
    }
}

/// The format blob that packs carry a copy of, from the first pack that has one; `None` if no
/// pack has. It is not written anywhere.
pub fn recover_format_blob(store: &dyn BlobStore, prefixes: &[&str]) -> Result<Option<Vec<u8>>> {
    for prefix in prefixes {
        for pack in list_all(store, prefix)? {
            let window = pack.length.min(REPLICA_WINDOW);
            for offset in [0, pack.length - window] {
                let range = ByteRange::Bounded { offset, length: window };
                let part = store.get(&pack.id, range)?;
                if let Some(blob) = find_replica(&part)
                    && FormatBlob::parse(blob).is_ok()
                {
                    tracing::info!(pack = %pack.id, "found a copy of {FORMAT_BLOB}");
                    return Ok(Some(blob.to_vec()));
                }
            }
        }
    }
    Ok(None)
}
