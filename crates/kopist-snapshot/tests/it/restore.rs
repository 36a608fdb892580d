//! What comes back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use kopist_blob::{BlobId, BlobStore, ByteRange, Operation, PutOptions, Recording, list_all};
use kopist_format::directory::{DirBuilder, DirEntry, EntryType, Permissions, UtcNanos};
use kopist_format::id::{IdPrefix, ObjectId};
use kopist_repo::{ObjectOptions, Repository};
use kopist_snapshot::browse;
use kopist_snapshot::restore::{RestoreError, RestoreOptions, RestoreStats, Silent, restore};
use kopist_snapshot::upload::Cancel;
use kopist_testkit::tree::{Comparison, RandomTree, Rng, TreeShape, compare, list};

use crate::common::{new_repository, open, snapshot, writer};

pub(crate) fn root_of(manifest: &kopist_format::snapshot::SnapshotManifest) -> DirEntry {
    manifest.root_entry.clone().unwrap()
}

pub(crate) fn restore_to(
    repo: &Repository,
    root: &DirEntry,
    target: &Path,
    options: &RestoreOptions,
) -> Result<RestoreStats, RestoreError> {
    restore(repo, root, target, options, &Silent)
}

#[track_caller]
pub(crate) fn assert_same(source: &Path, target: &Path) {
    let differences = compare(&list(source), &list(target), Comparison::restored());
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn everything_comes_back() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    let shape = TreeShape { directories: 30, files: 150, largest: 6_000_000, links: 10 };
    RandomTree::create(&source, 21, shape);
    fs::write(source.join("empty"), "").unwrap();
    fs::write(source.join("twice"), Rng::new(1).bytes(9_000_000)).unwrap();
    fs::copy(source.join("twice"), source.join("again")).unwrap();
    fs::set_permissions(source.join("empty"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::create_dir(source.join("closed")).unwrap();
    fs::write(source.join("closed/inside"), "x").unwrap();
    fs::set_permissions(source.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let (_, repo) = new_repository();
    let manifest = snapshot(&repo, &source);
    let root = root_of(&manifest);
    for (number, parallel) in [1, 4, 16].into_iter().enumerate() {
        for atomic in [false, true] {
            let target = temp.path().join(format!("target{number}{atomic}"));
            let options =
                RestoreOptions { parallel, atomic, sparse: atomic, ..RestoreOptions::default() };
            let stats = restore_to(&repo, &root, &target, &options).unwrap();
            assert_same(&source, &target);
            let summary = root.summary.as_ref().unwrap();
            assert_eq!(stats.files as i64, summary.files);
            assert_eq!(stats.bytes as i64, summary.size);
            assert_eq!(stats.symlinks as i64, summary.symlinks);
            assert_eq!(stats.directories as i64, summary.dirs);
            // Over what is there already: the same once more.
            restore_to(&repo, &root, &target, &options).unwrap();
            assert_same(&source, &target);
        }
    }
    fs::set_permissions(source.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn few_reads_for_many_files() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    RandomTree::create(
        &source,
        22,
        TreeShape { directories: 40, files: 400, largest: 2000, links: 0 },
    );
    let (store, repo) = new_repository();
    let root = root_of(&snapshot(&repo, &source));
    let recording = std::sync::Arc::new(kopist_blob::Recording::new(store));
    let repo = open(recording.clone());
    recording.clear();
    restore_to(&repo, &root, &temp.path().join("target"), &RestoreOptions::default()).unwrap();
    let reads = recording.calls().len();
    assert!(reads < 40, "{reads} reads for 400 files in one pack");
}

#[test]
fn a_file_a_link_and_a_directory_below() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    fs::write(source.join("a/b/f"), "content").unwrap();
    symlink("b/f", source.join("a/l")).unwrap();
    let (_, repo) = new_repository();
    let manifest = snapshot(&repo, &source);
    let view = repo.manifests().unwrap();
    let named = |text: &str| browse::resolve(&repo, &view, text, false);
    let options = RestoreOptions::default();

    let file = named(&format!("{}/a/b/f", manifest.id)).unwrap();
    restore_to(&repo, &file.entry, &temp.path().join("new/place/g"), &options).unwrap();
    assert_eq!(fs::read(temp.path().join("new/place/g")).unwrap(), b"content");
    let link = named(&format!("{}/a/l", manifest.root_object().unwrap())).unwrap();
    restore_to(&repo, &link.entry, &temp.path().join("m"), &options).unwrap();
    assert_eq!(fs::read_link(temp.path().join("m")).unwrap(), Path::new("b/f"));
    let directory = named(&format!("{}//a/", manifest.id)).unwrap();
    restore_to(&repo, &directory.entry, &temp.path().join("d"), &options).unwrap();
    assert_same(&source.join("a"), &temp.path().join("d"));

    // An object id alone has no attributes.
    let object = directory.entry.object.unwrap().to_string();
    let bare = named(&object).unwrap();
    assert!(bare.snapshot.is_none());
    assert_eq!((bare.entry.mode.to_unix(), bare.entry.mtime), (0o555, UtcNanos(0)));
    let bare = named(&file.entry.object.unwrap().to_string()).unwrap();
    assert_eq!((bare.entry.kind, bare.entry.mode.to_unix()), (EntryType::File, 0o644));
    for missing in ["nonsense", "k0123456789abcdef0123456789abcdef"] {
        assert!(named(missing).is_err(), "{missing}");
    }
    assert!(named(&format!("{}/a/x", manifest.id)).is_err());
    assert!(named(&format!("{}/a/b/f/x", manifest.id)).is_err());
}

pub(crate) fn write_file(repo: &Repository, data: &[u8]) -> ObjectId {
    let writer = writer(repo);
    let object = writer.write_object(data, ObjectOptions::default()).unwrap();
    writer.flush().unwrap();
    object
}

/// A directory object with any entries.
pub(crate) fn write_directory(repo: &Repository, entries: Vec<DirEntry>) -> DirEntry {
    let mut builder = DirBuilder::default();
    for entry in entries {
        builder.add(entry);
    }
    let (entries, summary) = builder.build(UtcNanos(0), "");
    let mut bytes = Vec::new();
    kopist_format::directory::write_directory(&mut bytes, &entries, &summary);
    let writer = writer(repo);
    let options = ObjectOptions { prefix: Some(IdPrefix::DIRECTORY), ..ObjectOptions::default() };
    let object = writer.write_object(&bytes, options).unwrap();
    writer.flush().unwrap();
    DirEntry {
        kind: EntryType::Directory,
        mode: Permissions::from_unix(0o755),
        object: Some(object),
        summary: Some(Box::new(summary)),
        ..DirEntry::default()
    }
}

pub(crate) fn file(name: &str, object: ObjectId, size: usize) -> DirEntry {
    DirEntry {
        name: name.as_bytes().into(),
        mode: Permissions::from_unix(0o644),
        size: size as i64,
        object: Some(object),
        ..DirEntry::default()
    }
}

#[test]
fn names_cannot_lead_out_of_the_target() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let object = write_file(&repo, b"evil");
    let inner = write_directory(&repo, vec![file("fine", object, 4)]);
    let names = ["../evil", "..", ".", "/evil", "sub/evil", "a\0b"];
    let as_files = names.iter().map(|name| file(name, object, 4));
    let as_directories =
        names.iter().map(|name| DirEntry { name: name.as_bytes().into(), ..inner.clone() });
    for (number, evil) in
        [as_files.collect::<Vec<_>>(), as_directories.collect()].into_iter().enumerate()
    {
        let mut entries = vec![file("good", object, 4)];
        entries.extend(evil);
        let root = write_directory(&repo, entries);
        let outer = temp.path().join(format!("outer{number}"));
        let target = outer.join("target");
        let error = restore_to(&repo, &root, &target, &RestoreOptions::default()).unwrap_err();
        assert!(matches!(error, RestoreError::UnsafeName { .. }), "{error}");
        let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
        let stats = restore_to(&repo, &root, &target, &options).unwrap();
        assert_eq!((stats.files, stats.ignored_errors), (1, 6));
        assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&outer).unwrap().count(), 1);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), number + 1);
    }
}

