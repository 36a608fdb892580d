//! Sessions.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use kopist_blob::{BlobError, BlobStore, Fault, Faulty, MemoryStore, Operation, When, list_all};
use kopist_format::{
    compression::Compressor,
    format_blob::FormatVersion,
    id::{IdPrefix, ObjectId},
    splitter::SplitterAlgorithm,
};
use kopist_repo::{
    CreateOptions, ManualClock, ObjectOptions, OpenOptions, RepoError, Repository, WriterOptions,
    create,
};

use crate::common::{
    new_repository, noise, open, open_options, password, quick_create, verify_everything,
};

#[test]
fn what_is_written_is_read_before_and_after_the_flush() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let (store, repo) = new_repository(&CreateOptions { version, ..quick_create() });
        let writer = repo.writer(WriterOptions::default()).unwrap();
        let data = noise(1, 5000);
        let id = writer.write_content(&data, None, None).unwrap();
        let empty = writer.write_content(b"", None, None).unwrap();
        let dir = writer.write_content(&data, Some(IdPrefix::DIRECTORY), None).unwrap();
        assert_eq!(dir.to_string(), format!("k{id}"));
        assert_eq!(writer.read_content(&id).unwrap(), data);
        assert!(matches!(repo.read_content(&id), Err(RepoError::ContentNotFound(_))));
        writer.flush().unwrap();
        assert_eq!(repo.read_content(&id).unwrap(), data);

        let other = open(store.clone());
        assert_eq!(other.read_content(&dir).unwrap(), data);
        assert_eq!(other.read_content(&empty).unwrap(), b"".as_slice());
        assert_eq!(verify_everything(&other).verified, 3);
        assert!(list_all(store.as_ref(), "s").unwrap().is_empty(), "no marker is left");
    }
}

#[test]
fn many_threads_many_packs_and_no_content_twice() {
    let (store, repo) = new_repository(&quick_create());
    let options = WriterOptions { packs_in_flight: 2, upload_threads: 2, ..Default::default() };
    let writer = repo.writer(options).unwrap();
    let piece = |i: u64| noise(i, 300_000 + i as usize);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let writer = &writer;
            scope.spawn(move || {
                // Neighbours write the same contents at the same time.
                for i in (thread / 2 * 100)..(thread / 2 * 100 + 100) {
                    let id = writer.write_content(&piece(i), None, None).unwrap();
                    assert_eq!(writer.read_content(&id).unwrap(), piece(i));
                }
            });
        }
    });
    assert_eq!(writer.stats().hashed_contents, 400);
    writer.flush().unwrap();
    assert_eq!(writer.stats().packs, list_all(store.as_ref(), "p").unwrap().len() as u64);
    let other = open(store.clone());
    assert_eq!(verify_everything(&other).verified, 200);
    // What two threads had in hand at once may be sealed twice, but is appended once.
    let stored: u64 = list_all(store.as_ref(), "p").unwrap().iter().map(|b| b.length).sum();
    assert!(stored < 200 * 300_300 + 4 * 20_000, "{stored}");
}

#[test]
fn compression_is_recorded_and_kept_only_if_it_saves() {
    let (_, repo) = new_repository(&quick_create());
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let zstd = Compressor::by_name("zstd-fastest");
    let text = "the same words again and again ".repeat(1000);
    let packed = writer.write_content(text.as_bytes(), None, zstd).unwrap();
    let raw = writer.write_content(&noise(3, 10_000), None, zstd).unwrap();
    writer.flush().unwrap();
    let info = repo.content_info(&packed).unwrap().unwrap();
    assert_eq!(info.compression, 0x1101);
    assert!(info.packed_length < 2000);
    assert_eq!(repo.read_content(&packed).unwrap(), text.as_bytes());
    let info = repo.content_info(&raw).unwrap().unwrap();
    assert_eq!((info.compression, info.packed_length), (0, 10_028));

    let v1 = CreateOptions { version: FormatVersion::V1, ..quick_create() };
    let (_, repo) = new_repository(&v1);
    let writer = repo.writer(WriterOptions::default()).unwrap();
    assert!(writer.write_content(b"x", None, zstd).is_err());
    let object = writer
        .write_object(text.as_bytes(), ObjectOptions { compressor: zstd, ..Default::default() })
        .unwrap();
    assert!(object.to_string().starts_with('Z'));
    writer.flush().unwrap();
    assert_eq!(repo.read_object(&object).unwrap(), text.as_bytes());
}

