//! What the uploader stores.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use kopist_format::directory::{EntryType, UtcNanos};
use kopist_repo::ManualClock;
use kopist_snapshot::fs::StreamFolder;
use kopist_snapshot::policy::Policy;
use kopist_snapshot::upload::{Cancel, Silent, UploadEvent, UploadSource};
use kopist_snapshot::{SnapshotRequest, store};
use kopist_testkit::tree::{RandomTree, TreeShape};
use parking_lot::Mutex;

use crate::common::{
    blobs, new_repository, open_at, paths, request, snapshot, snapshot_with, source, tree, writer,
};

fn set_policy(repo: &kopist_repo::Repository, path: &Path, edit: impl FnOnce(&mut Policy)) {
    let mut policy = Policy::default();
    edit(&mut policy);
    let writer = writer(repo);
    store::set_policy(&writer, &source(path.to_str().unwrap()), &policy).unwrap();
    writer.flush().unwrap();
}

#[test]
fn everything_is_stored_and_nothing_twice() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("src");
    let mut random = RandomTree::create(&root, 7, TreeShape::default());
    let (blob_store, repo) = new_repository();
    let first = snapshot(&repo, &root);
    assert!(first.is_complete());
    let entries = tree(&repo, &first.root_object().unwrap());
    for (path, entry) in &entries {
        let on_disk = root.join(path);
        match entry.kind {
            EntryType::File => {
                let stored = repo.read_object(&entry.object.unwrap()).unwrap();
                assert_eq!(stored, fs::read(&on_disk).unwrap(), "{path}");
                assert_eq!(entry.size, stored.len() as i64);
            }
            EntryType::Symlink => {
                let stored = repo.read_object(&entry.object.unwrap()).unwrap();
                assert_eq!(stored, fs::read_link(&on_disk).unwrap().as_os_str().as_bytes());
            }
            _ => assert!(on_disk.is_dir()),
        }
        if entry.kind != EntryType::Symlink {
            let mode = fs::symlink_metadata(&on_disk).unwrap().permissions().mode();
            assert_eq!(entry.mode.to_unix(), mode & 0o7777, "{path}");
        }
    }
    let summary = first.root_entry.as_ref().unwrap().summary.as_ref().unwrap();
    assert_eq!(
        summary.files as usize,
        entries.values().filter(|e| e.kind == EntryType::File).count()
    );

    // The same again: one manifest in one content, nothing else.
    let packs = blobs(&*blob_store, "p");
    let second = snapshot(&repo, &root);
    assert_eq!(second.root_object(), first.root_object());
    assert_eq!(blobs(&*blob_store, "p"), packs);
    assert_eq!(second.stats.non_cached_files, 0);

    // One index blob for each run.
    let indexes = blobs(&*blob_store, "xn");
    random.change(10);
    let third = snapshot(&repo, &root);
    assert_eq!(blobs(&*blob_store, "xn"), indexes + 1);
    assert_ne!(third.root_object(), first.root_object());
    assert!(third.stats.cached_files > 0);

    // What an incremental run stores is what a full one stores.
    let (_, other) = new_repository();
    let full = snapshot(&other, &root);
    let names = |manifest: &kopist_format::snapshot::SnapshotManifest, repo| {
        tree(repo, &manifest.root_object().unwrap())
            .into_iter()
            .map(|(path, entry)| (path, entry.size, entry.mtime, entry.mode))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&third, &repo), names(&full, &other));
}

#[test]
fn any_number_of_workers_stores_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("src");
    RandomTree::create(&root, 8, TreeShape { directories: 30, files: 200, ..TreeShape::default() });
    let (_, repo) = new_repository();
    let roots: Vec<_> = [1, 2, 3, 16]
        .into_iter()
        .map(|parallel| {
            let mut request = request(&root);
            request.upload.parallel = parallel;
            request.upload.force_hash_percent = 100.0;
            let created = snapshot_with(&repo, request, &Silent);
            assert_eq!(created.manifest.stats.cached_files, 0);
            created.manifest.root_object()
        })
        .collect();
    assert!(roots.iter().all(|root| *root == roots[0]), "{roots:?}");
}