#[test]
fn links_in_the_target_are_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let object = write_file(&repo, b"new");
    let inner = write_directory(&repo, vec![file("f", object, 3)]);
    let root = write_directory(
        &repo,
        vec![file("file", object, 3), DirEntry { name: b"dir"[..].into(), ..inner }],
    );
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "old").unwrap();
    let target = temp.path().join("target");
    fs::create_dir(&target).unwrap();
    symlink(outside.join("victim"), target.join("file")).unwrap();
    symlink(&outside, target.join("dir")).unwrap();
    let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
    let stats = restore_to(&repo, &root, &target, &options).unwrap();
    // The link to a directory is an error, the link to a file is replaced.
    assert_eq!((stats.files, stats.ignored_errors), (1, 1));
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"old");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(target.join("file")).unwrap(), b"new");
    assert!(!target.join("file").is_symlink());
    // With delete-extra the link to the directory makes room for a directory.
    let options = RestoreOptions { delete_extra: true, ..RestoreOptions::default() };
    let stats = restore_to(&repo, &root, &target, &options).unwrap();
    assert_eq!((stats.files, stats.deleted_symlinks), (2, 1));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn what_exists_is_kept_replaced_or_refused() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir_all(source.join("d")).unwrap();
    fs::write(source.join("f"), "file").unwrap();
    fs::write(source.join("d/g"), "inner").unwrap();
    symlink("f", source.join("l")).unwrap();
    let (_, repo) = new_repository();
    let root = root_of(&snapshot(&repo, &source));
    let target = temp.path().join("target");
    let default = RestoreOptions::default;
    restore_to(&repo, &root, &target, &default()).unwrap();
    for options in [
        RestoreOptions { overwrite_files: false, ..default() },
        RestoreOptions { overwrite_directories: false, ..default() },
        RestoreOptions { overwrite_symlinks: false, ..default() },
    ] {
        let error = restore_to(&repo, &root, &target, &options).unwrap_err();
        assert!(matches!(error, RestoreError::Exists { .. }), "{error}");
    }
    // What looks the same is left alone; what does not is written again.
    fs::write(target.join("f"), "longer than before").unwrap();
    let same = fs::metadata(target.join("d/g")).unwrap().ctime_nsec();
    let skip = RestoreOptions { skip_existing: true, ..default() };
    let stats = restore_to(&repo, &root, &target, &skip).unwrap();
    assert_eq!((stats.files, stats.skipped), (1, 2));
    assert_eq!(fs::metadata(target.join("d/g")).unwrap().ctime_nsec(), same);
    assert_same(&source, &target);

    // Extra entries, and entries of another kind.
    fs::write(target.join("extra"), "x").unwrap();
    fs::create_dir_all(target.join("more/deep")).unwrap();
    fs::write(target.join("more/deep/file"), "x").unwrap();
    symlink("/", target.join("more/link")).unwrap();
    fs::remove_file(target.join("f")).unwrap();
    fs::create_dir(target.join("f")).unwrap();
    let plain = restore_to(&repo, &root, &target, &default()).unwrap_err();
    assert!(plain.to_string().contains('f'), "{plain}");
    let delete = RestoreOptions { delete_extra: true, ..default() };
    let stats = restore_to(&repo, &root, &target, &delete).unwrap();
    assert_eq!((stats.deleted_files, stats.deleted_directories, stats.deleted_symlinks), (2, 3, 1));
    assert_same(&source, &target);
}