#[test]
fn a_clock_that_moves_writes_indexes_and_renews_deleted_contents_later() {
    let store = Arc::new(MemoryStore::new());
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let clock = Arc::new(ManualClock::new("2026-11-21T12:00:00Z".parse().unwrap()));
    let options = OpenOptions { clock: clock.clone(), ..open_options() };
    let repo = Repository::open(store.clone(), &password(), options).unwrap();
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_content(b"one", Some(IdPrefix::DIRECTORY), None).unwrap();
    writer.flush().unwrap();
    let time = |repo: &Repository| {
        let info = repo.content_info(&id).unwrap().unwrap();
        (
            info.deleted,
            info.timestamp - "2026-11-21T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second(),
        )
    };
    assert_eq!(time(&repo), (false, 0));
    // In the same second, deletion and renewal still follow each other.
    writer.delete_content(&id).unwrap();
    writer.delete_content(&id).unwrap();
    assert_eq!(writer.content_info(&id).unwrap().unwrap().timestamp, clock_second(&clock) + 1);
    writer.flush().unwrap();
    assert_eq!(time(&repo), (true, 1));
    assert_eq!(list_all(store.as_ref(), "q").unwrap().len(), 1, "a deletion needs no pack");
    assert_eq!(repo.read_content(&id).unwrap(), b"one".as_slice(), "its data is still there");
    writer.write_content(b"one", Some(IdPrefix::DIRECTORY), None).unwrap();
    writer.flush().unwrap();
    assert_eq!(time(&repo), (false, 2));
    writer.delete_content(&id).unwrap();
    writer.rewrite_content(&id).unwrap();
    assert_eq!(
        writer.content_info(&id).unwrap().map(|i| (i.deleted, i.timestamp)),
        Some((true, clock_second(&clock) + 4))
    );
    writer.undelete_content(&id).unwrap();
    writer.flush().unwrap();
    assert_eq!(time(&repo), (false, 5));

    // After ten minutes a write makes everything before it visible.
    let early = writer.write_content(b"early", None, None).unwrap();
    clock.advance(jiff::SignedDuration::from_secs(601));
    let late = writer.write_content(b"late", None, None).unwrap();
    let other = open(store);
    assert!(other.content_info(&early).unwrap().is_some());
    assert!(other.content_info(&late).unwrap().is_none());
}

fn clock_second(clock: &ManualClock) -> i64 {
    kopist_repo::Clock::now(clock).as_second()
}

#[test]
fn a_content_deleted_before_its_pack_is_stored_is_gone() {
    let (store, repo) = new_repository(&quick_create());
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_content(b"short-lived", None, None).unwrap();
    let kept = writer.write_content(b"kept", None, None).unwrap();
    writer.delete_content(&id).unwrap();
    assert!(writer.content_info(&id).unwrap().is_none());
    writer.flush().unwrap();
    let other = open(store);
    assert!(other.content_info(&id).unwrap().is_none());
    assert_eq!(other.read_content(&kept).unwrap(), b"kept".as_slice());
    let unknown = "00112233445566778899aabbccddeeff".parse().unwrap();
    assert!(matches!(writer.delete_content(&unknown), Err(RepoError::ContentNotFound(_))));
}