#[test]
fn odd_names_types_and_links() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    fs::write(root.join(OsStr::from_bytes(b"bad\xff")), "1").unwrap();
    fs::write(root.join("a\nb<&>"), "2").unwrap();
    fs::write(root.join("first"), "same").unwrap();
    fs::hard_link(root.join("first"), root.join("second")).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    symlink("does/not/exist", root.join("dangling")).unwrap();
    fs::create_dir(root.join("empty-dir")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let (_, repo) = new_repository();
    let manifest = snapshot(&repo, root);
    let entries = tree(&repo, &manifest.root_object().unwrap());
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["a\nb<&>", "bad\u{fffd}", "dangling", "empty", "empty-dir/", "first", "second", "sparse"]
    );
    assert_eq!(entries["first"].object, entries["second"].object);
    assert_eq!(entries["sparse"].size, 3 << 20);
    let summary = manifest.root_entry.unwrap().summary.unwrap();
    assert_eq!((summary.failed, summary.files, summary.symlinks, summary.dirs), (0, 6, 1, 2));

    set_policy(&repo, root, |policy| policy.error_handling.ignore_unknown_types = Some(false));
    let manifest = snapshot(&repo, root);
    let summary = manifest.root_entry.unwrap().summary.unwrap();
    assert_eq!(summary.failed, 1);
    assert_eq!(summary.errors[0].path, b"pipe");
    assert_eq!(summary.errors[0].error, "unknown or unsupported entry type");
}

#[test]
fn large_files_are_cut_where_the_policy_says() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let content = kopist_testkit::tree::Rng::new(1).bytes(5 << 20);
    fs::write(root.join("five"), &content).unwrap();
    fs::write(root.join("two"), &content[..2 << 20]).unwrap();
    fs::write(root.join("one"), &content[..1 << 20]).unwrap();
    let (_, repo) = new_repository();
    set_policy(&repo, root, |policy| policy.upload.parallel_upload_above_size = Some(1 << 20));
    let manifest = snapshot(&repo, root);
    let entries = tree(&repo, &manifest.root_object().unwrap());
    for (name, length, chunks) in [("five", 5, 6), ("two", 2, 3), ("one", 1, 1)] {
        let object = entries[name].object.unwrap();
        assert_eq!(repo.read_object(&object).unwrap(), content[..length << 20]);
        assert_eq!(repo.object_chunks(&object).unwrap().len(), chunks, "{name}");
        assert_eq!(entries[name].size, (length << 20) as i64);
    }
    // A single file as the source goes the same way.
    let single = snapshot(&repo, &root.join("five"));
    let entry = single.root_entry.unwrap();
    assert_eq!(entry.kind, EntryType::File);
    let summary = entry.summary.unwrap();
    assert_eq!((summary.files, summary.dirs, summary.size), (1, 0, 5 << 20));
    assert_eq!(repo.read_object(&entry.object.unwrap()).unwrap(), content);
}

#[test]
fn unreadable_things_are_recorded_and_the_rest_is_stored() {
    if rustix::process::geteuid().is_root() {
        // Root reads everything; a file that vanishes between listing and opening does as well.
        return vanished_files_are_recorded();
    }
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    fs::write(root.join("fine"), "1").unwrap();
    fs::write(root.join("secret"), "2").unwrap();
    fs::create_dir(root.join("closed")).unwrap();
    let close = |name: &str, mode| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    close("secret", 0);
    close("closed", 0);
    let (_, repo) = new_repository();
    let manifest = snapshot(&repo, root);
    close("closed", 0o755);
    assert_eq!(paths(&repo, &manifest), ["fine"]);
    let summary = manifest.root_entry.unwrap().summary.unwrap();
    assert_eq!(summary.failed, 2);
    let path = root.display();
    assert_eq!(
        summary.errors[1].error,
        format!(
            "unable to open file: unable to open local file: open {path}/secret: permission denied"
        )
    );
    assert_eq!(
        summary.errors[0].error,
        format!(
            "cannot create iterator: unable to read directory: open {path}/closed: permission denied"
        )
    );
}

