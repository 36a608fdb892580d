use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::Case;
use crate::{
    BlobError, BlobId, BlobStore, ByteRange, PutOptions, Retention, any_with_prefix, delete_all,
    list_all, list_prefixes,
};

/// Every promise, in the order of the documentation.
pub const CASES: &[Case] = &[
    Case { name: "an empty store lists nothing", run: empty },
    Case { name: "what is not there is not found", run: missing },
    Case { name: "what was put is read, stated and listed", run: round_trip },
    Case { name: "slices are joined, and blobs may be empty", run: slices },
    Case { name: "a put replaces", run: replace },
    Case { name: "a range is exact or an error", run: ranges },
    Case { name: "deleting is idempotent", run: delete },
    Case { name: "prefixes are plain text", run: prefixes },
    Case { name: "every length of id works", run: id_lengths },
    Case { name: "ids that lead elsewhere are refused", run: bad_ids },
    Case { name: "a listing ends when told", run: stop_listing },
    Case { name: "blobs may change during a listing", run: change_while_listing },
    Case { name: "create-only never replaces, or is unsupported", run: create_only },
    Case { name: "of many creators one wins, if supported", run: create_race },
    Case { name: "a time can be set, or is unsupported", run: set_time },
    Case { name: "the store's clock does not go back", run: timestamps },
    Case { name: "locks work or are unsupported", run: retention },
    Case { name: "capacity makes sense or is unsupported", run: capacity },
    Case { name: "readers see old or new, never a mixture", run: atomic },
    Case { name: "many threads at once", run: threads },
    Case { name: "sweeping leaves blobs alone", run: sweep },
    Case { name: "the store says who it is", run: identity },
];

fn id(text: &str) -> BlobId {
    BlobId::from(text)
}

fn put(store: &dyn BlobStore, name: &str, data: &[u8]) {
    let meta = store.put(&id(name), &[data], &PutOptions::default()).unwrap();
    assert_eq!((meta.id.as_str(), meta.length), (name, data.len() as u64));
}

fn read(store: &dyn BlobStore, name: &str) -> Vec<u8> {
    store.get(&id(name), ByteRange::Full).unwrap().to_vec()
}

fn names(store: &dyn BlobStore, prefix: &str) -> Vec<String> {
    list_all(store, prefix).unwrap().into_iter().map(|meta| meta.id.to_string()).collect()
}

fn unsupported<T>(outcome: &Result<T, BlobError>) -> bool {
    matches!(outcome, Err(BlobError::Unsupported { .. }))
}

/// Ids as a repository has them: short and long, sharing prefixes.
const IDS: [&str; 8] = [
    "_log_20261121102347_70ca_1_1_1_c8e96c",
    "kopia.maintenance",
    "kopia.repository",
    "p1234567890abcdef1234567890abcdef-s1",
    "p12f4567890abcdef1234567890abcdef-s1",
    "q1234567890abcdef1234567890abcdef-s2",
    "xn0_4a917bfd87e56b2ec98a3cb4bd1e65a2-s1-c1",
    "xw1795254970",
];

fn empty(store: &dyn BlobStore) {
    for prefix in ["", "p", "xn0_"] {
        assert!(names(store, prefix).is_empty());
        assert!(!any_with_prefix(store, prefix).unwrap());
    }
}

fn missing(store: &dyn BlobStore) {
    for name in [IDS[2], IDS[3]] {
        for range in [
            ByteRange::Full,
            ByteRange::Bounded { offset: 0, length: 10 },
            ByteRange::Bounded { offset: 0, length: 0 },
        ] {
            assert!(store.get(&id(name), range).unwrap_err().is_not_found(), "{range:?}");
        }
        assert!(store.metadata(&id(name)).unwrap_err().is_not_found());
    }
}

fn round_trip(store: &dyn BlobStore) {
    for name in IDS {
        put(store, name, name.as_bytes());
    }
    for name in IDS {
        assert_eq!(read(store, name), name.as_bytes());
        let meta = store.metadata(&id(name)).unwrap();
        assert_eq!((meta.id.as_str(), meta.length), (name, name.len() as u64));
    }
    let listed: Vec<(String, u64)> = list_all(store, "")
        .unwrap()
        .into_iter()
        .map(|meta| (meta.id.to_string(), meta.length))
        .collect();
    let expected: Vec<(String, u64)> =
        IDS.iter().map(|name| ((*name).to_owned(), name.len() as u64)).collect();
    assert_eq!(listed, expected);
}