#[test]
fn attributes_are_applied_even_where_entries_fail() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir_all(source.join("d/e")).unwrap();
    for number in 0..20 {
        fs::write(source.join(format!("d/e/{number}")), Rng::new(number).bytes(5000)).unwrap();
    }
    fs::set_permissions(source.join("d"), fs::Permissions::from_mode(0o750)).unwrap();
    let time = filetime::FileTime::from_unix_time(1_000_000_000, 5);
    filetime::set_file_mtime(&source, time).unwrap();
    let (store, repo) = new_repository();
    let manifest = snapshot(&repo, &source);
    // One byte inside the only data pack is changed.
    let packs = list_all(&*store, "p").unwrap();
    let id: BlobId = packs[0].id.clone();
    let mut body = store.get(&id, ByteRange::Full).unwrap().to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    store.put(&id, &[&body], &PutOptions::default()).unwrap();

    let repo = open(store);
    let root = root_of(&manifest);
    let target = temp.path().join("target");
    let error = restore_to(&repo, &root, &target, &RestoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("/d/e/"), "{error}");
    let target = temp.path().join("target2");
    let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
    let stats = restore_to(&repo, &root, &target, &options).unwrap();
    assert_eq!((stats.files, stats.ignored_errors), (19, 1));
    let mode = fs::metadata(target.join("d")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
    assert_eq!(fs::metadata(&target).unwrap().mtime(), 1_000_000_000);
    // The damaged file is not there as if it were whole.
    let differences = compare(&list(&source), &list(&target), Comparison::contents());
    assert_eq!(differences.missing.len() + differences.different.len(), 1, "{differences}");
}

pub(crate) fn lost_object(text: &str) -> ObjectId {
    text.parse().unwrap()
}

