use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kopist_blob::filesystem::{Durability, FilesystemConfig, FilesystemStore};
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange, PutOptions, list_all};

fn create(path: &Path) -> FilesystemStore {
    FilesystemStore::create(FilesystemConfig::new(path)).unwrap()
}

fn put(store: &dyn BlobStore, id: &str) {
    store.put(&id.into(), &[id.as_bytes()], &PutOptions::default()).unwrap();
}

fn ids(store: &dyn BlobStore, prefix: &str) -> Vec<String> {
    list_all(store, prefix).unwrap().into_iter().map(|meta| meta.id.to_string()).collect()
}

const PACK: &str = "p1234567890abcdef1234567890abcdef-s1";

#[test]
fn files_are_those_of_kopia() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir.path().join("new/root"));
    put(&store, PACK);
    put(&store, "kopia.repository");
    let root = store.path();
    let shards = std::fs::read_to_string(root.join(".shards")).unwrap();
    assert_eq!(shards, "{\"default\":[1,3],\"maxNonShardedLength\":20}\n");
    for file in ["p/123/4567890abcdef1234567890abcdef-s1.f", "kopia.repository.f", ".shards"] {
        let mode = root.join(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    for directory in ["", "p", "p/123"] {
        let mode = root.join(directory).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{directory:?}");
    }
    assert_eq!(
        store.file_of(&PACK.into()).unwrap(),
        root.join("p/123").join(format!("{}.f", &PACK[4..]))
    );
}

#[test]
fn modes_and_owners_follow_the_configuration() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let config = FilesystemConfig {
        file_mode: 0o400,
        dir_mode: 0o500 | 0o200,
        uid: Some(1234),
        gid: Some(4321),
        ..FilesystemConfig::new(dir.path().join("root"))
    };
    let store = FilesystemStore::create(config).unwrap();
    put(&store, PACK);
    // A file that nobody may write is replaced all the same.
    put(&store, PACK);
    let file = store.file_of(&PACK.into()).unwrap().metadata().unwrap();
    assert_eq!(file.mode() & 0o777, 0o400);
    let may_give_away = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if may_give_away {
        assert_eq!((file.uid(), file.gid()), (1234, 4321));
    } else {
        eprintln!("skipped: only root can give files away");
    }
}

#[test]
fn connecting_and_reading_decide_no_layout() {
    let dir = tempfile::tempdir().unwrap();
    let early = FilesystemStore::open(FilesystemConfig::new(dir.path())).unwrap();
    assert!(early.get(&PACK.into(), ByteRange::Full).unwrap_err().is_not_found());
    early.delete(&PACK.into()).unwrap();
    assert!(!dir.path().join(".shards").exists());
    // Another process creates the repository; the early connection follows.
    put(&create(dir.path()), PACK);
    assert_eq!(&early.get(&PACK.into(), ByteRange::Full).unwrap()[..], PACK.as_bytes());
    put(&early, "q1234567890abcdef1234567890abcdef-s1");
    assert!(dir.path().join("q/123").is_dir());
}

#[test]
fn old_stores_without_a_layout_file_are_three_three() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("p12/345")).unwrap();
    std::fs::write(dir.path().join("p12/345/67890abcdef1234567890abcdef-s1.f"), "old").unwrap();
    let store = FilesystemStore::open(FilesystemConfig::new(dir.path())).unwrap();
    assert_eq!(&store.get(&PACK.into(), ByteRange::Full).unwrap()[..], b"old");
    put(&store, "kopia.maintenance");
    let shards = std::fs::read_to_string(dir.path().join(".shards")).unwrap();
    assert_eq!(shards, "{\"default\":[3,3],\"maxNonShardedLength\":20}\n");
}

