//! Paths that were backed up, and which snapshot they mean.

use std::sync::Arc;

use kopist_repo::{Clock, ManualClock};
use kopist_snapshot::SnapshotError;
use kopist_snapshot::resolve::{SnapshotPath, SnapshotTime, by_path};

use crate::common::{new_repository, open_at, snapshot, source};

#[test]
fn a_path_is_found_in_snapshots_of_it_and_of_the_directories_above() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::create_dir_all(path.join("a/b")).unwrap();
    std::fs::write(path.join("a/b/f"), b"1").unwrap();
    let (store, _repo) = new_repository();
    let clock = Arc::new(ManualClock::new("2024-03-01T10:00:00Z".parse().unwrap()));
    let repo = open_at(store, clock.clone() as Arc<dyn Clock>);
    let first = snapshot(&repo, &path);
    clock.set("2024-03-02T10:00:00Z".parse().unwrap());
    std::fs::write(path.join("a/b/new"), b"2").unwrap();
    let inner = snapshot(&repo, &path.join("a"));
    clock.set("2024-03-03T10:00:00Z".parse().unwrap());
    let last = snapshot(&repo, &path);

    let view = repo.manifests().unwrap();
    let find = |below: &str, when: SnapshotTime| -> Result<(String, String), SnapshotError> {
        let path = path.join(below).to_str().unwrap().to_owned();
        let SnapshotPath { snapshot, relative, entry } =
            by_path(&repo, &view, &source(path.trim_end_matches('/')), when)?;
        assert_eq!(entry.is_dir(), !below.contains("b/"), "{below}");
        Ok((snapshot.start_time.to_string(), relative))
    };
    let before = |time: &str| SnapshotTime::Before(time.parse().unwrap());
    let at = |manifest: &kopist_format::snapshot::SnapshotManifest, relative: &str| {
        (manifest.start_time.to_string(), relative.to_owned())
    };
    assert_eq!(find("a/b/f", SnapshotTime::Latest).unwrap(), at(&last, "a/b/f"));
    assert_eq!(find("", SnapshotTime::Latest).unwrap(), at(&last, ""));
    assert_eq!(find("a/b/f", SnapshotTime::Oldest).unwrap(), at(&first, "a/b/f"));
    assert_eq!(find("a/b/new", SnapshotTime::Oldest).unwrap(), at(&inner, "b/new"));
    assert_eq!(find("a/b/f", before("2024-03-03T10:00:00Z")).unwrap(), at(&inner, "b/f"));
    assert_eq!(find("a", before("2024-03-02T10:00:00Z")).unwrap(), at(&first, "a"));
    for (below, when) in [
        ("a/b/f", before("2024-03-01T10:00:00Z")),
        ("a/none", SnapshotTime::Latest),
        ("a/b/f/g", SnapshotTime::Latest),
    ] {
        assert!(matches!(find(below, when), Err(SnapshotError::NoSnapshot(_))), "{below}");
    }
}