fn slices(store: &dyn BlobStore) {
    let parts: Vec<Vec<u8>> = (0..2000_usize).map(|n| vec![n as u8; n % 37]).collect();
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    store.put(&id("many"), &slices, &PutOptions::default()).unwrap();
    assert_eq!(read(store, "many"), parts.concat());
    for nothing in [&[][..], &[&b""[..], b""]] {
        let meta = store.put(&id("none"), nothing, &PutOptions::default()).unwrap();
        assert_eq!(meta.length, 0);
        assert!(read(store, "none").is_empty());
        assert_eq!(store.metadata(&id("none")).unwrap().length, 0);
    }
}

fn replace(store: &dyn BlobStore) {
    for data in [&b"first"[..], b"the second, longer", b"3"] {
        put(store, IDS[3], data);
        assert_eq!(read(store, IDS[3]), data);
        assert_eq!(store.metadata(&id(IDS[3])).unwrap().length, data.len() as u64);
    }
    assert_eq!(names(store, "").len(), 1);
}

fn ranges(store: &dyn BlobStore) {
    let data: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    put(store, IDS[3], &data);
    let get = |offset, length| store.get(&id(IDS[3]), ByteRange::Bounded { offset, length });
    for (offset, length) in
        [(0, 10), (1, 10), (2, 1), (5, 0), (0, 100_000), (99_995, 5), (50_000, 50_000)]
    {
        let expected = &data[offset..offset + length];
        assert_eq!(&get(offset as u64, length as u64).unwrap()[..], expected, "{offset} {length}");
    }
    for (offset, length) in
        [(99_995, 6), (100_000, 1), (100_001, 1), (0, 100_001), (u64::MAX, 1), (1, u64::MAX)]
    {
        let error = get(offset, length).unwrap_err();
        assert!(matches!(error, BlobError::InvalidRange { .. }), "{offset} {length}: {error}");
    }
}

fn delete(store: &dyn BlobStore) {
    for name in [IDS[2], IDS[3]] {
        store.delete(&id(name)).unwrap();
        put(store, name, b"x");
        store.delete(&id(name)).unwrap();
        store.delete(&id(name)).unwrap();
        assert!(store.get(&id(name), ByteRange::Full).unwrap_err().is_not_found());
    }
    for name in IDS {
        put(store, name, b"x");
    }
    let gone: Vec<BlobId> = IDS[..5].iter().map(|name| id(name)).collect();
    delete_all(store, &gone, 3).unwrap();
    assert_eq!(names(store, ""), IDS[5..]);
}

fn prefixes(store: &dyn BlobStore) {
    for name in IDS {
        put(store, name, b"x");
    }
    for prefix in [
        "",
        "p",
        "p1",
        "p12",
        "p123",
        "p12f4567890abcdef",
        "xn0_",
        "x",
        "xn1",
        "kopia.",
        "z",
        "_lo",
    ] {
        let expected: Vec<&str> =
            IDS.iter().copied().filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(names(store, prefix), expected, "{prefix:?}");
        assert_eq!(any_with_prefix(store, prefix).unwrap(), !expected.is_empty());
    }
    for name in IDS {
        assert_eq!(names(store, name), [name], "a whole id is a prefix");
    }
    let some = list_prefixes(store, &["p", "p12", "kopia."], 3).unwrap();
    let some: Vec<&str> = some.iter().map(|meta| meta.id.as_str()).collect();
    assert_eq!(some, ["kopia.maintenance", "kopia.repository", IDS[3], IDS[4]]);
}

fn id_lengths(store: &dyn BlobStore) {
    let all: Vec<String> = (1..=90).map(|length| "abcdefghij".repeat(9)[..length].into()).collect();
    for name in &all {
        put(store, name, name.as_bytes());
    }
    assert_eq!(names(store, ""), all);
    for name in &all {
        assert_eq!(read(store, name), name.as_bytes());
    }
}

fn bad_ids(store: &dyn BlobStore) {
    for name in ["", "a/b", "..", "/etc/passwd", "p..1234567890abcdef1234567890abcdef", "a\0b"] {
        let id = id(name);
        let refused = |error: BlobError| {
            assert!(matches!(error, BlobError::InvalidId { .. }), "{name:?}: {error}");
        };
        refused(store.put(&id, &[b"x"], &PutOptions::default()).unwrap_err());
        refused(store.get(&id, ByteRange::Full).unwrap_err());
        refused(store.metadata(&id).unwrap_err());
        refused(store.delete(&id).unwrap_err());
    }
    assert!(names(store, "").is_empty());
}