fn vanished_files_are_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_path_buf();
    for name in ["a", "b", "c"] {
        fs::write(root.join(name), name).unwrap();
    }
    let (_, repo) = new_repository();
    // The first file that is read takes the others with it.
    let gone = root.clone();
    let progress = move |event: &UploadEvent<'_>| {
        if let UploadEvent::HashingFile { path, .. } = event
            && *path != b"a"
        {
            let _ = fs::remove_file(gone.join(OsStr::from_bytes(path)));
        }
    };
    for (ignore, failed, ignored) in [(Some(false), 2, 0), (Some(true), 0, 2)] {
        set_policy(&repo, &root, |policy| policy.error_handling.ignore_file_errors = ignore);
        let mut request = request(&root);
        request.upload.parallel = 1;
        request.upload.force_hash_percent = 100.0;
        let created = snapshot_with(&repo, request, &progress);
        assert_eq!(paths(&repo, &created.manifest), ["a"]);
        let summary = created.manifest.root_entry.unwrap().summary.unwrap();
        assert_eq!((summary.failed, summary.ignored_errors), (failed, ignored));
        assert_eq!(
            summary.errors[0].error,
            format!(
                "unable to open file: unable to open local file: open {}/b: no such file or directory",
                root.display()
            )
        );
        for name in ["b", "c"] {
            fs::write(root.join(name), name).unwrap();
        }
    }
}

#[test]
fn a_file_that_changes_is_stored_as_read_and_reported() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_path_buf();
    fs::write(root.join("grows"), "1").unwrap();
    fs::write(root.join("shrinks"), "12345").unwrap();
    let (_, repo) = new_repository();
    let changed = Mutex::new(Vec::new());
    let place = root.clone();
    let progress = |event: &UploadEvent<'_>| match event {
        UploadEvent::HashingFile { path: b"grows", .. } => {
            fs::write(place.join("grows"), "123").unwrap();
        }
        UploadEvent::HashingFile { path: b"shrinks", .. } => {
            fs::write(place.join("shrinks"), "1").unwrap();
        }
        UploadEvent::ChangedWhileRead { path } => changed.lock().push(path.to_vec()),
        _ => {}
    };
    let created = snapshot_with(&repo, request(&root), &progress);
    let entries = tree(&repo, &created.manifest.root_object().unwrap());
    for (name, size) in [("grows", 3), ("shrinks", 1)] {
        assert_eq!(entries[name].size, size);
        assert_eq!(repo.read_object(&entries[name].object.unwrap()).unwrap().len() as i64, size);
        assert!(changed.lock().contains(&name.as_bytes().to_vec()));
    }
}

#[test]
fn rules_decide_what_is_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir(root.join("cache")).unwrap();
    for name in ["keep", "drop.bak", "sub/keep", "sub/drop.tmp", "sub/deep/drop.bak", "big"] {
        fs::write(root.join(name), name).unwrap();
    }
    fs::write(root.join("big"), vec![0; 2000]).unwrap();
    fs::write(root.join(".kopiaignore"), "# rules\n*.bak\r\n").unwrap();
    fs::write(root.join("sub/.kopiaignore"), "*.tmp\n").unwrap();
    fs::write(root.join("cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n")
        .unwrap();
    let (_, repo) = new_repository();
    set_policy(&repo, root, |policy| policy.files.max_file_size = 1000);
    let manifest = snapshot(&repo, root);
    assert_eq!(
        paths(&repo, &manifest),
        [".kopiaignore", "cache/", "keep", "sub/", "sub/.kopiaignore", "sub/deep/", "sub/keep"]
    );
    let mut all = request(root);
    all.upload.no_ignore_rules = true;
    let created = snapshot_with(&repo, all, &Silent);
    assert_eq!(paths(&repo, &created.manifest).len(), 12);
    // A rule that cannot be read fails the directory, and so the snapshot if it is the root's.
    fs::write(root.join("sub/.kopiaignore"), "[a\n").unwrap();
    let manifest = snapshot(&repo, root);
    assert!(!paths(&repo, &manifest).contains(&"sub/".to_owned()));
    assert_eq!(manifest.root_entry.unwrap().summary.unwrap().failed, 1);
    fs::write(root.join(".kopiaignore"), "[a\n").unwrap();
    let writer = writer(&repo);
    let error = kopist_snapshot::create(&writer, request(root), &Silent).unwrap_err();
    assert!(error.to_string().contains("unterminated sequence"), "{error}");
}

