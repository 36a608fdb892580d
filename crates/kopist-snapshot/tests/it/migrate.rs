//! Snapshots that change repositories or owners, and what differs between two.

use std::cell::RefCell;
use std::fs;

use kopist_format::directory::{DirEntry, UtcNanos};
use kopist_snapshot::diff::{DiffStats, diff};
use kopist_snapshot::history::{Fate, Transfer, transfer};
use kopist_snapshot::migrate::{Migration, Step};
use kopist_snapshot::store::{save_snapshot, snapshots_of};
use kopist_snapshot::upload::{Cancel, Silent};
use kopist_snapshot::{SnapshotError, SourceInfo};
use kopist_testkit::tree::{RandomTree, TreeShape};

use crate::common::{new_repository, snapshot, source, tree, writer};
use crate::restore::{file, lost_object, root_of, write_directory, write_file};

#[test]
fn a_migrated_snapshot_is_like_its_original() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("source");
    let mut random = RandomTree::create(&path, 81, TreeShape::default());
    let (_, from) = new_repository();
    let mut originals = vec![snapshot(&from, &path)];
    random.change(10);
    let mut second = snapshot(&from, &path);
    // With everything that a snapshot can have.
    let writer_from = writer(&from);
    second.description = "why".into();
    second.tags = [("tag:a".to_owned(), "b".to_owned())].into();
    second.pins = vec!["keep".into()];
    kopist_snapshot::store::update_snapshot(&writer_from, &mut second).unwrap();
    let mut incomplete = second.clone();
    incomplete.incomplete = "checkpoint".into();
    incomplete.start_time = UtcNanos(second.start_time.0 + 1);
    save_snapshot(&writer_from, &incomplete).unwrap();
    writer_from.flush().unwrap();
    originals.push(second);

    let (_, to) = new_repository();
    let source = source(path.to_str().unwrap());
    let run = |latest_only| {
        let writer = writer(&to);
        let migration = Migration {
            from: &from,
            writer: &writer,
            apply_ignore_rules: false,
            latest_only,
            cancel: Cancel::default(),
            progress: &Silent,
        };
        let steps = RefCell::new(Vec::new());
        let failed = migration.source(&source, &|_, step| steps.borrow_mut().push(step)).unwrap();
        assert_eq!(failed, 0);
        writer.flush().unwrap();
        steps.into_inner()
    };
    assert_eq!(run(true), [Step::Migrating]);
    assert_eq!(run(false), [Step::Migrating, Step::AlreadyHere, Step::Incomplete]);
    assert_eq!(run(false), [Step::AlreadyHere, Step::AlreadyHere, Step::Incomplete]);
    let mut copies = snapshots_of(&to.manifests().unwrap(), &source);
    copies.sort_by_key(|copy| copy.start_time);
    assert_eq!(copies.len(), 2);
    for (original, copy) in originals.iter().zip(&copies) {
        assert_eq!(
            (&original.tags, &original.pins, &original.description, original.end_time),
            (&copy.tags, &copy.pins, &copy.description, copy.end_time)
        );
        // Every entry is the same but for its object.
        let plain = |entry: DirEntry| DirEntry { object: None, ..entry };
        let (a, b) = (root_of(original), root_of(copy));
        assert_eq!(plain(a.clone()), plain(b.clone()));
        let a = tree(&from, &a.object.unwrap());
        let b = tree(&to, &b.object.unwrap());
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        for (path, entry) in a {
            assert_eq!(plain(entry), plain(b[&path].clone()), "{path}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted() {
    let (_, from) = new_repository();
    let good = file("good", write_file(&from, b"1"), 1);
    let lost = file("lost", lost_object("00112233445566778899aabbccddeeff"), 15);
    let root = DirEntry { name: b"p"[..].into(), ..write_directory(&from, vec![good, lost]) };
    let writer_from = writer(&from);
    let source = source("/p");
    let manifest = kopist_format::snapshot::SnapshotManifest {
        source: (&source).into(),
        root_entry: Some(root),
        ..Default::default()
    };
    save_snapshot(&writer_from, &manifest).unwrap();
    writer_from.flush().unwrap();
    let (_, to) = new_repository();
    let writer = writer(&to);
    let migration = Migration {
        from: &from,
        writer: &writer,
        apply_ignore_rules: false,
        latest_only: false,
        cancel: Cancel::default(),
        progress: &Silent,
    };
    assert_eq!(migration.source(&source, &|_, _| {}).unwrap(), 1);
}

#[test]
fn history_changes_hands() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("f"), "f").unwrap();
    let (_, repo) = new_repository();
    let path = temp.path().to_str().unwrap();
    snapshot(&repo, temp.path());
    snapshot(&repo, temp.path());
    let fates = |from: &SourceInfo, to: &SourceInfo, how: Transfer| {
        let writer = writer(&repo);
        let mut fates = Vec::new();
        let result = transfer(&writer, from, to, how, &mut |_, _, fate| fates.push(fate));
        writer.flush().unwrap();
        result.map(|()| fates)
    };
    let count = |source: &SourceInfo| snapshots_of(&repo.manifests().unwrap(), source).len();
    let copy = Transfer::default();
    let dry = Transfer { dry_run: true, delete_originals: true };
    let cut = Transfer { dry_run: false, delete_originals: true };
    let (here, there) = (source(path), SourceInfo::new("user", "there", path));
    let host = SourceInfo::new("", "there", "");
    assert_eq!(fates(&here, &host, dry).unwrap(), [Fate::Transferred; 2]);
    assert_eq!(count(&there), 0);
    assert_eq!(fates(&here, &host, copy).unwrap(), [Fate::Transferred; 2]);
    assert_eq!(fates(&here, &host, copy).unwrap(), [Fate::Exists; 2]);
    assert_eq!((count(&here), count(&there)), (2, 2));
    assert_eq!(fates(&here, &host, cut).unwrap(), [Fate::ExistsAndDeleted; 2]);
    assert_eq!((count(&here), count(&there)), (0, 2));
    // To where they are nothing is done.
    assert_eq!(fates(&there, &host, cut).unwrap(), []);
    assert_eq!(fates(&there, &here, cut).unwrap(), [Fate::Transferred; 2]);
    assert_eq!((count(&here), count(&there)), (2, 0));
    let all = SourceInfo::new("", "host", "");
    for to in [SourceInfo::new("u", "h", ""), SourceInfo::new("", "h", "/p")] {
        let error = fates(&all, &to, copy).unwrap_err();
        assert!(matches!(error, SnapshotError::Collapse(_)), "{error}");
    }
}

