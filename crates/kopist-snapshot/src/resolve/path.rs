//! Finding a path that was backed up.

use kopist_format::directory::{DirEntry, UtcNanos};
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{ManifestView, Repository};

use super::SnapshotTime;
use crate::{Result, SnapshotError, SourceInfo, browse, store};

/// A path in a snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotPath {
    /// The snapshot that it was found in: of the path itself or of a directory above it.
    pub snapshot: SnapshotManifest,
    /// Where it is below the snapshot's root; empty for the root.
    pub relative: String,
    /// The entry, with the attributes it was backed up with.
    pub entry: DirEntry,
}

/// Finds a path in the complete snapshots of its source and of the directories above it.
pub fn by_path(
    repo: &Repository,
    view: &ManifestView,
    source: &SourceInfo,
    when: SnapshotTime,
) -> Result<SnapshotPath> {
    if source.path.is_empty() {
        return Err(SnapshotError::NoPath);
    }
    let user = SourceInfo { path: String::new(), ..source.clone() };
    let mut candidates: Vec<(String, SnapshotManifest)> = store::snapshots_of(view, &user)
        .into_iter()
        .filter(|snapshot| snapshot.source.user_name == source.user_name)
        .filter(SnapshotManifest::is_complete)
        .filter_map(|snapshot| Some((below(&snapshot.source.path, &source.path)?, snapshot)))
        .collect();
    candidates.sort_by_key(|(_, snapshot)| (snapshot.start_time, snapshot.end_time));
    match when {
        SnapshotTime::Oldest => {}
        SnapshotTime::Latest => candidates.reverse(),
        SnapshotTime::Before(limit) => {
            let limit = UtcNanos::from(limit);
            candidates.retain(|(_, snapshot)| snapshot.start_time < limit);
            candidates.reverse();
        }
    }
    for (relative, snapshot) in candidates {
        let Some(root) = &snapshot.root_entry else { continue };
        // An older snapshot instead of a damaged one would be a surprise: that is an error.
        if let Some(entry) = descend(repo, root, &relative)? {
            return Ok(SnapshotPath { snapshot, relative, entry });
        }
    }
    Err(SnapshotError::NoSnapshot(source.to_string()))
}

/// Follows a path down from an entry; `None` if it leads nowhere.
fn descend(repo: &Repository, root: &DirEntry, path: &str) -> Result<Option<DirEntry>> {
    let mut current = root.clone();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if !current.is_dir() {
            return Ok(None);
        }
        let found = browse::children(repo, &current)?
            .into_iter()
            .find(|entry| *entry.name == *part.as_bytes());
        match found {
            Some(entry) => current = entry,
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}

/// The path of `path` below `root`, if it is below it or the same.
fn below(root: &str, path: &str) -> Option<String> {
    let rest = path.strip_prefix(root)?;
    if rest.is_empty() || root.ends_with('/') {
        return Some(rest.to_owned());
    }
    rest.strip_prefix('/').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_path_is_below_its_parents_only() {
        for (root, path, expected) in [
            ("/a/b", "/a/b", Some("")),
            ("/a", "/a/b/c", Some("b/c")),
            ("/", "/a/b", Some("a/b")),
            ("/a/b", "/a/bc", None),
            ("/a/b", "/a", None),
            ("/x", "/a", None),
        ] {
            assert_eq!(below(root, path).as_deref(), expected, "{root} {path}");
        }
    }
}