#[test]
fn a_file_with_a_lost_part_is_kept_or_removed() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let part = write_file(&repo, b"0123456789");
    let list = format!(
        r#"{{"stream":"kopia:indirect","entries":[{{"l":10,"o":"{part}"}},{{"s":10,"l":5,"o":"00112233445566778899aabbccddeeff"}}]}}"#
    );
    let writer = writer(&repo);
    let options = ObjectOptions { prefix: Some(IdPrefix::INDIRECT), ..ObjectOptions::default() };
    let list = writer.write_object(list.as_bytes(), options).unwrap();
    writer.flush().unwrap();
    let damaged = file("damaged", ObjectId::indirect(list).unwrap(), 15);
    let lost = file("lost", lost_object("00112233445566778899aabbccddeeff"), 15);
    let root = write_directory(&repo, vec![damaged, lost]);
    for (atomic, keep_damaged) in [(false, true), (false, false), (true, true), (true, false)] {
        let target = temp.path().join(format!("{atomic}{keep_damaged}"));
        let options = RestoreOptions {
            atomic,
            keep_damaged,
            ignore_errors: true,
            ..RestoreOptions::default()
        };
        let stats = restore_to(&repo, &root, &target, &options).unwrap();
        assert_eq!((stats.files, stats.ignored_errors), (0, 2));
        if keep_damaged && !atomic {
            let kept = target.join("damaged");
            assert_eq!(fs::read(&kept).unwrap(), b"0123456789\0\0\0\0\0");
            // It does not pass for what it should be.
            assert_ne!(fs::metadata(&kept).unwrap().mtime(), 0);
            fs::remove_file(kept).unwrap();
        }
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    }
}

#[test]
fn indexes_are_read_anew_once_for_a_lost_pack() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    for number in 0..50 {
        fs::write(source.join(number.to_string()), Rng::new(number).bytes(500)).unwrap();
    }
    let (store, repo) = new_repository();
    let root = root_of(&snapshot(&repo, &source));
    let recording = std::sync::Arc::new(Recording::new(store.clone()));
    let repo = open(recording.clone());
    recording.clear();
    repo.refresh().unwrap();
    let once = recording.count(Operation::List);
    assert!(once > 0);
    store.delete(&list_all(&*store, "p").unwrap()[0].id).unwrap();
    recording.clear();
    let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
    let stats = restore_to(&repo, &root, &temp.path().join("target"), &options).unwrap();
    assert_eq!((stats.files, stats.ignored_errors), (0, 50));
    assert_eq!(recording.count(Operation::List), once);
    // Nor is the pack asked for once for each content.
    let requests = data_reads(&recording).len();
    assert!(requests <= 6, "{requests} requests for a pack that is gone");
}

/// Nothing is missing of such a file, but kopia tells of the pack that is gone, and its owner
/// wants to know.
#[test]
fn an_empty_file_of_a_lost_pack_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let (store, repo) = new_repository();
    let empty = file("empty", write_file(&repo, b""), 0);
    store.delete(&list_all(&*store, "p").unwrap()[0].id).unwrap();
    let root = write_directory(&repo, vec![empty]);
    let repo = open(store);
    let options = RestoreOptions::default();
    let error = restore_to(&repo, &root, &temp.path().join("target"), &options).unwrap_err();
    assert!(matches!(error, RestoreError::Repository { .. }), "{error}");
}

#[test]
fn a_link_of_an_earlier_restore_is_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let (_, repo) = new_repository();
    let to = outside.to_str().unwrap();
    let link = DirEntry {
        kind: EntryType::Symlink,
        ..file("d", write_file(&repo, to.as_bytes()), to.len())
    };
    let first = write_directory(&repo, vec![link]);
    let inner = write_directory(&repo, vec![file("evil", write_file(&repo, b"1"), 1)]);
    let second = write_directory(&repo, vec![DirEntry { name: b"d"[..].into(), ..inner }]);
    let target = temp.path().join("target");
    restore_to(&repo, &first, &target, &RestoreOptions::default()).unwrap();
    let error = restore_to(&repo, &second, &target, &RestoreOptions::default()).unwrap_err();
    assert!(matches!(error, RestoreError::Exists { .. }), "{error}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_directory_that_cannot_be_read_is_one_error_and_has_its_attributes() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let good = file("good", write_file(&repo, b"1"), 1);
    let lost = DirEntry {
        name: b"lost"[..].into(),
        kind: EntryType::Directory,
        mode: Permissions::from_unix(0o750),
        mtime: UtcNanos(1_500_000_000_000_000_001),
        object: Some(lost_object("k00112233445566778899aabbccddeeff")),
        ..DirEntry::default()
    };
    let odd = DirEntry { kind: "x".into(), ..file("odd", good.object.unwrap(), 1) };
    let none = DirEntry { object: None, ..file("none", good.object.unwrap(), 1) };
    let root = write_directory(&repo, vec![good, lost, odd, none]);
    let target = temp.path().join("target");
    let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
    let stats = restore_to(&repo, &root, &target, &options).unwrap();
    assert_eq!((stats.files, stats.directories, stats.ignored_errors), (1, 2, 3));
    let lost = fs::metadata(target.join("lost")).unwrap();
    assert_eq!(lost.permissions().mode() & 0o7777, 0o750);
    assert_eq!((lost.mtime(), lost.mtime_nsec()), (1_500_000_000, 1));
    // A file does not take the place of a directory.
    let file = file("f", write_file(&repo, b"2"), 1);
    assert!(restore_to(&repo, &file, &target, &RestoreOptions::default()).is_err());
    assert!(target.join("good").is_file());
}

