//! Reading ranges of packs, and trying again what maintenance may have moved meanwhile.

use std::collections::HashSet;

use bytes::Bytes;
use kopist_blob::BlobId;
use kopist_repo::{ContentInfo, PackRun, PlanOptions, RepoError, Repository};
use parking_lot::Mutex;

/// Few bytes between contents are cheaper to read than to skip, but not more than one in twenty
/// is read in vain. One read is at most this long, so that many can be in memory at once.
pub(super) const READS: PlanOptions =
    PlanOptions { max_gap: 128 << 10, max_run: 4 << 20, max_waste_percent: Some(5) };

/// Reads contents for one restore.
pub(super) struct Fetch<'a> {
    repo: &'a Repository,
    /// Packs that are neither there nor replaced by others.
    lost_packs: Mutex<HashSet<BlobId>>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(repo: &'a Repository) -> Self {
        Self { repo, lost_packs: Mutex::default() }
    }

    /// Reads one range of a pack and shows each of its contents once, with its data or with why
    /// there are none.
    pub(super) fn read(
        &self,
        run: &PackRun,
        visit: &mut dyn FnMut(&ContentInfo, Result<Bytes, RepoError>),
    ) {
        let mut done = 0;
        let result = self.repo.read_run(run, &mut |content, data| {
            done += 1;
            visit(content, data.or_else(|error| self.second_try(content, error)));
            Ok(())
        });
        // What was not visited is tried one by one, which also finds what has been moved.
        let Err(error) = result else { return };
        let text = error.to_string();
        for content in run.contents.get(done..).unwrap_or_default() {
            let error = RepoError::ContentUnreadable {
                id: content.id,
                pack: run.pack.clone(),
                offset: content.offset.into(),
                length: content.packed_length.into(),
                source: text.clone().into(),
            };
            visit(content, self.second_try(content, error));
        }
    }

    /// Maintenance may have moved a content since its place was looked up, or a cache or a second
    /// read may have it. For a pack that is gone one content tries: every try reads the indexes
    /// anew, and after the first one they say where the others are.
    fn second_try(&self, content: &ContentInfo, error: RepoError) -> Result<Bytes, RepoError> {
        let Some(place) = self.repo.content_info(&content.id)? else { return Err(error) };
        let pack = BlobId::from(place.pack.as_str());
        let was_moved = place.pack != content.pack;
        let is_lost = || self.lost_packs.lock().contains(&pack);
        let is_gone = || self.repo.store().metadata(&pack).is_err_and(|e| e.is_not_found());
        if !is_lost() && (was_moved || !is_gone()) {
            return self.repo.read_content(&content.id);
        }
        // The others wait for the one that tries.
        let mut lost = self.lost_packs.lock();
        if !lost.contains(&pack) {
            return self.repo.read_content(&content.id).inspect_err(|_| {
                lost.insert(pack);
            });
        }
        drop(lost);
        // Meanwhile the indexes may have been read anew.
        match self.repo.content_info(&content.id)? {
            Some(now) if now.pack != place.pack => self.repo.read_content(&content.id),
            _ => Err(error),
        }
    }
}