#[test]
fn a_damaged_layout_file_is_an_error_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    std::fs::write(dir.path().join(".shards"), "{").unwrap();
    let id = BlobId::from(PACK);
    for error in [
        store.get(&id, ByteRange::Full).unwrap_err(),
        store.metadata(&id).unwrap_err(),
        store.put(&id, &[], &PutOptions::default()).unwrap_err(),
        store.delete(&id).unwrap_err(),
    ] {
        assert!(matches!(error, BlobError::InvalidLayout { .. }), "{error}");
    }
}

#[test]
fn a_root_that_vanished_is_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("mounted");
    let store = create(&root);
    put(&store, "a");
    std::fs::remove_dir_all(&root).unwrap();
    let error = store.put(&"b".into(), &[b"x"], &PutOptions::default()).unwrap_err();
    assert!(matches!(error, BlobError::Inaccessible { .. }), "{error}");
    assert!(matches!(list_all(&store, "").unwrap_err(), BlobError::Inaccessible { .. }));
    assert!(!root.exists());
    let error = FilesystemStore::open(FilesystemConfig::new(&root)).unwrap_err();
    assert!(error.to_string().contains("cannot access storage path"), "{error}");
}

#[test]
fn directories_that_vanish_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    for _ in 0..3 {
        put(&store, PACK);
        std::fs::remove_dir_all(dir.path().join("p")).unwrap();
    }
    put(&store, PACK);
    assert_eq!(ids(&store, "p"), [PACK]);
}

#[test]
fn puts_share_the_making_of_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path()).with_durability(Durability::Cache);
    put(&store, "kopia.repository");
    let blobs: Vec<String> = (0..200).map(|n| format!("p12{n:040}")).collect();
    std::thread::scope(|scope| {
        for part in blobs.chunks(50) {
            let store = &store;
            scope.spawn(move || part.iter().for_each(|id| put(store, id)));
        }
    });
    assert_eq!(ids(&store, "p").len(), blobs.len());
}

#[test]
fn remains_of_killed_writers_are_invisible_and_swept_when_old() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    put(&store, PACK);
    let old = dir.path().join("p/123/aaa.f.tmp.0011223344556677");
    let young = dir.path().join("kopia.repository.f.tmp.0011223344556677");
    let foreign = dir.path().join("p/notes.tmp.0011223344556677");
    for file in [&old, &young, &foreign] {
        std::fs::write(file, "12345").unwrap();
    }
    let day = Duration::from_hours(25);
    for file in [&old, &foreign] {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() - day).unwrap();
    }
    assert_eq!(ids(&store, ""), [PACK]);
    let swept = store.sweep_leftovers(Timestamp::now()).unwrap();
    assert_eq!((swept.files, swept.bytes), (1, 5));
    assert!(!old.exists() && young.exists() && foreign.exists());
    assert_eq!(ids(&store, ""), [PACK]);
}

#[test]
fn a_failed_put_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    put(&store, "a");
    // A directory in the place of the blob makes the rename fail.
    std::fs::create_dir_all(dir.path().join("b.f/x")).unwrap();
    store.put(&"b".into(), &[b"data"], &PutOptions::default()).unwrap_err();
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".tmp."))
        .collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn times_are_kept_to_the_nanosecond() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let time: Timestamp = "2021-03-04T05:06:07.123456789Z".parse().unwrap();
    let written = store.put(&"a".into(), &[b"x"], &PutOptions::with_mod_time(time)).unwrap();
    assert_eq!(written.timestamp, time);
    assert_eq!(store.metadata(&"a".into()).unwrap(), written);
    assert_eq!(list_all(&store, "").unwrap(), [written]);
    let before_the_epoch: Timestamp = "1969-12-31T23:59:58.5Z".parse().unwrap();
    let options = PutOptions::with_mod_time(before_the_epoch);
    assert_eq!(store.put(&"b".into(), &[], &options).unwrap().timestamp, before_the_epoch);
}

