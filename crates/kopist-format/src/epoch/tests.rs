use proptest::prelude::*;
use serde_json::Value;

use super::{legacy::*, *};
use crate::{
    format_blob::EpochParameters,
    index::EntryRef,
    testing::{text, vectors},
};
use jiff::{SignedDuration, Timestamp};

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap()
}

fn blob(name: &str, hours: i64) -> BlobInfo {
    BlobInfo::new(name, 100, at(hours))
}

fn state(names: &[&str]) -> EpochState {
    EpochState::from_blobs(names.iter().map(|name| blob(name, 0)))
}

fn names<'a>(blobs: impl IntoIterator<Item = &'a BlobInfo>) -> Vec<&'a str> {
    blobs.into_iter().map(|blob| blob.name.as_str()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// A list, where Go writes an empty one as null.
fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn pair(value: &Value) -> (u64, u64) {
    (number(&value[0]), number(&value[1]))
}

#[test]
fn names_are_those_of_the_vectors() {
    let vectors = vectors("epoch.json");
    let cases = list(&vectors["names"]);
    assert_eq!(cases.len(), 18);
    for case in cases {
        let name = text(case, "name");
        assert_eq!(epoch_of(name), case["epoch"].as_u64(), "{name}");
        let range = case["range"].is_array().then(|| pair(&case["range"]));
        assert_eq!(range_of(name), range, "{name}");
        if name.starts_with("xw") {
            assert_eq!(watermark_of(name), case["watermark"].as_i64(), "{name}");
        }
    }
}

#[test]
fn names_that_are_made_are_parsed() {
    let session = "s8664fc9fde0e25fe147".parse().unwrap();
    assert_eq!(
        uncompacted_prefix(12) + "ab-" + &session_suffix(&session, 3),
        "xn12_ab-s8664fc9fde0e25fe147-c3"
    );
    assert_eq!(
        single_prefix(0) + "ab-" + &compaction_suffix([0xab; 8], 1),
        "xs0_ab-sabababababababab-c1"
    );
    assert_eq!(range_of(&(range_prefix(3, 9) + "ab")), Some((3, 9)));
    assert_eq!(epoch_of(&marker_name(7)), Some(7));
    assert_eq!(watermark_of(&watermark_name(-5)), Some(-5));
    assert_eq!(range_of("xr5_3_ab"), None);
    assert_eq!(epoch_of("xe99999999999999999999"), None);
}

#[test]
fn complete_sets_are_those_of_the_vectors() {
    let vectors = vectors("epoch.json");
    let cases = list(&vectors["completeSets"]);
    assert_eq!(cases.len(), 7);
    for case in cases {
        let blobs = list(&case["names"]).iter().map(|name| blob(name.as_str().unwrap(), 0));
        let found: Vec<Vec<String>> = complete_sets(blobs)
            .into_iter()
            .map(|set| set.into_iter().map(|blob| blob.name).collect())
            .collect();
        let expected: Vec<Vec<&str>> = list(&case["completeSets"])
            .iter()
            .map(|set| list(set).iter().map(|name| name.as_str().unwrap()).collect())
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn ranges_are_chosen_as_in_the_vectors() {
    let vectors = vectors("epoch.json");
    let cases = list(&vectors["rangeSelection"]);
    assert_eq!(cases.len(), 10);
    for case in cases {
        let ranges: Vec<(u64, u64)> = list(&case["ranges"]).iter().map(pair).collect();
        let expected: Vec<(u64, u64)> = list(&case["chosen"]).iter().map(pair).collect();
        let chosen: Vec<(u64, u64)> = choose_ranges(&ranges).iter().map(|i| ranges[*i]).collect();
        assert_eq!(chosen, expected, "{ranges:?}");
        let blobs = ranges.iter().map(|(a, b)| blob(&(range_prefix(*a, *b) + "ab"), 0));
        let state = EpochState::from_blobs(blobs);
        let chosen: Vec<(u64, u64)> = state.ranges().iter().map(|r| (r.first, r.last)).collect();
        assert_eq!(chosen, expected);
    }
}

#[test]
fn epochs_advance_as_in_the_vectors() {
    let thresholds = AdvanceThresholds::from(&EpochParameters::default());
    let vectors = vectors("epoch.json");
    let cases = list(&vectors["shouldAdvance"]["cases"]);
    assert_eq!(cases.len(), 8);
    for case in cases {
        let (count, span) = (number(&case["count"]), case["span_ns"].as_i64().unwrap());
        let blobs: Vec<BlobInfo> = (0..count)
            .map(|i| {
                let after = span * i as i64 / (count as i64 - 1).max(1);
                let time = at(0) + SignedDuration::from_nanos(after);
                BlobInfo::new("xn0_ab", number(&case["each"]), time)
            })
            .collect();
        assert_eq!(should_advance(&blobs, &thresholds), case["advance"] == true, "{case}");
        assert_eq!(
            EpochState::from_blobs(blobs).should_advance(&thresholds),
            case["advance"] == true
        );
    }
}

#[test]
fn compaction_candidates_are_those_of_the_vectors() {
    let vectors = vectors("epoch.json");
    let frequency = number(&vectors["compactionCandidates"]["FullCheckpointFrequency"]);
    let cases = list(&vectors["compactionCandidates"]["cases"]);
    assert_eq!(cases.len(), 9);
    for case in cases {
        let mut blobs = vec![blob(&marker_name(number(&case["writeEpoch"])), 0)];
        for epoch in list(&case["singles"]) {
            blobs.push(blob(&(single_prefix(number(epoch)) + "ab"), 0));
        }
        for range in list(&case["ranges"]) {
            let (first, last) = pair(range);
            blobs.push(blob(&(range_prefix(first, last) + "ab"), 0));
        }
        let state = EpochState::from_blobs(blobs);
        let candidate = number(&case["singleCandidate"]);
        assert_eq!(state.oldest_uncompacted(), candidate, "{case}");
        let eligible = state.single_candidate().map(|(epoch, _)| epoch);
        assert_eq!(eligible, (case["singleEligible"] == true).then_some(candidate), "{case}");
        let range = state.range_candidate(frequency).map(|(first, last, _)| (first, last));
        let expected = (case["rangeDue"] == true)
            .then(|| (number(&case["rangeFrom"]), number(&case["rangeTo"])));
        assert_eq!(range, expected, "{case}");
    }
}

#[test]
fn the_active_set_takes_merged_indexes_of_settled_epochs_only() {
    let state = state(&[
        "xe5",
        "xn0_a",
        "xn1_b",
        "xn2_c",
        "xn3_d-s1-c2",
        "xn4_e",
        "xn5_f",
        "xn6_g",
        "xn7_h",
        "xr0_1_i",
        "xr0_2_j-s1-c2", // incomplete
        "xs2_k",
        "xs3_l-s1-c2", // incomplete
        "xs4_m",       // epoch 4 is not settled
        "xw5",
        "xw-7",
        "xwbad",
        "n12",
        "xe",
        "xz9",
        "kopia.repository",
        "é",
    ]);
    assert_eq!(state.write_epoch(), 5);
    assert_eq!(state.watermark(), Some(5));
    let active = state.active_set();
    assert_eq!(
        names(active),
        ["xr0_1_i", "xs2_k", "xn3_d-s1-c2", "xn4_e", "xn5_f", "xn6_g"] // 7 is from nowhere
    );
    assert!(state.is_settled(3) && !state.is_settled(4));
    assert_eq!(
        state.single_candidate().map(|(e, b)| (e, names(b))),
        Some((3, vec!["xn3_d-s1-c2"]))
    );
    assert_eq!(
        state.range_candidate(1).map(|(a, b, blobs)| (a, b, names(blobs))),
        Some((2, 3, vec!["xs2_k", "xn3_d-s1-c2"]))
    );
    assert_eq!(EpochState::default().active_set(), Vec::<&BlobInfo>::new());
}

#[test]
fn cleanup_waits_for_the_margin() {
    let margin = SignedDuration::from_hours(4);
    let listing = |newest: i64| {
        EpochState::from_blobs([
            blob("xe1", 0),
            blob("xe3", 0),
            blob("xe4", 0),
            blob("xe5", 0),
            blob("xw5", 10),
            blob("xw6", 14),
            blob("xw7", 10),
            blob("xn2_a", 0),
            blob("xs2_b", 10),
            blob("xn4_c", 0),
            blob("xs4_d", 0), // merged although not settled: stays
            blob("xn5_e", newest),
        ])
    };
    let state = listing(14);
    assert_eq!(names(state.obsolete_markers()), ["xe1", "xe3"]);
    assert!(state.obsolete_watermarks(margin).is_empty()); // 14 - 4 is not after 10
    assert!(state.superseded_indexes(margin).is_empty());
    let state = listing(15);
    assert_eq!(names(state.obsolete_watermarks(margin)), ["xw5"]);
    assert_eq!(names(state.superseded_indexes(margin)), ["xn2_a"]);
    // no recent index: the storage's clock is unknown
    let state = EpochState::from_blobs([
        blob("xe1", 0),
        blob("xe9", 0),
        blob("xs0_a", 0),
        blob("xn0_b", 0),
    ]);
    assert_eq!(state.storage_time(), None);
    assert!(state.obsolete_markers().is_empty());
    assert!(state.superseded_indexes(margin).is_empty());
}

fn log(inputs: &[&str], outputs: &[&str]) -> CompactionLog {
    let blobs = |names: &[&str]| names.iter().map(|name| blob(name, 0)).collect();
    CompactionLog { input_metadata: blobs(inputs), output_metadata: blobs(outputs) }
}

#[test]
fn legacy_logs_count_only_with_all_outputs() {
    let listed: Vec<BlobInfo> =
        ["n1", "n2", "n3", "n4", POISON_NAME].iter().map(|name| blob(name, 0)).collect();
    let logs = [log(&["n1", "n2"], &["n3"]), log(&["n3"], &["n4", "n5"])];
    assert_eq!(names(&active_set(listed.clone(), &logs)), ["n3", "n4"]);
    assert_eq!(names(&active_set(listed, &[])), ["n1", "n2", "n3", "n4"]);
}

#[test]
fn legacy_logs_are_read_as_kopia_writes_them() {
    let json = r#"{"inputMetadata":[{"id":"n1","length":5,"timestamp":"2026-01-02T03:04:05.6Z"}],"outputMetadata":null}"#;
    let log: CompactionLog = serde_json::from_str(json).unwrap();
    assert_eq!((log.input_metadata[0].length, log.output_metadata.len()), (5, 0));
    let written = serde_json::to_string(&log).unwrap();
    assert_eq!(written, json.replace("null", "[]"));
    let json = r#"{"blobIDs":["m1"],"cleanupScheduleTime":"2026-01-02T03:04:05Z"}"#;
    let cleanup: CleanupLog = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&cleanup).unwrap(), json);
}

#[test]
fn legacy_compaction_prefers_the_very_small() {
    let sized = |sizes: &[u64]| -> Vec<BlobInfo> {
        sizes.iter().enumerate().map(|(i, n)| BlobInfo::new(format!("n{i}"), *n, at(0))).collect()
    };
    let quick = CompactionOptions { max_small_blobs: 8, ..Default::default() };
    let count = |sizes: &[u64], options: &CompactionOptions| {
        compaction_candidates(&sized(sizes), 2000, options).len()
    };
    assert_eq!(count(&[10; 7], &quick), 0); // too few
    assert_eq!(count(&[10; 8], &quick), 8);
    assert_eq!(count(&[10, 10, 10, 10, 10, 10, 500, 2001], &quick), 0); // the long one is left alone
    assert_eq!(count(&[10, 10, 10, 10, 10, 500, 500, 500], &quick), 5); // only the very small
    assert_eq!(count(&[10, 10, 10, 10, 500, 500, 500, 500], &quick), 8); // not more than half
    assert_eq!(count(&[[10; 10].as_slice(), &[500; 7]].concat(), &quick), 17); // many medium ones
    assert_eq!(count(&[100; 8], &quick), 8); // 100 is not below 2000/20
    let all = CompactionOptions { all_indexes: true, drops_entries: true, ..Default::default() };
    assert_eq!(count(&[5000], &all), 1);
    assert_eq!(count(&[5000], &CompactionOptions { drops_entries: false, ..all }), 0);
    assert_eq!(count(&[], &all), 0);
}

#[test]
fn legacy_cleanup_has_three_steps() {
    let logs = [
        (blob("m1", 0), log(&["n1", "n2"], &["n3"])),
        (blob("m2", 1), log(&["n2", "n4"], &["n5"])),
        (blob("m3", 2), log(&["n3"], &["n6"])),
    ];
    let cleanup = after_compaction(&logs, at(2), SETTLE_TIME);
    assert_eq!(cleanup.indexes, ["n1", "n2", "n4"]);
    assert_eq!(
        cleanup.schedule,
        Some(CleanupLog { blob_ids: vec!["m1".into(), "m2".into()], cleanup_schedule_time: at(2) })
    );
    assert_eq!(after_compaction(&logs, at(0), SETTLE_TIME), CompactionCleanup::default());
    let scheduled = [
        (blob("l1", 2), cleanup.schedule.unwrap()),
        (blob("l2", 3), CleanupLog { blob_ids: vec!["m3".into()], cleanup_schedule_time: at(3) }),
    ];
    assert_eq!(
        due_cleanups(&scheduled, SETTLE_TIME),
        (vec!["m1".into(), "m2".into()], vec!["l1".into()])
    );
    assert_eq!(due_cleanups(&scheduled, SignedDuration::ZERO).1.len(), 2);
    assert_eq!(due_cleanups(&[], SETTLE_TIME), (vec![], vec![]));
}

#[test]
fn only_old_tombstones_are_dropped() {
    for (deleted, hours, dropped) in [(true, 1, true), (true, 2, false), (false, 1, false)] {
        let entry = EntryRef {
            id: "ab".parse().unwrap(),
            pack: "p",
            offset: 0,
            packed_length: 0,
            original_length: 0,
            timestamp: at(hours).as_second(),
            deleted,
            format_version: 1,
            compression: 0,
            encryption_key: 0,
        };
        assert_eq!(is_dropped(&entry, Some(at(2))), dropped);
        assert!(!is_dropped(&entry, None));
    }
}

proptest! {
    /// Against the plain definition: all chains from 0.
    #[test]
    fn the_chain_reaches_farthest_with_fewest(
        ranges in proptest::collection::vec((0_u64..8, 0_u64..8), 0..10),
    ) {
        fn chains(ranges: &[(u64, u64)], start: u64) -> Vec<(u64, usize)> {
            let mut found = Vec::new();
            for (first, last) in ranges {
                if *first == start && first <= last {
                    found.push((*last, 1));
                    found.extend(chains(ranges, last + 1).into_iter().map(|(end, n)| (end, n + 1)));
                }
            }
            found
        }
        let chosen: Vec<(u64, u64)> = choose_ranges(&ranges).iter().map(|i| ranges[*i]).collect();
        let best = chains(&ranges, 0)
            .into_iter()
            .max_by_key(|(end, length)| (*end, std::cmp::Reverse(*length)));
        let expected = best.filter(|(end, _)| *end > 0);
        prop_assert_eq!(chosen.last().map(|(_, end)| (*end, chosen.len())), expected);
        prop_assert!(chosen.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        prop_assert!(chosen.first().is_none_or(|(first, _)| *first == 0));
    }

    /// Merging a settled epoch does not change which epochs are covered, and no name panics.
    #[test]
    fn any_listing_is_a_state(
        listed in proptest::collection::vec(
            ("x[enrsw][0-9]{1,2}(_[0-9]{1,2})?(_[a-f]{1,3})?(-s[0-9]-c[0-3])?|.{0,8}", 0_i64..50),
            0..40,
        ),
    ) {
        let blobs: Vec<BlobInfo> = listed.iter().map(|(name, hours)| blob(name, *hours)).collect();
        let state = EpochState::from_blobs(blobs);
        let active = names(state.active_set());
        let mut unique = active.clone();
        unique.sort_unstable();
        unique.dedup();
        let total = listed.len();
        prop_assert!(unique.len() <= total);
        let margin = SignedDuration::from_hours(4);
        // nothing that readers use is ever cleaned up
        for gone in state.superseded_indexes(margin) {
            prop_assert!(!active.contains(&gone.name.as_str()));
        }
        let _ = (state.obsolete_markers(), state.obsolete_watermarks(margin));
        let _ = (state.single_candidate(), state.range_candidate(2));
    }
}