#[test]
fn differences_are_counted() {
    let (_, repo) = new_repository();
    let data = |text: &str| write_file(&repo, text.as_bytes());
    let f = |name: &str, text: &str| file(name, data(text), text.len());
    let dir = |name: &str, entries| DirEntry {
        name: name.as_bytes().into(),
        ..write_directory(&repo, entries)
    };
    let same = f("same", "same");
    let touched = DirEntry { mtime: UtcNanos(5), uid: 3, ..f("touched", "t") };
    let first = write_directory(
        &repo,
        vec![same.clone(), f("touched", "t"), f("gone", "1"), dir("d", vec![f("x", "1")])],
    );
    let second = write_directory(
        &repo,
        vec![same, touched, dir("new", vec![f("y", "1")]), dir("d", vec![f("x", "22")])],
    );
    let mut seen = Vec::new();
    let stats: Result<DiffStats, SnapshotError> =
        diff(&repo, &first, &second, &mut |path, difference| {
            let text = format!("{difference:?}");
            seen.push(format!("{path} {}", text.split('(').next().unwrap()));
            Ok(())
        });
    let stats = stats.unwrap();
    assert_eq!(
        seen,
        [
            "./d Attributes",
            "./d/x Attributes",
            "./d/x Changed",
            "./new Added",
            "./new/y Added",
            "./gone Removed"
        ]
    );
    let (files, directories) = (stats.file_entries, stats.directory_entries);
    assert_eq!((files.added, files.removed, files.modified), (1, 1, 2));
    assert_eq!((directories.added, directories.removed, directories.modified), (1, 0, 1));
    assert_eq!(files.same_content_but_different_metadata, 1);
    assert_eq!(files.same_content_but_different_user_owner, 1);
}