#[test]
fn touching_moves_only_old_times() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let time: Timestamp = "2021-03-04T05:06:07Z".parse().unwrap();
    store.put(&"a".into(), &[b"x"], &PutOptions::with_mod_time(time)).unwrap();
    let hour = Duration::from_hours(1);
    let later = time + Duration::from_mins(59);
    assert_eq!(store.touch(&"a".into(), hour, later).unwrap(), time);
    let later = time + Duration::from_mins(61);
    assert_eq!(store.touch(&"a".into(), hour, later).unwrap(), later);
    assert_eq!(store.metadata(&"a".into()).unwrap().timestamp, later);
    assert!(store.touch(&"b".into(), hour, later).unwrap_err().is_not_found());
}

#[test]
fn links_are_treated_as_kopia_treats_them() {
    let dir = tempfile::tempdir().unwrap();
    let (real, elsewhere) = (dir.path().join("real"), dir.path().join("elsewhere"));
    put(&create(&real), "a");
    std::fs::create_dir_all(elsewhere.join("dir")).unwrap();
    std::fs::write(elsewhere.join("blob"), "12345").unwrap();
    std::fs::write(elsewhere.join("dir/hidden.f"), "x").unwrap();
    symlink(elsewhere.join("blob"), real.join("linked.f")).unwrap();
    symlink(elsewhere.join("missing"), real.join("dangling.f")).unwrap();
    symlink(elsewhere.join("dir"), real.join("p")).unwrap();
    symlink(&real, dir.path().join("root")).unwrap();
    let store = FilesystemStore::open(FilesystemConfig::new(dir.path().join("root"))).unwrap();
    assert_eq!(ids(&store, ""), ["a", "linked"]);
    let linked = list_all(&store, "linked").unwrap();
    assert_eq!(linked[0].length, 5);
    assert_eq!(store.metadata(&"linked".into()).unwrap(), linked[0]);
}

#[test]
fn large_listings_use_threads_and_stop_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = FilesystemConfig { list_parallelism: 4, ..FilesystemConfig::new(dir.path()) };
    let store = FilesystemStore::create(config).unwrap().with_durability(Durability::Cache);
    let mut all: Vec<String> =
        (0..1500).map(|n| format!("{}{:03}{n:030}", ["p", "q", "x"][n % 3], n % 97)).collect();
    for id in &all {
        put(&store, id);
    }
    all.sort();
    assert_eq!(ids(&store, ""), all);
    let q: Vec<_> = all.iter().filter(|id| id.starts_with("q01")).cloned().collect();
    assert_eq!(ids(&store, "q01"), q);
    for limit in [1, 300, 1000] {
        let mut seen = 0;
        store
            .list("", &mut |_| {
                seen += 1;
                if seen == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!(seen, limit);
    }
}

#[test]
fn capacity_is_that_of_the_volume() {
    let dir = tempfile::tempdir().unwrap();
    let capacity = create(dir.path()).capacity().unwrap();
    assert!(capacity.total > 0 && capacity.available <= capacity.total);
}

#[test]
fn names_that_are_no_text_or_no_blob_are_ignored() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    put(&store, "a");
    for name in [&b"caf\xe9.f"[..], b".f", b"README.md", b"b.f-1"] {
        std::fs::write(dir.path().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    std::fs::create_dir(dir.path().join("c.f")).unwrap();
    assert_eq!(ids(&store, ""), ["a"]);
}

/// The size of a file is what somebody says; here it is more than any address.
#[test]
fn a_file_larger_than_memory_is_an_error() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: no place for a very large sparse file");
        return;
    };
    let store = create(dir.path());
    put(&store, PACK);
    let file = std::fs::OpenOptions::new().write(true).open(store.file_of(&PACK.into()).unwrap());
    file.unwrap().set_len(1 << 48).unwrap();
    let error = store.get(&PACK.into(), ByteRange::Full).unwrap_err();
    assert!(matches!(error, BlobError::Io { .. }), "{error}");
    let range = ByteRange::Bounded { offset: 0, length: 4 };
    assert_eq!(&store.get(&PACK.into(), range).unwrap()[..], &PACK.as_bytes()[..4]);
}