#[test]
fn attributes_are_left_when_asked() {
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let root = write_directory(&repo, vec![file("f", write_file(&repo, b"1"), 1)]);
    let options = RestoreOptions {
        skip_owners: true,
        skip_permissions: true,
        skip_times: true,
        ..RestoreOptions::default()
    };
    let target = temp.path().join("target");
    restore_to(&repo, &root, &target, &options).unwrap();
    let found = fs::metadata(target.join("f")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    assert_ne!(found.mtime(), 0);
}

#[test]
fn it_can_be_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    RandomTree::create(&source, 23, TreeShape::default());
    let (_, repo) = new_repository();
    let root = root_of(&snapshot(&repo, &source));
    let cancel = Cancel::default();
    cancel.cancel();
    let options = RestoreOptions { cancel, ..RestoreOptions::default() };
    let error = restore_to(&repo, &root, &temp.path().join("t"), &options).unwrap_err();
    assert!(matches!(error, RestoreError::Canceled));
}

#[test]
fn deep_and_wide_trees() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    let mut path = source.clone();
    for _ in 0..400 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("bottom"), "x").unwrap();
    for number in 0..2500 {
        fs::create_dir(source.join(number.to_string())).unwrap();
        fs::write(source.join(number.to_string()).join("f"), number.to_string()).unwrap();
    }
    let (_, repo) = new_repository();
    let root = root_of(&snapshot(&repo, &source));
    let target = temp.path().join("target");
    restore_to(&repo, &root, &target, &RestoreOptions::default()).unwrap();
    assert_same(&source, &target);
}

/// Lengths of all reads of packs with data.
fn data_reads<S: BlobStore>(recording: &Recording<S>) -> Vec<u64> {
    let is_data = |call: &&kopist_blob::Call| matches!(&call.target, kopist_blob::Target::Blob(id) if id.as_str().starts_with('p'));
    recording.calls().iter().filter(is_data).map(|call| call.amount).collect()
}

/// Bytes in packs of the contents of all files below a root, each once, by pack.
fn needed(repo: &Repository, root: &DirEntry) -> std::collections::BTreeMap<String, u64> {
    let mut contents = std::collections::BTreeMap::new();
    for (_, entry) in crate::common::tree(repo, &root.object.unwrap()) {
        if entry.is_dir() {
            continue;
        }
        let mut add = |content| {
            let info = repo.content_info(&content).unwrap().unwrap();
            contents.insert(content, info);
        };
        repo.object_contents(&entry.object.unwrap(), &mut add).unwrap();
    }
    let mut packs = std::collections::BTreeMap::new();
    for info in contents.into_values().filter(|info| info.pack.starts_with('p')) {
        *packs.entry(info.pack.to_string()).or_insert(0) += u64::from(info.packed_length);
    }
    packs
}

/// A repository whose packs are small, so that there are many.
fn with_small_packs() -> (std::sync::Arc<kopist_blob::MemoryStore>, Repository) {
    let (store, repo) = new_repository();
    let change = kopist_repo::ParameterChange {
        max_pack_size: Some(10 << 20),
        ..kopist_repo::ParameterChange::default()
    };
    repo.set_parameters(&change).unwrap();
    let repo = open(store.clone());
    (store, repo)
}

