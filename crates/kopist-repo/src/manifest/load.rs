//! Reading all manifests.

use kopist_format::{
    id::ContentId,
    manifest::{ManifestEntry, decode, merge},
};
use parking_lot::Mutex;

use super::ManifestView;
use crate::{
    error::{RepoError, Result, Unreadable},
    index::{IndexView, KeyRange},
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
        let ids = contents(&view)?;
        let read = parallel_map(&ids, PARALLEL, |id| read(repo, id));
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

/// The manifests that can be read, and the contents of the others. Nothing is taken from a content
/// that is damaged in part: what it has lost may be a deletion as well as a snapshot.
pub(crate) fn load_readable(
    repo: &Repository,
    cache: &ManifestCache,
) -> Result<(ManifestView, Vec<Unreadable>)> {
    loop {
        match load(repo, cache) {
            Ok(view) => return Ok((view, Vec::new())),
            Err(e) if !e.is_damage() => return Err(e),
            Err(_) => {}
        }
        let view = repo.fresh_index()?;
        let ids = contents(&view)?;
        let results = parallel_map(&ids, PARALLEL, |id| match read(repo, id) {
            Err(e) if !e.is_damage() => Err(e),
            result => Ok((*id, result)),
        })?;
        let (mut lists, mut whole, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for (id, result) in results {
            match result {
                Ok(entries) => {
                    lists.push(entries);
                    whole.push(id);
                }
                Err(e) => unreadable.push(Unreadable::new(format!("manifests in content {id}"), e)),
            }
        }
        if repo.refresh_changed(view.revision())? {
            continue;
        }
        return Ok((ManifestView::new(merge(lists.into_iter().flatten()), whole), unreadable));
    }
}

/// The contents that hold manifests.
fn contents(view: &IndexView) -> Result<Vec<ContentId>> {
    let mut ids: Vec<ContentId> = Vec::new();
    for entry in view.entries(&KeyRange::prefix('m')) {
        let (_, entry) = entry?;
        if !entry.deleted {
            ids.push(entry.id);
        }
    }
    Ok(ids)
}

fn read(repo: &Repository, id: &ContentId) -> Result<Vec<ManifestEntry>> {
    let data = repo.read_content(id)?;
    decode(&data).map_err(|e| RepoError::format(format!("manifest content {id}"), e))
}