#[test]
fn two_writers_and_a_reader_do_not_disturb_each_other() {
    let (store, _) = new_repository(&quick_create());
    let (one, two) = (open(store.clone()), open(store.clone()));
    let reader = open(store.clone());
    let (a, b) = (
        one.writer(WriterOptions::default()).unwrap(),
        two.writer(WriterOptions::default()).unwrap(),
    );
    let shared = noise(7, 1000);
    let id = a.write_content(&shared, None, None).unwrap();
    assert_eq!(b.write_content(&shared, None, None).unwrap(), id);
    let only_b = b.write_content(b"b", None, None).unwrap();
    let labels = |kind: &str| BTreeMap::from([("type".to_owned(), kind.to_owned())]);
    a.put_manifest(&labels("a"), "from a").unwrap();
    b.put_manifest(&labels("b"), "from b").unwrap();
    a.flush().unwrap();
    b.flush().unwrap();
    assert!(reader.content_info(&id).unwrap().is_none(), "as of its last refresh");
    reader.refresh().unwrap();
    assert_eq!(reader.read_content(&id).unwrap(), shared);
    assert_eq!(reader.read_content(&only_b).unwrap(), b"b".as_slice());
    assert_eq!(reader.manifests().unwrap().entries().count(), 2);
    verify_everything(&reader);
    // The winner is the same for everyone.
    one.refresh().unwrap();
    two.refresh().unwrap();
    assert_eq!(one.content_info(&id).unwrap(), two.content_info(&id).unwrap());
}

#[test]
fn a_pack_that_fails_is_tried_again_and_never_named_before() {
    let store = Arc::new(Faulty::new(MemoryStore::new(), 1).with_prefix(
        Operation::Put,
        "p",
        When::UpTo(3),
        Fault::Permanent,
    ));
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let repo = open(store.clone());
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_content(b"precious", None, None).unwrap();
    assert!(matches!(
        writer.flush(),
        Err(RepoError::PackNotStored { source: BlobError::Injected { .. }, .. })
    ));
    assert!(list_all(store.as_ref(), "x").unwrap().is_empty(), "no index names the lost pack");
    assert_eq!(writer.read_content(&id).unwrap(), b"precious".as_slice());
    assert!(writer.write_content(b"more", None, None).is_err(), "nothing goes on meanwhile");
    let mut failures = 0;
    while writer.flush().is_err() {
        failures += 1;
        assert!(failures < 5);
    }
    let other = open(store);
    assert_eq!(other.read_content(&id).unwrap(), b"precious".as_slice());
    verify_everything(&other);
}

#[test]
fn an_index_that_fails_loses_nothing() {
    let store = Arc::new(Faulty::new(MemoryStore::new(), 1).with_prefix(
        Operation::Put,
        "x",
        When::UpTo(2),
        Fault::Permanent,
    ));
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let repo = open(store.clone());
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let labels = BTreeMap::from([("type".to_owned(), "test".to_owned())]);
    let content = writer.write_content(b"content", None, None).unwrap();
    let first = writer.put_manifest(&labels, "first").unwrap();
    writer.flush().unwrap_err();
    let second = writer.put_manifest(&labels, "second").unwrap();
    assert_eq!(writer.manifests().unwrap().find(&labels).len(), 2);
    writer.delete_manifest(&first).unwrap();
    assert_eq!(writer.manifests().unwrap().find(&labels).len(), 1);
    writer.flush().unwrap_err();
    assert!(open(store.clone()).manifests().unwrap().find(&labels).is_empty());
    writer.flush().unwrap();
    for repo in [repo, open(store.clone())] {
        assert_eq!(repo.read_content(&content).unwrap(), b"content".as_slice());
        let found = repo.manifests().unwrap().find(&labels);
        assert_eq!(found.iter().map(|m| &m.id).collect::<Vec<_>>(), [&second]);
    }
    assert!(list_all(store.as_ref(), "s").unwrap().is_empty());
}