#[test]
fn a_stopped_upload_is_an_incomplete_snapshot_to_go_on_from() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    for directory in ["a", "b", "c"] {
        fs::create_dir(root.join(directory)).unwrap();
        for name in 0..200 {
            fs::write(root.join(directory).join(name.to_string()), format!("{directory}{name}"))
                .unwrap();
        }
    }
    let (_, repo) = new_repository();
    let cancel = Cancel::default();
    let mut stopped = request(root);
    stopped.upload.cancel = cancel.clone();
    stopped.upload.parallel = 1;
    let seen = Mutex::new(0);
    let created = snapshot_with(&repo, stopped, &|event: &UploadEvent<'_>| {
        if matches!(event, UploadEvent::HashedFile { .. }) {
            *seen.lock() += 1;
            if *seen.lock() == 250 {
                cancel.cancel();
            }
        }
    });
    let manifest = created.manifest;
    assert_eq!(manifest.incomplete, "canceled");
    assert_eq!(
        manifest.root_entry.as_ref().unwrap().summary.as_ref().unwrap().incomplete,
        "canceled"
    );
    let stored = paths(&repo, &manifest).len();
    assert!((250..600).contains(&stored), "{stored}");

    let rest = snapshot(&repo, root);
    assert!(rest.is_complete());
    assert!(rest.stats.cached_files >= 250);
    assert_eq!(paths(&repo, &rest).len(), 603);

    // The same by the amount of data.
    fs::write(root.join("new1"), vec![1; 3 << 20]).unwrap();
    fs::write(root.join("new2"), vec![2; 3 << 20]).unwrap();
    let mut limited = request(root);
    limited.upload.upload_limit = Some(1 << 20);
    limited.upload.parallel = 1;
    let created = snapshot_with(&repo, limited, &Silent);
    assert_eq!(created.manifest.incomplete, "limit reached");
}

#[test]
fn fail_fast_stops_at_the_first_error() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    for name in 0..10 {
        fs::create_dir(root.join(format!("d{name}"))).unwrap();
        fs::write(root.join(format!("d{name}/.kopiaignore")), "[a\n").unwrap();
    }
    let (_, repo) = new_repository();
    let mut request = request(root);
    request.upload.fail_fast = true;
    request.upload.parallel = 1;
    let created = snapshot_with(&repo, request, &Silent);
    assert_eq!(created.manifest.incomplete, "canceled");
    assert_eq!(created.manifest.root_entry.unwrap().summary.unwrap().failed, 1);
}

#[test]
fn a_stream_becomes_a_file() {
    let (_, repo) = new_repository();
    let content = kopist_testkit::tree::Rng::new(3).bytes(9 << 20);
    let now = UtcNanos(1_700_000_000_000_000_000);
    let folder =
        StreamFolder::new("dump.sql", now, Box::new(std::io::Cursor::new(content.clone())));
    let mut request = SnapshotRequest::new(source("/db"), UploadSource::stream("/db", folder));
    request.manual = true;
    let created = snapshot_with(&repo, request, &Silent);
    let root = created.manifest.root_entry.as_ref().unwrap();
    assert_eq!(
        (&*root.name, root.mode.to_unix(), root.mtime),
        (&b"/db"[..], 0o777, UtcNanos::GO_ZERO)
    );
    let entries = tree(&repo, &root.object.unwrap());
    let file = &entries["dump.sql"];
    assert_eq!((file.size, file.mtime, file.mode.to_unix()), (9 << 20, now, 0o777));
    assert_eq!(repo.read_object(&file.object.unwrap()).unwrap(), content);
    let policies = store::load_policies(&repo.manifests().unwrap()).unwrap();
    assert!(policies.defined(&source("/db")).unwrap().policy.scheduling.manual);
}