#[test]
fn no_more_is_read_than_is_needed() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    let shape = TreeShape { directories: 60, files: 1500, largest: 300_000, links: 0 };
    let mut tree = RandomTree::create(&source, 24, shape);
    let (store, repo) = with_small_packs();
    let first = root_of(&snapshot(&repo, &source));
    let copy = temp.path().join("copy");
    restore_to(&repo, &first, &copy, &RestoreOptions::default()).unwrap();
    // Parts of what is in the packs are not needed any more.
    tree.change(400);
    let second = root_of(&snapshot(&repo, &source));
    let recording = std::sync::Arc::new(Recording::new(store));
    let repo = open(recording.clone());
    let target = temp.path().join("target");
    for (root, original, parallel) in
        [(&first, &copy, 1), (&first, &copy, 8), (&second, &source, 4)]
    {
        let packs = needed(&repo, root);
        assert!(packs.len() > 2, "{} packs", packs.len());
        let bytes: u64 = packs.values().sum();
        // One read is at most 4 MiB.
        let reads: u64 = packs.values().map(|bytes| bytes.div_ceil(4 << 20)).sum();
        recording.clear();
        let options = RestoreOptions { parallel, delete_extra: true, ..RestoreOptions::default() };
        restore_to(&repo, root, &target, &options).unwrap();
        let found = data_reads(&recording);
        let total: u64 = found.iter().sum();
        assert!(total * 10 <= bytes * 11, "{total} bytes read, {bytes} needed");
        if root == &first {
            assert!(found.len() as u64 * 10 <= reads * 11, "{} reads of {reads}", found.len());
        }
        assert_same(original, &target);
    }

    // A restore that was interrupted reads what is missing.
    let mut removed = 0;
    for (number, path) in walkdir(&target).into_iter().enumerate() {
        if number % 3 == 0 {
            removed += 1;
            fs::remove_file(path).unwrap();
        } else if number % 7 == 1 {
            // As an interruption leaves it: shorter, or not with its own time.
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1).unwrap();
        }
    }
    recording.clear();
    let options = RestoreOptions { skip_existing: true, ..RestoreOptions::default() };
    let stats = restore_to(&repo, &second, &target, &options).unwrap();
    assert!(stats.files > removed && stats.skipped > 0, "{stats:?}");
    let total: u64 = data_reads(&recording).iter().sum();
    assert!(total * 10 <= stats.bytes * 11, "{total} bytes read for {}", stats.bytes);
    assert_same(&source, &target);
}

/// The files below a directory, sorted.
fn walkdir(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() { found.extend(walkdir(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn somebody_who_swaps_directories_for_links_leads_nothing_out() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let temp = tempfile::tempdir().unwrap();
    let (_, repo) = new_repository();
    let object = write_file(&repo, &Rng::new(1).bytes(3000));
    let files = |prefix: &str| {
        (0..40).map(|number| file(&format!("{prefix}{number}"), object, 3000)).collect::<Vec<_>>()
    };
    let inner = DirEntry { name: b"inner"[..].into(), ..write_directory(&repo, files("i")) };
    let mut entries = files("d");
    entries.push(inner);
    let dir = DirEntry { name: b"dir"[..].into(), ..write_directory(&repo, entries) };
    let root = write_directory(&repo, vec![dir]);
    let (outside, target) = (temp.path().join("outside"), temp.path().join("target"));
    fs::create_dir_all(outside.join("inner")).unwrap();
    for number in 0..40 {
        fs::write(outside.join(format!("d{number}")), "mine").unwrap();
    }
    let before = list(&outside);
    fs::create_dir_all(target.join("dir/inner")).unwrap();
    let done = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let (real, aside) = (target.join("dir"), target.join("aside"));
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                if fs::rename(&real, &aside).is_err() {
                    continue;
                }
                if symlink(&outside, &real).is_ok() {
                    swaps += 1;
                    std::thread::yield_now();
                    let _ = fs::remove_file(&real);
                }
                // If a restore made a new directory meanwhile, the old one stays aside.
                if fs::rename(&aside, &real).is_err() {
                    let _ = fs::remove_dir_all(&aside);
                }
                std::thread::yield_now();
            }
            swaps
        });
        for round in 0..60 {
            let options = RestoreOptions {
                ignore_errors: true,
                delete_extra: round % 2 == 0,
                atomic: round % 3 == 0,
                shallow: (round % 5 == 0).then_some(1),
                ..RestoreOptions::default()
            };
            let _ = restore_to(&repo, &root, &target, &options);
        }
        done.store(true, Ordering::Relaxed);
        swapper.join().unwrap()
    });
    assert!(swaps > 0);
    let found = compare(&before, &list(&outside), Comparison::full());
    assert!(found.is_empty(), "{found}");
}