#[test]
fn objects_of_all_sizes() {
    let options = CreateOptions { splitter: "FIXED-128K".into(), ..quick_create() };
    let (_, repo) = new_repository(&options);
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let compressor = Compressor::by_name("zstd-fastest");
    for length in [0, 1, 131_072, 131_073, 1_000_000] {
        let data = noise(9, length);
        let object = writer.write_object(&data, ObjectOptions::default()).unwrap();
        // In pieces of odd lengths the result is the same.
        let mut stream = writer.object_writer(ObjectOptions::default());
        for part in data.chunks(77_777) {
            stream.write_all(part).unwrap();
        }
        assert_eq!(stream.len(), length as u64);
        assert_eq!(stream.finish().unwrap(), object);
        assert_eq!(object.indirection(), u8::from(length > 131_072));
        writer.flush().unwrap();

        assert_eq!(repo.read_object(&object).unwrap(), data);
        let chunks = repo.object_chunks(&object).unwrap();
        assert_eq!(chunks.len(), length.div_ceil(131_072).max(1));
        let mut reader = repo.open_object(&object).unwrap();
        assert_eq!(reader.len(), length as u64);
        for start in [0, 1, 131_071, 131_072, 500_000] {
            if start <= length {
                let mut rest = Vec::new();
                reader.seek(SeekFrom::Start(start as u64)).unwrap();
                reader.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, data[start..]);
            }
        }
        let mut backing = 0;
        repo.object_contents(&object, &mut |id| {
            assert!(repo.content_info(&id).unwrap().is_some());
            backing += 1;
        })
        .unwrap();
        assert!(backing >= chunks.len());
    }

    // Lists of chunks nest, and a checkpoint is an object of the chunks so far.
    let small = SplitterAlgorithm::by_name("FIXED-128K").unwrap();
    let many = noise(11, 131_072 * 3000 / 64);
    let mut stream = writer.object_writer(ObjectOptions {
        splitter: Some(small),
        metadata_compressor: compressor,
        ..Default::default()
    });
    assert_eq!(stream.checkpoint().unwrap(), None);
    stream.write_data(&many).unwrap();
    let checkpoint = stream.checkpoint().unwrap().unwrap();
    let whole = stream.finish().unwrap();
    let twice = writer.concatenate(&[whole, whole], compressor).unwrap();
    assert_eq!(writer.concatenate(&[whole], compressor).unwrap(), whole);
    writer.flush().unwrap();
    let complete = many.len() / 131_072 * 131_072;
    assert_eq!(repo.read_object(&checkpoint).unwrap(), many[..complete]);
    assert_eq!(repo.read_object(&twice).unwrap(), [many.as_slice(), &many].concat());
    let id: ObjectId = twice;
    assert!(id.to_string().starts_with("Ix"), "{id}");
}

#[test]
fn manifests_are_replaced_deleted_and_compacted() {
    let (store, repo) = new_repository(&quick_create());
    let labels = |path: usize| {
        BTreeMap::from([
            ("type".to_owned(), "policy".to_owned()),
            ("path".to_owned(), format!("/{path}")),
        ])
    };
    let writer = repo.writer(WriterOptions::default()).unwrap();
    assert!(matches!(
        writer.put_manifest(&BTreeMap::new(), &1),
        Err(RepoError::ManifestWithoutType)
    ));
    for i in 0..40 {
        // A second client of its own, now and then.
        let other = open(store.clone());
        let writer =
            if i % 5 == 0 { &other.writer(WriterOptions::default()).unwrap() } else { &writer };
        writer.repository().refresh().unwrap();
        writer.replace_manifests(&labels(i % 10), &i).unwrap();
        let visible = writer.manifests().unwrap();
        assert_eq!(visible.find(&labels(i % 10)).len(), 1);
        writer.flush().unwrap();
    }
    let reader = open(store.clone());
    let manifests = reader.manifests().unwrap();
    let kinds = BTreeMap::from([("type".to_owned(), "policy".to_owned())]);
    assert_eq!(manifests.find(&kinds).len(), 10);
    for i in 0..10 {
        let latest = manifests.find_latest(&labels(i)).unwrap();
        assert_eq!(manifests.payload::<usize>(latest.id.as_str()).unwrap(), 30 + i);
    }
    let mut live = 0;
    reader
        .contents(&kopist_repo::KeyRange::prefix('m'), &mut |entry| {
            live += u32::from(!entry.deleted);
            Ok(())
        })
        .unwrap();
    assert!(live < 16, "{live} manifest contents are left");

    let id = manifests.find_latest(&labels(3)).unwrap().id;
    let writer = reader.writer(WriterOptions::default()).unwrap();
    writer.delete_manifest(&id).unwrap();
    writer.delete_manifest(&"unknown".into()).unwrap();
    assert!(writer.manifests().unwrap().get(id.as_str()).is_none());
    writer.flush().unwrap();
    let manifests = open(store).manifests().unwrap();
    assert!(manifests.get(id.as_str()).is_none());
    assert_eq!(manifests.find(&kinds).len(), 9);
}