#[test]
fn notes_are_saved_and_identical_trees_are_not() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    fs::write(root.join("f"), "1").unwrap();
    let (_, repo) = new_repository();
    set_policy(&repo, root, |policy| policy.retention.ignore_identical_snapshots = Some(true));
    let mut first = request(root);
    first.description = "words".into();
    first.tags = BTreeMap::from([("tag:a".to_owned(), "b".to_owned())]);
    first.pins = vec!["z".into(), "a".into(), "z".into()];
    first.start_time = Some(UtcNanos(1_000_000_000));
    let created = snapshot_with(&repo, first, &Silent);
    let view = repo.manifests().unwrap();
    let saved = store::load_snapshot(&view, &created.manifest.id).unwrap();
    assert_eq!(
        (saved.description.as_str(), saved.pins.as_slice()),
        ("words", &["a".to_owned(), "z".to_owned()][..])
    );
    assert_eq!(saved.start_time, UtcNanos(1_000_000_000));
    assert!(saved.end_time >= saved.start_time && saved.end_time.0 < 60_000_000_000);
    assert_eq!(store::all_snapshots(&view, &saved.tags).len(), 1);

    let again = snapshot_with(&repo, request(root), &Silent);
    assert!(again.identical && again.manifest.id.is_empty());
    fs::write(root.join("f"), "22").unwrap();
    let changed = snapshot_with(&repo, request(root), &Silent);
    assert!(!changed.identical);

    let writer = writer(&repo);
    let mut reserved = request(root);
    reserved.tags = BTreeMap::from([("path".to_owned(), "x".to_owned())]);
    assert!(kopist_snapshot::create(&writer, reserved, &Silent).is_err());
}

#[test]
fn checkpoints_save_what_there_is() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    fs::create_dir_all(root.join("sub/deeper")).unwrap();
    for name in 0..300 {
        fs::write(root.join(format!("sub/deeper/{name}")), name.to_string()).unwrap();
    }
    let (blob_store, _) = new_repository();
    let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    let repo = open_at(blob_store, clock.clone());
    let mut request = request(root);
    request.upload.parallel = 1;
    let hashed = Mutex::new(0);
    let checkpoint = Mutex::new(None);
    let writer = writer(&repo);
    let progress = |event: &UploadEvent<'_>| match event {
        UploadEvent::HashedFile { .. } => {
            *hashed.lock() += 1;
            if *hashed.lock() == 100 {
                clock.advance(SignedDuration::from_mins(46));
            }
        }
        UploadEvent::Checkpoint { manifest } => {
            // It is flushed: another client sees it.
            let view = repo.manifests().unwrap();
            let saved = store::load_snapshot(&view, manifest).unwrap();
            let entries = tree(&repo, &saved.root_object().unwrap());
            *checkpoint.lock() = Some((saved, entries.len()));
        }
        _ => {}
    };
    let created = kopist_snapshot::create(&writer, request, &progress).unwrap();
    writer.flush().unwrap();
    let (saved, entries) = checkpoint.lock().take().expect("a checkpoint was made");
    assert_eq!(saved.incomplete, "checkpoint");
    assert_eq!(saved.start_time, created.manifest.start_time);
    assert!((102..302).contains(&entries), "{entries}");
    assert!(created.manifest.is_complete());
    // The final snapshot expires the checkpoint.
    let left = store::snapshots_of(&repo.manifests().unwrap(), &source(root.to_str().unwrap()));
    assert_eq!(left.len(), 1);
}

