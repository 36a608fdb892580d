#![allow(clippy::disallowed_methods)] // files get the machine's times

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime},
};

use super::{DiskCache, IndexBytes, IndexFiles};

#[test]
fn the_oldest_files_go_first_and_the_limit_holds() {
    let dir = tempfile::tempdir().unwrap();
    let cache = DiskCache::new(dir.path().join("c"), 1000);
    for i in 0..20 {
        let key = format!("q{i:02}-name");
        cache.put(&key, &[i; 100]);
        let path = dir.path().join("c").join(&key[1..3]).join(&key);
        let used = SystemTime::now() - Duration::from_secs(1000 - u64::from(i));
        fs::File::open(path).unwrap().set_modified(used).unwrap();
    }
    let sizes: u64 = walk(dir.path());
    assert!(sizes <= 1000, "{sizes}");
    assert!(cache.get_range("q00-name", 0, 1).is_none());
    assert_eq!(cache.get_range("q19-name", 0, 100).unwrap().as_ref(), [19; 100]);
    assert_eq!(cache.get_range("q19-name", 90, 10).unwrap().as_ref(), [19; 10]);
    // Too short for the range: damaged, so it is dropped.
    assert!(cache.get_range("q19-name", 95, 10).is_none());
    assert!(cache.get_range("q19-name", 0, 1).is_none());
    // Larger than the whole cache: not kept, and nothing else is lost for it.
    cache.put("qzz", &[0; 2000]);
    assert!(cache.get_range("qzz", 0, 1).is_none());
    assert!(cache.get_range("q18-name", 0, 1).is_some());
}

fn walk(dir: &std::path::Path) -> u64 {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(|e| e.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len())
        .sum()
}

#[test]
fn a_place_that_cannot_be_written_is_a_miss_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let cache = DiskCache::new(file.join("sub"), 1000);
    cache.put("key", b"data");
    assert!(cache.get_range("key", 0, 1).is_none());
    let indexes = IndexFiles::new(file.join("sub"), 0);
    assert!(matches!(indexes.store("x", vec![1]), IndexBytes::Owned(data) if data == [1]));
    assert!(indexes.load("x").is_none());
}

#[test]
fn index_files_are_checked_private_and_swept() {
    let dir = tempfile::tempdir().unwrap();
    let files = IndexFiles::new(dir.path().join("i"), 0);
    assert_eq!(files.store("one", b"some index".to_vec()).as_ref(), b"some index");
    assert_eq!(files.load("one").unwrap().as_ref(), b"some index");
    let path = dir.path().join("i/one");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    for position in [0, 9, 10, 15, 25] {
        files.store("one", b"some index".to_vec());
        let mut bytes = fs::read(&path).unwrap();
        bytes[position] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(files.load("one").is_none(), "flipped byte {position}");
        assert!(!path.exists());
    }

    files.store("one", vec![1]);
    files.store("two", vec![2]);
    for name in ["one", "two"] {
        let old = SystemTime::now() - Duration::from_secs(10);
        fs::File::open(dir.path().join("i").join(name)).unwrap().set_modified(old).unwrap();
    }
    files.sweep(&HashSet::from(["two"]));
    assert!(files.load("one").is_none() && files.load("two").is_some());
}