#[test]
fn a_read_only_repository_refuses_to_write() {
    let (store, _) = new_repository(&quick_create());
    let options = OpenOptions { read_only: true, ..open_options() };
    let repo = Repository::open(store, &password(), options).unwrap();
    assert!(matches!(repo.writer(WriterOptions::default()), Err(RepoError::ReadOnly)));
    assert!(matches!(repo.change_password(&"x".into()), Err(RepoError::ReadOnly)));
}

#[test]
fn the_password_changes_and_everything_stays() {
    let (store, repo) = new_repository(&quick_create());
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let id = writer.write_content(b"kept", None, None).unwrap();
    writer.flush().unwrap();
    repo.change_password(&"new".into()).unwrap();
    let error = Repository::open(store.clone(), &password(), open_options()).unwrap_err();
    assert_eq!(error.to_string(), "invalid repository password");
    let again = Repository::open(store.clone(), &"new".into(), open_options()).unwrap();
    assert_eq!(again.read_content(&id).unwrap(), b"kept".as_slice());
    let refused = create(store.as_ref() as &dyn BlobStore, &password(), &quick_create());
    assert!(matches!(refused, Err(RepoError::AlreadyInitialized)));
}

#[test]
fn chunks_stored_ahead_make_the_same_object() {
    let (store, repo) = new_repository(&quick_create());
    let data = noise(5, 30_000_000);
    let object = |threads: usize| {
        let writer = repo.writer(WriterOptions { threads, ..Default::default() }).unwrap();
        let options = ObjectOptions {
            splitter: SplitterAlgorithm::by_name("DYNAMIC-1M-BUZHASH").ok(),
            ..Default::default()
        };
        let mut stream = writer.object_writer(options);
        let mut checkpoints = Vec::new();
        for (number, part) in data.chunks(700_000).enumerate() {
            stream.write_data(part).unwrap();
            if number % 10 == 9 {
                checkpoints.push(stream.checkpoint().unwrap());
            }
        }
        let id = stream.finish().unwrap();
        writer.flush().unwrap();
        (id, checkpoints)
    };
    let alone = object(0);
    assert_eq!(object(4), alone);
    assert_eq!(open(store).read_object(&alone.0).unwrap(), data);
}

#[test]
fn a_failure_ahead_is_reported() {
    let store = Arc::new(Faulty::new(MemoryStore::new(), 1).with_prefix(
        Operation::Put,
        "p",
        When::Always,
        Fault::Permanent,
    ));
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let repo = open(store);
    let writer = repo.writer(WriterOptions { threads: 4, ..Default::default() }).unwrap();
    let mut stream = writer.object_writer(ObjectOptions::default());
    let written = noise(6, 90_000_000).chunks(1 << 20).try_for_each(|part| stream.write_data(part));
    let finished = written.and_then(|()| stream.finish());
    let failed = finished.is_err() || writer.flush().is_err();
    assert!(failed);
}