#[test]
fn checkpoints_show_files_in_progress() {
    let (blob_store, _) = new_repository();
    let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    let repo = open_at(blob_store, clock.clone());
    let content = kopist_testkit::tree::Rng::new(4).bytes(30 << 20);
    /// Hands out the content slowly once it is time for a checkpoint.
    struct Slow {
        content: std::io::Cursor<Vec<u8>>,
        clock: Arc<ManualClock>,
        seen: Arc<std::sync::atomic::AtomicBool>,
    }
    impl std::io::Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let at = self.content.position();
            if at >= 20 << 20 && !self.seen.load(std::sync::atomic::Ordering::Relaxed) {
                // Until the checkpoint is there the stream gives one byte at a time.
                self.clock.advance(SignedDuration::from_mins(1));
                std::thread::sleep(std::time::Duration::from_millis(1));
                return std::io::Read::read(&mut self.content, &mut buffer[..1]);
            }
            std::io::Read::read(&mut self.content, buffer)
        }
    }
    let seen = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let slow = Slow {
        content: std::io::Cursor::new(content.clone()),
        clock: clock.clone(),
        seen: seen.clone(),
    };
    let folder = StreamFolder::new("dump", UtcNanos(0), Box::new(slow));
    let request = SnapshotRequest::new(source("/db"), UploadSource::stream("/db", folder));
    let names = Mutex::new(Vec::new());
    let writer = writer(&repo);
    let progress = |event: &UploadEvent<'_>| {
        if let UploadEvent::Checkpoint { manifest } = event {
            let view = repo.manifests().unwrap();
            let saved = store::load_snapshot(&view, manifest).unwrap();
            for (name, entry) in tree(&repo, &saved.root_object().unwrap()) {
                let stored = repo.read_object(&entry.object.unwrap()).unwrap();
                assert!(content.starts_with(&stored));
                names.lock().push((name, stored.len()));
            }
            seen.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let created = kopist_snapshot::create(&writer, request, &progress).unwrap();
    writer.flush().unwrap();
    assert_eq!(paths(&repo, &created.manifest), ["dump"]);
    let names = names.lock();
    assert!(!seen.load(std::sync::atomic::Ordering::Relaxed) || !names.is_empty());
    for (name, length) in names.iter() {
        assert!(name.starts_with(".checkpointed.dump."), "{name}");
        assert!(*length > 0);
    }
    assert!(!names.is_empty());
}

#[test]
fn placeholders_stand_for_what_was_stored() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("src");
    fs::create_dir_all(root.join("d")).unwrap();
    fs::write(root.join("f"), "file").unwrap();
    fs::write(root.join("d/g"), "inner").unwrap();
    let (_, repo) = new_repository();
    let first = snapshot(&repo, &root);
    let entries = tree(&repo, &first.root_object().unwrap());
    let placeholder = |name: &str| {
        let mut json = Vec::new();
        kopist_format::directory::write_entry(&mut json, &entries[name]);
        json.push(b'\n');
        json
    };
    fs::remove_file(root.join("f")).unwrap();
    fs::write(root.join("f.kopia-entry"), placeholder("f")).unwrap();
    fs::remove_dir_all(root.join("d")).unwrap();
    fs::create_dir(root.join("d.kopia-entry")).unwrap();
    fs::write(root.join("d.kopia-entry/.kopia-entry"), placeholder("d/")).unwrap();
    let second = snapshot(&repo, &root);
    let again = tree(&repo, &second.root_object().unwrap());
    assert_eq!(again.keys().collect::<Vec<_>>(), entries.keys().collect::<Vec<_>>());
    assert_eq!(again["f"], entries["f"]);
    assert_eq!(again["d/"].object, entries["d/"].object);
    // A foreign object is refused.
    let (_, other) = new_repository();
    let failed = snapshot(&other, &root);
    assert_eq!(failed.root_entry.unwrap().summary.unwrap().failed, 2);
}

