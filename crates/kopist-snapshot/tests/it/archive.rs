//! Archives that other programs can read.

use std::fs;
use std::io::{Cursor, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use kopist_format::directory::{DirEntry, EntryType, Permissions, UtcNanos};
use kopist_format::id::{IdPrefix, ObjectId};
use kopist_repo::{ObjectOptions, Repository};
use kopist_snapshot::restore::archive::{ArchiveKind, restore_to_archive};
use kopist_snapshot::restore::{RestoreError, RestoreOptions, RestoreStats, Silent};
use kopist_testkit::tree::{Comparison, RandomTree, TreeShape};
use kopist_testkit::tree::{Rng, compare, list};

use crate::common::{new_repository, snapshot, writer};
use crate::restore::{file, lost_object, root_of, write_directory, write_file};

fn archive(
    repo: &Repository,
    root: &DirEntry,
    kind: ArchiveKind,
    options: &RestoreOptions,
) -> Result<(Vec<u8>, RestoreStats), RestoreError> {
    let mut bytes = Vec::new();
    let stats = restore_to_archive(repo, root, &mut bytes, kind, options, &Silent)?;
    Ok((bytes, stats))
}

#[test]
fn unpacked_they_are_the_tree() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    let shape = TreeShape { directories: 20, files: 100, largest: 2_000_000, links: 8 };
    RandomTree::create(&source, 51, shape);
    fs::create_dir(source.join("empty")).unwrap();
    fs::write(source.join("nothing"), "").unwrap();
    // Longer than a window of what is read ahead.
    fs::write(source.join("large"), Rng::new(5).bytes(40_000_000)).unwrap();
    fs::write(source.join("l".repeat(200)), "long name").unwrap();
    symlink("t".repeat(300), source.join("to far away")).unwrap();
    let (_, repo) = new_repository();
    let root = root_of(&snapshot(&repo, &source));
    let summary = root.summary.clone().unwrap();
    for (kind, parallel) in [
        (ArchiveKind::Tar, 1),
        (ArchiveKind::TarGzip, 8),
        (ArchiveKind::Zip, 8),
        (ArchiveKind::ZipStored, 3),
    ] {
        let options = RestoreOptions { parallel, ..RestoreOptions::default() };
        let (bytes, stats) = archive(&repo, &root, kind, &options).unwrap();
        assert_eq!(stats.files as i64, summary.files);
        assert_eq!(stats.bytes as i64, summary.size);
        assert_eq!(stats.symlinks as i64, summary.symlinks);
        assert_eq!(stats.directories as i64, summary.dirs);
        let target = temp.path().join(format!("{kind:?}"));
        match kind {
            ArchiveKind::Tar => tar::Archive::new(&*bytes).unpack(&target).unwrap(),
            ArchiveKind::TarGzip => {
                let plain = flate2::read::GzDecoder::new(&*bytes);
                tar::Archive::new(plain).unpack(&target).unwrap();
            }
            _ => unzip(bytes, &target),
        }
        let differences = compare(&list(&source), &list(&target), Comparison::contents());
        assert!(differences.is_empty(), "{kind:?}: {differences}");
    }
}

/// Unpacks everything: the library refuses links to elsewhere.
fn unzip(bytes: Vec<u8>, target: &Path) {
    fs::create_dir(target).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let path = target.join(&*member.name().unwrap());
        let mut data = Vec::new();
        member.read_to_end(&mut data).unwrap();
        match member.unix_mode().unwrap() & 0o170_000 {
            0o040_000 => fs::create_dir(path).unwrap(),
            0o120_000 => symlink(std::str::from_utf8(&data).unwrap(), path).unwrap(),
            _ => fs::write(path, data).unwrap(),
        }
    }
}

#[test]
fn numbers_that_need_more_room() {
    let (_, repo) = new_repository();
    let odd = DirEntry {
        uid: 0xffff_fffe,
        gid: 3_000_000,
        mtime: UtcNanos(-1_000_000_000),
        mode: Permissions::from_unix(0o7777),
        ..file("odd", write_file(&repo, b"x"), 1)
    };
    let root = write_directory(&repo, vec![odd]);
    let (bytes, _) = archive(&repo, &root, ArchiveKind::Tar, &RestoreOptions::default()).unwrap();
    let mut reader = tar::Archive::new(&*bytes);
    let entry = reader.entries().unwrap().next().unwrap().unwrap();
    let header = entry.header();
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0xffff_fffe, 3_000_000));
    assert_eq!(header.mtime().unwrap() as i64, -1);
    assert_eq!(header.mode().unwrap(), 0o7777);
}

/// A file whose second half is lost, and whose first half is longer than what is read ahead if
/// `large`.
fn damaged(repo: &Repository, large: bool) -> DirEntry {
    let length = if large { 20_000_000 } else { 10 };
    let first = write_file(repo, &vec![7; length]);
    let list = format!(
        r#"{{"stream":"kopia:indirect","entries":[{{"l":{length},"o":"{first}"}},{{"s":{length},"l":5,"o":"00112233445566778899aabbccddeeff"}}]}}"#
    );
    let writer = writer(repo);
    let options = ObjectOptions { prefix: Some(IdPrefix::INDIRECT), ..ObjectOptions::default() };
    let list = writer.write_object(list.as_bytes(), options).unwrap();
    writer.flush().unwrap();
    file("damaged", ObjectId::indirect(list).unwrap(), length + 5)
}

