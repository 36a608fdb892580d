//! Looking into snapshots: directories of the repository, and what an id with a path names.
//!
//! Facts: `kopia:snapshot/snapshotfs/objref.go`, `repofs.go`.

use kopist_format::directory::{DirEntry, DirectoryManifest, EntryType, Permissions};
use kopist_format::id::ObjectId;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{ManifestView, Repository};

use crate::error::{Result, SnapshotError};
use crate::store;

/// What an id with a path names.
#[derive(Clone, Debug)]
pub struct Named {
    /// The entry. Its attributes are made up when only an object id was given.
    pub entry: DirEntry,
    /// The snapshot that it was found in, if any.
    pub snapshot: Option<SnapshotManifest>,
}

/// The entries of a directory, each name once, with the attributes that readers show.
///
/// A directory below has the newest modification time below it, not its own: that is what
/// kopia's readers show and restore.
pub fn children(repo: &Repository, directory: &DirEntry) -> Result<Vec<DirEntry>> {
    let name = || directory.name_text().into_owned();
    if !directory.is_dir() {
        return Err(SnapshotError::NotADirectory(name()));
    }
    let object = directory.object.ok_or_else(|| SnapshotError::NoObject(name()))?;
    read_directory(repo, &object)
}

/// The entries of a directory object; see [`children`].
pub fn read_directory(repo: &Repository, object: &ObjectId) -> Result<Vec<DirEntry>> {
    let bytes = repo.read_object(object)?;
    let mut entries = DirectoryManifest::parse(&bytes)
        .map_err(|source| SnapshotError::Directory { object: *object, source })?
        .entries;
    for entry in &mut entries {
        if entry.is_dir()
            && let Some(summary) = &entry.summary
        {
            entry.mtime = summary.max_time;
            entry.size = summary.size;
        }
    }
    keep_last_of_each_name(&mut entries);
    Ok(entries)
}

/// Whether a name stays in its directory: names in a repository are data from outside.
#[must_use]
pub fn is_safe_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// Of several entries with one name the last one counts.
fn keep_last_of_each_name(entries: &mut Vec<DirEntry>) {
    let mut names: Vec<&[u8]> = entries.iter().map(|entry| &*entry.name).collect();
    names.sort_unstable();
    if names.windows(2).all(|pair| pair[0] != pair[1]) {
        return;
    }
    let mut seen = std::collections::HashSet::new();
    entries.reverse();
    entries.retain(|entry| seen.insert(entry.name.clone()));
    entries.reverse();
}

/// Finds what `ID[/path]` names. The id is one of a snapshot or of an object.
///
/// An object id takes the attributes of a snapshot that has it as its root; with `consistent`
/// all such snapshots must agree on them. Without such a snapshot the attributes are made up,
/// as kopia does: mode 0555 or 0644, root as the owner, 1970.
pub fn resolve(
    repo: &Repository,
    view: &ManifestView,
    text: &str,
    consistent: bool,
) -> Result<Named> {
    let mut parts = text.split('/').filter(|part| !part.is_empty());
    let id = parts.next().unwrap_or_default();
    let path: Vec<&str> = parts.collect();
    let mut named = match view.get(id) {
        Some(_) => of_snapshot(store::load_snapshot(view, id)?)?,
        None => of_object(repo, view, id, consistent && path.is_empty())?,
    };
    for part in path {
        let entry =
            children(repo, &named.entry)?.into_iter().find(|entry| *entry.name == *part.as_bytes());
        named.entry = entry.ok_or_else(|| SnapshotError::EntryNotFound(text.to_owned()))?;
    }
    Ok(named)
}

/// The root of a snapshot.
pub fn of_snapshot(manifest: SnapshotManifest) -> Result<Named> {
    let entry = manifest
        .root_entry
        .clone()
        .ok_or_else(|| SnapshotError::NoObject(format!("root of snapshot {}", manifest.id)))?;
    Ok(Named { entry, snapshot: Some(manifest) })
}

fn of_object(repo: &Repository, view: &ManifestView, id: &str, consistent: bool) -> Result<Named> {
    let object: ObjectId = id.parse().map_err(|_| SnapshotError::UnknownId(id.to_owned()))?;
    let mut found = store::all_snapshots(view, &std::collections::BTreeMap::new());
    found.retain(|manifest| manifest.root_object() == Some(object));
    let differ = found.windows(2).any(|pair| pair[0].root_entry != pair[1].root_entry);
    if differ && consistent {
        return Err(SnapshotError::InconsistentAttributes(id.to_owned()));
    }
    if let Some(manifest) = found.into_iter().max_by_key(|manifest| manifest.start_time) {
        return of_snapshot(manifest);
    }
    let is_directory = object.content().prefix() == Some('k')
        && repo.read_object(&object).is_ok_and(|bytes| DirectoryManifest::parse(&bytes).is_ok());
    let entry = if is_directory {
        DirEntry {
            kind: EntryType::Directory,
            mode: Permissions::from_unix(0o555),
            ..DirEntry::default()
        }
    } else {
        let size = repo.open_object(&object)?.len();
        DirEntry { mode: Permissions::from_unix(0o644), size: size as i64, ..DirEntry::default() }
    };
    Ok(Named { entry: DirEntry { object: Some(object), ..entry }, snapshot: None })
}

#[cfg(test)]
mod tests {
    use super::is_safe_name;

    #[test]
    fn names_that_lead_elsewhere() {
        for name in [&b""[..], b".", b"..", b"/", b"/etc", b"a/b", b"../x", b"a\0"] {
            assert!(!is_safe_name(name), "{name:?}");
        }
        for name in [&b"a"[..], b"...", b".a", b"a..", b"\\", b"\xff", b" "] {
            assert!(is_safe_name(name), "{name:?}");
        }
    }
}