/// The parts of a large file that are stored belong to no file yet when a checkpoint comes.
#[test]
fn checkpoints_refer_to_finished_parts() {
    const PART: usize = 1 << 20;
    let temp = tempfile::tempdir().unwrap();
    let content = kopist_testkit::tree::Rng::new(5).bytes(5 * PART + 10);
    let file = temp.path().join("large");
    fs::write(&file, &content).unwrap();
    let (blob_store, _) = new_repository();
    let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    let repo = open_at(blob_store, clock.clone());
    let mut roots = Vec::new();
    for path in [temp.path(), &file] {
        set_policy(&repo, path, |policy| {
            policy.upload.parallel_upload_above_size = Some(PART as i64);
        });
        let mut request = request(path);
        request.upload.parallel = 1;
        let (read, seen) = (Mutex::new(0), Mutex::new(Vec::new()));
        let done = AtomicBool::new(false);
        let writer = writer(&repo);
        let progress = |event: &UploadEvent<'_>| match event {
            UploadEvent::HashedBytes { bytes } => {
                let before = *read.lock();
                *read.lock() += *bytes as usize;
                let now = before + *bytes as usize;
                if before < 3 * PART && now >= 3 * PART {
                    clock.advance(SignedDuration::from_mins(46));
                    // The third part is not finished before the checkpoint is there.
                    while !done.load(Ordering::Relaxed) {
                        std::thread::sleep(std::time::Duration::from_millis(10));
                    }
                }
            }
            UploadEvent::Checkpoint { manifest } => {
                let view = repo.manifests().unwrap();
                let saved = store::load_snapshot(&view, manifest).unwrap();
                let root = saved.root_entry.as_ref().unwrap();
                assert!(root.is_dir());
                for (name, entry) in tree(&repo, &saved.root_object().unwrap()) {
                    assert!(name.starts_with(".checkpointed.large."), "{name}");
                    let part = repo.read_object(&entry.object.unwrap()).unwrap();
                    seen.lock().push(content.chunks(PART).position(|chunk| chunk == part).unwrap());
                }
                done.store(true, Ordering::Relaxed);
            }
            _ => {}
        };
        let created = kopist_snapshot::create(&writer, request, &progress).unwrap();
        writer.flush().unwrap();
        let mut seen = seen.lock().clone();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1], "of {}", path.display());
        let object = created.manifest.root_object().unwrap();
        roots.push(match tree_or_nothing(&repo, &created.manifest).get("large") {
            Some(entry) => entry.object.unwrap(),
            None => object,
        });
        assert_eq!(created.manifest.stats.error_count, 0);
    }
    assert_eq!(roots[0], roots[1], "alone or in a directory, a file is the same object");
    assert_eq!(repo.read_object(&roots[0]).unwrap(), content);
}

/// The entries of a snapshot of a directory; nothing for one of a file.
fn tree_or_nothing(
    repo: &kopist_repo::Repository,
    manifest: &kopist_format::snapshot::SnapshotManifest,
) -> BTreeMap<String, kopist_format::directory::DirEntry> {
    let root = manifest.root_entry.as_ref().unwrap();
    if root.is_dir() { tree(repo, &root.object.unwrap()) } else { BTreeMap::new() }
}

#[test]
fn a_source_that_is_a_file_can_be_stopped_and_can_fail() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, vec![7; 3 << 20]).unwrap();
    let (_store, repo) = new_repository();
    let create = |request| {
        let created = kopist_snapshot::create(&writer(&repo), request, &Silent);
        created.map(|created| created.manifest.stats.file_count).map_err(|e| e.to_string())
    };
    assert_eq!(create(request(&file)), Ok(1));
    let stopped = request(&file);
    stopped.upload.cancel.cancel();
    assert_eq!(create(stopped), Err("canceled".to_owned()));
    let gone = request(&file);
    fs::remove_file(&file).unwrap();
    assert_eq!(create(gone), Err("no such file or directory".to_owned()));
}

/// Retention never takes the last complete snapshot, whatever counts a policy has.
#[test]
fn the_last_complete_snapshot_is_not_expired() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "1").unwrap();
    let (_store, repo) = new_repository();
    set_policy(&repo, temp.path(), |policy| {
        let retention = &mut policy.retention;
        retention.keep_latest = Some(-3);
        retention.keep_hourly = Some(0);
        retention.keep_daily = Some(0);
        retention.keep_weekly = Some(0);
        retention.keep_monthly = Some(0);
        retention.keep_annual = Some(0);
    });
    let first = snapshot(&repo, temp.path());
    let last = snapshot(&repo, temp.path());
    assert!(first.start_time < last.start_time);
    let view = repo.manifests().unwrap();
    let left = store::snapshots_of(&view, &source(temp.path().to_str().unwrap()));
    assert_eq!(left.iter().map(|left| left.id.as_str()).collect::<Vec<_>>(), [last.id.as_str()]);
}
