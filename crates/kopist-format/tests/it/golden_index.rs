//! Indexes, epochs and packs of the golden repositories, against what kopia says of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kopist_format::{
    blob_crypto::open_blob,
    epoch::{
        BlobInfo, EpochState,
        legacy::{self, CompactionLog},
    },
    format_blob::open_maintenance_schedule,
    index::{Entry, Index, encode, merge},
    json::to_go_json,
    maintenance::{SCHEDULE_BLOB, Schedule},
    pack::Postamble,
    session::{SessionMarker, session_of_blob},
};
use kopist_testkit::golden::{self, GoldenRepository};

use crate::golden::{Opened, open};

const OVERHEAD: u32 = 28;

/// The index blobs that count by our rules, and the watermark.
fn active_set(opened: &Opened) -> (Vec<BlobInfo>, Option<i64>) {
    let cipher = opened.format.cipher().unwrap();
    let listed: Vec<BlobInfo> = opened
        .blobs
        .iter()
        .map(|(name, body)| BlobInfo::new(name, body.len() as u64, Timestamp::UNIX_EPOCH))
        .collect();
    if opened.format.mutable.epoch.enabled {
        let state = EpochState::from_blobs(listed);
        (state.active_set().into_iter().cloned().collect(), state.watermark())
    } else {
        let of = |prefix: &str| -> Vec<BlobInfo> {
            listed.iter().filter(|blob| blob.name.starts_with(prefix)).cloned().collect()
        };
        let logs: Vec<CompactionLog> = of(legacy::COMPACTION_LOG_PREFIX)
            .iter()
            .map(|log| open_blob(&cipher, &log.name, &opened.blobs[&log.name]).unwrap())
            .map(|json| serde_json::from_slice(&json).unwrap())
            .collect();
        (legacy::active_set(of(legacy::INDEX_PREFIX), &logs), None)
    }
}

fn check(golden: &GoldenRepository) -> usize {
    let name = golden.name();
    let opened = open(golden).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Some(oracle) = &golden.description.oracle else { return 0 };
    let cipher = opened.format.cipher().unwrap();

    let (active, watermark) = active_set(&opened);
    let ours: BTreeSet<&str> = active.iter().map(|blob| blob.name.as_str()).collect();
    let theirs: BTreeSet<&str> =
        oracle.indexes_active.iter().map(|blob| blob["id"].as_str().unwrap()).collect();
    assert_eq!(ours, theirs, "{name}");

    let indexes: Vec<Index<Vec<u8>>> = active
        .iter()
        .map(|blob| {
            let bytes = open_blob(&cipher, &blob.name, &opened.blobs[&blob.name]).unwrap();
            let index = Index::parse(bytes.clone(), OVERHEAD).unwrap();
            index.validate().unwrap();
            if !index.is_empty() {
                // what kopia wrote is what we would write
                let again = encode(index.version(), index.iter()).unwrap();
                let rest = bytes.strip_prefix(&again[..]);
                let rest = rest.unwrap_or_else(|| panic!("{name}: {} differs", blob.name));
                assert!(rest.is_empty() || rest.len() == 32, "{name}: {}", blob.name);
            }
            index
        })
        .collect();
    let hidden = |entry: &Entry| entry.deleted && watermark.is_some_and(|w| entry.timestamp <= w);
    let merged: Vec<Entry> = merge(&indexes)
        .map(|entry| entry.unwrap().to_entry())
        .filter(|entry| !hidden(entry))
        .collect();
    let expected: BTreeMap<_, _> = oracle
        .contents
        .iter()
        .map(|c| {
            let id = c.content_id.parse().unwrap();
            let entry = Entry {
                id,
                pack: c.pack_file.as_str().into(),
                offset: c.pack_offset,
                packed_length: c.length,
                original_length: c.original_length,
                timestamp: c.time,
                deleted: c.deleted,
                format_version: c.format_version,
                compression: c.compression,
                encryption_key: c.encryption_key,
            };
            (id, entry)
        })
        .collect();
    assert!(merged.iter().eq(expected.values()), "{name}: other entries than kopia's");

    // the index at the end of each pack knows the entries that were made with it
    for (blob, body) in opened.blobs.iter().filter(|(blob, _)| blob.starts_with(['p', 'q'])) {
        let postamble = Postamble::decode(body).unwrap();
        assert_eq!(postamble.offset % 4096, 0, "{name}: {blob}");
        let sealed = &body[postamble.offset as usize..][..postamble.length as usize];
        let index = Index::parse(cipher.open(sealed, &postamble.iv).unwrap(), OVERHEAD).unwrap();
        index.validate().unwrap();
        assert!(index.iter().any(|entry| entry.unwrap().pack == blob), "{name}: {blob}");
        assert!(session_of_blob(blob).is_some(), "{name}: {blob}");
    }
    for (blob, body) in opened.blobs.iter().filter(|(blob, _)| blob.starts_with('s')) {
        let json = open_blob(&cipher, blob, body).unwrap();
        let marker: SessionMarker = serde_json::from_slice(&json).unwrap();
        assert_eq!(Some(marker.id), session_of_blob(blob), "{name}: {blob}");
    }
    check_schedule(name, &opened);
    merged.len()
}

fn check_schedule(name: &str, opened: &Opened) {
    let Opened { blobs, blob, key, format } = opened;
    let Some(sealed) = blobs.get(SCHEDULE_BLOB) else { return };
    let json = open_maintenance_schedule(format, key, &blob.unique_id, sealed).unwrap();
    let schedule: Schedule = serde_json::from_slice(&json).unwrap();
    assert!(schedule.unknown.is_empty(), "{name}");
    let written = to_go_json(&schedule).unwrap();
    assert_eq!(serde_json::from_slice::<Schedule>(&written).unwrap(), schedule, "{name}");
}

#[test]
fn active_indexes_and_their_entries_are_those_of_kopia() {
    let (mut repositories, mut contents) = (0, 0);
    for golden in golden::all().iter().filter(|golden| !golden.description.is_broken()) {
        contents += check(golden);
        repositories += 1;
    }
    assert!(repositories >= 10 && contents >= 500, "{repositories} repositories, {contents}");
}
