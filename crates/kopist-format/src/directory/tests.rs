//! The stock program's directory objects, and properties over made-up ones.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::id::ObjectId;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    dir_mtime_ns: i64,
    incomplete: String,
    entries: Option<Vec<CaseEntry>>,
    #[serde(default)]
    failed: Vec<CaseFailure>,
    out_hex: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseEntry {
    name_hex: String,
    #[serde(rename = "type")]
    kind: String,
    perm: i32,
    size: i64,
    mtime_ns: i64,
    uid: u32,
    gid: u32,
    obj: String,
    summ: Option<Box<DirSummary>>,
}

#[derive(Deserialize)]
struct CaseFailure {
    path: String,
    ignored: bool,
    error: String,
}

fn cases() -> Vec<Case> {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/dir-manifest.json");
    serde_json::from_str::<File>(&std::fs::read_to_string(path).unwrap()).unwrap().cases
}

fn build(case: &Case) -> (Vec<DirEntry>, DirSummary) {
    let mut builder = DirBuilder::default();
    for entry in case.entries.iter().flatten() {
        builder.add(DirEntry {
            name: hex::decode(&entry.name_hex).unwrap().into(),
            kind: EntryType::from(entry.kind.as_str()),
            mode: Permissions(entry.perm),
            size: entry.size,
            mtime: UtcNanos(entry.mtime_ns),
            uid: entry.uid,
            gid: entry.gid,
            object: (!entry.obj.is_empty()).then(|| entry.obj.parse().unwrap()),
            summary: entry.summ.clone(),
            extra: ExtraKeys::default(),
        });
    }
    for failure in &case.failed {
        builder.add_failure(failure.path.clone().into(), failure.ignored, failure.error.clone());
    }
    builder.build(UtcNanos(case.dir_mtime_ns), &case.incomplete)
}

#[test]
fn every_byte_of_the_stock_programs_directories() {
    let cases = cases();
    assert_eq!(cases.len(), 33);
    for case in &cases {
        let (entries, summary) = build(case);
        let mut out = Vec::new();
        write_directory(&mut out, &entries, &summary);
        let expected = hex::decode(&case.out_hex).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(&expected),
            "{}",
            case.name
        );
    }
}

#[test]
fn reading_gives_back_what_was_written() {
    for case in cases() {
        let stored = hex::decode(&case.out_hex).unwrap();
        let read = DirectoryManifest::parse(&stored).unwrap();
        let (mut entries, summary) = build(&case);
        for entry in &mut entries {
            entry.name = entry.name_text().as_bytes().into();
        }
        assert_eq!(read.entries, entries, "{}", case.name);
        assert_eq!(read.summary.as_ref(), Some(&summary), "{}", case.name);
        // Invalid bytes were lost on the first write; a second one is stable.
        let lossless = !case.out_hex.contains("5c7566666664");
        assert!(!lossless || read.to_bytes() == stored, "{}", case.name);
    }
}

