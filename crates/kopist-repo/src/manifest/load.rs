//! Reading all manifests.

use kopist_format::{
    id::ContentId,
    manifest::{decode, merge},
};
use parking_lot::Mutex;

use super::ManifestView;
use crate::{
    error::{RepoError, Result},
    index::KeyRange,
    repository::Repository,
    util::parallel_map,
};

/// Manifest contents fetched at once.
const PARALLEL: usize = 8;

/// The last view and the index revision that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct ManifestCache(Mutex<Option<(u64, ManifestView)>>);

/// All manifests of the committed index; read again when that has changed.
pub(crate) fn load(repo: &Repository, cache: &ManifestCache) -> Result<ManifestView> {
    let mut cached = cache.0.lock();
    loop {
        let view = repo.fresh_index()?;
        if let Some((revision, manifests)) = &*cached
            && *revision == view.revision()
        {
            return Ok(manifests.clone());
        }
        let mut ids: Vec<ContentId> = Vec::new();
        for entry in view.entries(&KeyRange::prefix('m')) {
            let (_, entry) = entry?;
            if !entry.deleted {
                ids.push(entry.id);
            }
        }
        let read = parallel_map(&ids, PARALLEL, |id| {
            let data = repo.read_content(id)?;
            decode(&data).map_err(|e| RepoError::format(format!("manifest content {id}"), e))
        });
        let lists = match read {
            Ok(lists) => lists,
            // Compacted and dropped meanwhile by another client; the index knows by now.
            Err(e) if e.is_not_found() && repo.refresh_changed(view.revision())? => continue,
            Err(e) => return Err(e),
        };
        let manifests = ManifestView::new(merge(lists.into_iter().flatten()), ids);
        *cached = Some((view.revision(), manifests.clone()));
        return Ok(manifests);
    }
}