#[test]
fn what_is_lost_is_left_out_and_told() {
    let (_, repo) = new_repository();
    let good = file("good", write_file(&repo, b"good"), 4);
    let lost = file("lost", lost_object("00112233445566778899aabbccddeeff"), 15);
    let none = DirEntry { object: None, ..file("none", good.object.unwrap(), 1) };
    let evil = file("../evil", good.object.unwrap(), 4);
    let odd = DirEntry { kind: "x".into(), ..file("odd", good.object.unwrap(), 1) };
    let directory = DirEntry {
        kind: EntryType::Directory,
        ..file("dir", lost_object("k00112233445566778899aabbccddeeff"), 0)
    };
    let entries = vec![damaged(&repo, false), good, lost, none, evil, odd, directory];
    let root = write_directory(&repo, entries);
    for kind in [ArchiveKind::Tar, ArchiveKind::Zip] {
        assert!(archive(&repo, &root, kind, &RestoreOptions::default()).is_err());
        let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
        let (bytes, stats) = archive(&repo, &root, kind, &options).unwrap();
        assert_eq!((stats.files, stats.directories, stats.ignored_errors), (1, 2, 6));
        let mut names: Vec<String> = if kind == ArchiveKind::Tar {
            let mut reader = tar::Archive::new(&*bytes);
            let entries = reader.entries().unwrap();
            entries.map(|e| String::from_utf8(e.unwrap().path_bytes().into()).unwrap()).collect()
        } else {
            let mut reader = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
            (0..reader.len()).map(|i| reader.by_index(i).unwrap().name().unwrap().into()).collect()
        };
        names.sort();
        assert_eq!(names, ["dir/", "good"]);
    }
}

#[test]
fn a_part_that_turns_out_to_be_lost_is_zeros() {
    use kopist_blob::{BlobStore as _, list_all};
    let (store, repo) = new_repository();
    let first = write_file(&repo, &Rng::new(3).bytes(17_000_000));
    let before: Vec<_> = list_all(&*store, "p").unwrap().into_iter().map(|b| b.id).collect();
    let second = write_file(&repo, b"12345");
    let packs = list_all(&*store, "p").unwrap();
    let pack = packs.into_iter().find(|blob| !before.contains(&blob.id)).unwrap();
    let list = format!(
        r#"{{"stream":"kopia:indirect","entries":[{{"l":17000000,"o":"{first}"}},{{"s":17000000,"l":5,"o":"{second}"}}]}}"#
    );
    let writer = writer(&repo);
    let options = ObjectOptions { prefix: Some(IdPrefix::INDIRECT), ..ObjectOptions::default() };
    let object = ObjectId::indirect(writer.write_object(list.as_bytes(), options).unwrap());
    writer.flush().unwrap();
    let root = write_directory(&repo, vec![file("f", object.unwrap(), 17_000_005)]);
    store.delete(&pack.id).unwrap();
    let repo = crate::common::open(store);
    for kind in [ArchiveKind::Tar, ArchiveKind::Zip] {
        assert!(archive(&repo, &root, kind, &RestoreOptions::default()).is_err());
        let options = RestoreOptions { ignore_errors: true, ..RestoreOptions::default() };
        let (bytes, stats) = archive(&repo, &root, kind, &options).unwrap();
        assert_eq!((stats.files, stats.ignored_errors), (0, 1));
        let mut data = Vec::new();
        if kind == ArchiveKind::Tar {
            let mut reader = tar::Archive::new(&*bytes);
            let mut entry = reader.entries().unwrap().next().unwrap().unwrap();
            entry.read_to_end(&mut data).unwrap();
        } else {
            let mut reader = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
            reader.by_index(0).unwrap().read_to_end(&mut data).unwrap();
        }
        assert_eq!(data.len(), 17_000_005);
        assert_eq!(data[17_000_000..], [0; 5]);
    }
}

#[test]
fn one_file_and_a_full_disk() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_, repo) = new_repository();
    let object = write_file(&repo, &Rng::new(4).bytes(60_000_000));
    let one = file("one", object, 60_000_000);
    let options = RestoreOptions::default();
    let (bytes, stats) = archive(&repo, &one, ArchiveKind::Tar, &options).unwrap();
    assert_eq!((stats.files, stats.directories), (1, 0));
    let mut reader = tar::Archive::new(&*bytes);
    let entry = reader.entries().unwrap().next().unwrap().unwrap();
    assert_eq!((&*entry.path_bytes(), entry.size()), (&b"one"[..], 60_000_000));
    for kind in [ArchiveKind::Tar, ArchiveKind::TarGzip, ArchiveKind::Zip] {
        let error = restore_to_archive(&repo, &one, &mut Full, kind, &options, &Silent);
        assert!(matches!(error, Err(RestoreError::Archive(_))), "{kind:?}");
    }
}

#[test]
fn names_tell_the_kind() {
    for (name, kind) in [
        ("a.zip", Some(ArchiveKind::Zip)),
        ("/x/.tar", Some(ArchiveKind::Tar)),
        ("a.tar.gz", Some(ArchiveKind::TarGzip)),
        ("a.tgz", Some(ArchiveKind::TarGzip)),
        ("a.ZIP", None),
        ("a.gz", None),
        ("zip", None),
    ] {
        assert_eq!(ArchiveKind::of_name(Path::new(name)), kind, "{name}");
    }
}