#[test]
fn other_streams_and_damage_are_errors() {
    let parse = |text: &str| DirectoryManifest::parse(text.as_bytes());
    let error = parse(r#"{"stream":"kopia:indirect","entries":[{"l":1,"o":"x"}]}"#).unwrap_err();
    assert!(matches!(error, DirectoryError::StreamType(stream) if stream == "kopia:indirect"));
    assert!(
        matches!(parse("{}").unwrap_err(), DirectoryError::StreamType(stream) if stream.is_empty())
    );
    assert!(parse("").is_err());
    assert!(parse(r#"{"stream":"kopia:directory","entries":[{"name":"a","#).is_err());
    assert!(parse(r#"{"stream":"kopia:directory","entries":[{"mode":"9x"}]}"#).is_err());
}

#[test]
fn the_reader_is_as_tolerant_as_the_stock_one() {
    let text = r#"{"stream":"kopia:directory","later":[1],"entries":[{"name":null,"size":null,"obj":"","new":{"a":1}}],"summary":null}trailing"#;
    let read = DirectoryManifest::parse(text.as_bytes()).unwrap();
    assert_eq!(read.summary, None);
    assert_eq!(read.entries[0].kind, EntryType::Other("".into()));
    assert_eq!(read.entries[0].object, None);
    let mut out = Vec::new();
    write_entry(&mut out, &read.entries[0]);
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"obj":"","new":{"a":1}}"#);
    // Raw bytes that are not UTF-8 are replaced, not refused.
    let read = DirectoryManifest::parse(
        b"{\"stream\":\"kopia:directory\",\"entries\":[{\"name\":\"a\xff\",\"obj\":\"\"}]}",
    )
    .unwrap();
    assert_eq!(read.entries[0].name_text(), "a\u{fffd}");
}

fn any_summary() -> impl Strategy<Value = DirSummary> {
    let failure = ("[a-z/<é]{0,12}", "[ -~]{0,12}")
        .prop_map(|(path, error)| FailedEntry { path: path.into_bytes(), error });
    (any::<[i32; 6]>(), any::<i64>(), "[a-z ]{0,8}", proptest::collection::vec(failure, 0..3))
        .prop_map(|(counts, time, incomplete, errors)| DirSummary {
            size: counts[0].into(),
            files: counts[1].into(),
            symlinks: counts[2].into(),
            dirs: counts[3].into(),
            max_time: UtcNanos(time),
            incomplete,
            failed: counts[4].into(),
            ignored_errors: counts[5].into(),
            errors,
            extra: ExtraKeys::default(),
        })
}

fn any_entry() -> impl Strategy<Value = DirEntry> {
    let object = prop_oneof![
        Just(None),
        ("(I{1,2}[kx]?|k)?", "[0-9a-f]{32}").prop_map(|(prefix, hash)| Some(
            format!("{prefix}{hash}").parse::<ObjectId>().unwrap()
        )),
    ];
    (
        ("[^/\u{0}]{0,8}", "[fdsx]?", 0..=i32::MAX, any::<i64>(), any::<i64>(), any::<[u32; 2]>()),
        object,
        proptest::option::of(any_summary().prop_map(Box::new)),
    )
        .prop_map(|((name, kind, mode, size, mtime, [uid, gid]), object, summary)| DirEntry {
            name: name.into_bytes().into(),
            kind: EntryType::from(kind.as_str()),
            mode: Permissions(mode),
            size,
            mtime: UtcNanos(mtime),
            uid,
            gid,
            object,
            summary,
            extra: ExtraKeys::default(),
        })
}

proptest! {
    #[test]
    fn bytes_and_back(entries in proptest::collection::vec(any_entry(), 0..6), summary in any_summary()) {
        let directory = DirectoryManifest { entries, summary: Some(summary) };
        prop_assert_eq!(DirectoryManifest::parse(&directory.to_bytes()).unwrap(), directory);
    }

    #[test]
    fn both_writers_say_the_same(entry in any_entry()) {
        let mut bytes = Vec::new();
        write_entry(&mut bytes, &entry);
        let by_hand: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(by_hand, serde_json::to_value(&entry).unwrap());
    }

    #[test]
    fn the_order_of_adding_does_not_matter(
        entries in proptest::collection::btree_map("[a-z\u{80}-\u{ffff}]{1,4}", any_entry(), 0..6)
            .prop_map(|map| map.into_iter().map(|(name, entry)| DirEntry { name: name.into_bytes().into(), ..entry }).collect::<Vec<_>>())
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle()))
    ) {
        let bytes = |entries: &[DirEntry]| {
            let mut builder = DirBuilder::default();
            for entry in entries {
                let mut entry = entry.clone();
                if let Some(summary) = &mut entry.summary {
                    summary.errors.clear();
                }
                builder.add(entry);
            }
            let (entries, summary) = builder.build(UtcNanos(7), "");
            let mut out = Vec::new();
            write_directory(&mut out, &entries, &summary);
            out
        };
        prop_assert_eq!(bytes(&entries.0), bytes(&entries.1));
    }

    #[test]
    fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = DirectoryManifest::parse(&bytes);
    }
}
