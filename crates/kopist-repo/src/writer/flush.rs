//! Making a session visible.

use kopist_format::pack::PackKind;

use super::{RepositoryWriter, count};
use crate::error::{RepoError, Result};

impl RepositoryWriter {
    /// Stores everything that was written, manifests included: packs, then one index blob.
    ///
    /// When this returns, other clients see all of it; after an error they see nothing of it,
    /// the writer still holds it, and a later flush tries again.
    pub fn flush(&self) -> Result<()> {
        self.flush_manifests()?;
        self.flush_contents(true)?;
        self.manifests_are_committed();
        Ok(())
    }

    /// Like [`flush`](Self::flush), but manifests stay pending; only if an index is due, or
    /// `always`.
    pub(super) fn flush_contents(&self, always: bool) -> Result<()> {
        let shared = &*self.shared;
        let _gate = shared.gate.write();
        if !always && !self.is_index_due() {
            return Ok(()); // another thread has done it while this one waited
        }
        self.uploads.retry_failed()?;
        for kind in PackKind::ALL {
            self.finish_pack(&mut shared.packs[kind as usize].lock());
        }
        self.uploads.finish()?;
        self.write_index()?;
        *shared.last_index.lock() = self.now();
        Ok(())
    }

    fn write_index(&self) -> Result<()> {
        let shared = &*self.shared;
        let shards = {
            let index = shared.index.lock();
            if !index.all_stored() {
                // An index without them would make a manifest visible whose contents are not.
                return Err(RepoError::format("flush", "a content is in no stored pack"));
            }
            if index.stored().is_empty() {
                return Ok(());
            }
            shared.repo.encode_index(index.stored())?
        };
        let session = self.session_id()?;
        shared.repo.write_session_index(&session, shards.clone())?;
        count(&shared.counters.index_blobs, shards.len() as u64);
        shared.index.lock().clear();
        for kind in PackKind::ALL {
            shared.packs[kind as usize].lock().tombstones.clear();
        }
        self.end_session();
        Ok(())
    }
}