fn stop_listing(store: &dyn BlobStore) {
    for name in IDS {
        put(store, name, b"x");
    }
    for limit in 1..=IDS.len() {
        let mut seen = BTreeSet::new();
        store
            .list("", &mut |meta| {
                assert!(seen.insert(meta.id), "reported twice");
                if seen.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!(seen.len(), limit);
    }
}

fn change_while_listing(store: &dyn BlobStore) {
    for name in IDS {
        put(store, name, b"x");
    }
    let mut seen = 0;
    store
        .list("", &mut |meta| {
            seen += 1;
            store.delete(&meta.id).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, IDS.len());
    assert!(names(store, "").is_empty());
}

fn create_only(store: &dyn BlobStore) {
    let options = PutOptions::create_only();
    let first = store.put(&id(IDS[3]), &[b"first"], &options);
    if unsupported(&first) {
        return;
    }
    first.unwrap();
    let error = store.put(&id(IDS[3]), &[b"second"], &options).unwrap_err();
    assert!(matches!(error, BlobError::AlreadyExists { .. }), "{error}");
    assert_eq!(read(store, IDS[3]), b"first");
    assert_eq!(names(store, ""), [IDS[3]]);
}

fn create_race(store: &dyn BlobStore) {
    if unsupported(&store.put(&id("probe"), &[], &PutOptions::create_only())) {
        return;
    }
    let wins: Vec<u8> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|n| {
                scope.spawn(move || {
                    store.put(&id(IDS[3]), &[&[n]], &PutOptions::create_only()).is_ok().then_some(n)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(wins.len(), 1);
    assert_eq!(read(store, IDS[3]), wins);
}

fn set_time(store: &dyn BlobStore) {
    let time: Timestamp = "2021-03-04T05:06:07Z".parse().unwrap();
    let outcome = store.put(&id(IDS[3]), &[b"x"], &PutOptions::with_mod_time(time));
    if unsupported(&outcome) {
        assert!(names(store, "").is_empty(), "refused, but written");
        return;
    }
    assert_eq!(store.metadata(&id(IDS[3])).unwrap().timestamp, time);
    put(store, IDS[3], b"y");
    assert!(store.metadata(&id(IDS[3])).unwrap().timestamp > time, "a put without a time is new");
}

fn timestamps(store: &dyn BlobStore) {
    // Stores may tell seconds only, so that equal times are right.
    let times: Vec<Timestamp> = IDS
        .iter()
        .map(|name| store.put(&id(name), &[b"x"], &PutOptions::default()).unwrap().timestamp)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn retention(store: &dyn BlobStore) {
    let lock = Retention { mode: "GOVERNANCE".to_owned(), period: Duration::from_hours(24) };
    let outcome = store.put(&id(IDS[3]), &[b"x"], &PutOptions::with_retention(lock.clone()));
    if unsupported(&outcome) {
        assert!(names(store, "").is_empty(), "refused, but written");
        put(store, IDS[3], b"x");
        assert!(unsupported(&store.extend_retention(&id(IDS[3]), &lock)));
    } else {
        outcome.unwrap();
        store.extend_retention(&id(IDS[3]), &lock).unwrap();
    }
}

fn capacity(store: &dyn BlobStore) {
    match store.capacity() {
        Ok(capacity) => assert!(capacity.available <= capacity.total && capacity.total > 0),
        outcome => assert!(unsupported(&outcome), "{outcome:?}"),
    }
}

fn atomic(store: &dyn BlobStore) {
    let versions: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![n; 200_000 + usize::from(n)]).collect();
    put(store, IDS[3], &versions[0]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let data = read(store, IDS[3]);
                        let first = usize::from(data[0]);
                        assert_eq!(data, versions[first], "a mixture of versions");
                        let listed = list_all(store, "").unwrap();
                        assert_eq!(listed.len(), 1, "unfinished blobs are listed");
                        assert!(listed[0].length >= 200_000);
                    }
                })
            })
            .collect();
        for round in 0..20 {
            put(store, IDS[3], &versions[round % 4]);
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

fn threads(store: &dyn BlobStore) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for n in 0..25 {
                    let name = format!("p{thread:02}{n:02}567890abcdef1234567890");
                    put(store, &name, name.as_bytes());
                    assert_eq!(read(store, &name), name.as_bytes());
                    assert_eq!(names(store, &name), std::slice::from_ref(&name));
                    if n % 5 == 0 {
                        store.delete(&id(&name)).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(names(store, "p").len(), 80);
}

fn sweep(store: &dyn BlobStore) {
    for name in IDS {
        put(store, name, b"x");
    }
    #[allow(clippy::disallowed_methods)] // any time later than the files' own
    let in_a_year = Timestamp::now() + Duration::from_hours(24 * 365);
    assert_eq!(store.sweep_leftovers(in_a_year).unwrap().files, 0);
    assert_eq!(names(store, ""), IDS);
}

fn identity(store: &dyn BlobStore) {
    assert!(!store.display_name().is_empty());
    let config = store.storage_config();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<crate::StorageConfig>(&text).unwrap(), config);
    assert!(!store.is_read_only());
    store.flush_caches();
}
