use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    json::{ZERO_TIME, to_go_json},
    testing::{text, vectors},
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn decisions_are_those_of_the_vectors() {
    let vectors = vectors("maintenance.json");
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 54);
    for case in cases {
        let name = text(case, "name");
        let now = time(text(case, "now"));
        let safety = match text(case, "safety") {
            "full" => SafetyParameters::FULL,
            "none" => SafetyParameters::NONE,
            other => panic!("safety {other}"),
        };
        let json = serde_json::json!({ "runs": case["runs"] });
        let schedule: Schedule = serde_json::from_value(json).unwrap();
        let expect = &case["expect"];
        let is = |key: &str| expect[key].as_bool().unwrap();
        assert_eq!(schedule.had_recent_full_rewrite(), is("hadRecentFullRewrite"), "{name}");
        assert_eq!(schedule.may_delete_packs(now, &safety), is("shouldDeletePacks"), "{name}");
        assert_eq!(schedule.may_rewrite(Mode::Full, &safety), is("shouldFullRewrite"), "{name}");
        assert_eq!(schedule.may_rewrite(Mode::Quick, &safety), is("shouldQuickRewrite"), "{name}");
        let next = schedule.next_pack_deletion(&safety).unwrap_or(ZERO_TIME);
        assert_eq!(next, time(text(expect, "nextPackDeleteTime")), "{name}");
        let drop = expect["safeDropTime"].as_str().map(time);
        assert_eq!(schedule.safe_drop_time(now, &safety), drop, "{name}");
    }
}

#[test]
fn the_schedule_is_written_as_kopia_writes_it() {
    let vectors = vectors("maintenance.json");
    let json = text(&vectors["scheduleBlob"], "json");
    let schedule: Schedule = serde_json::from_str(json).unwrap();
    assert_eq!(to_go_json(&schedule).unwrap(), json.as_bytes());
    assert_eq!(schedule.runs[task::CLEANUP_LOGS].len(), 2);
    assert_eq!(schedule.last_success(&[task::CLEANUP_LOGS]), Some(time("2026-01-10T12:00:01.5Z")));
    // keys of a newer program survive, null is nothing
    let json = r#"{"nextFullMaintenance":"0001-01-01T00:00:00Z","runs":null,"future":{"a":1}}"#;
    let schedule: Schedule = serde_json::from_str(json).unwrap();
    assert_eq!(schedule.next_full_maintenance, ZERO_TIME);
    assert!(
        String::from_utf8(to_go_json(&schedule).unwrap()).unwrap().contains(r#""future":{"a":1}"#)
    );
}

#[test]
fn history_is_bounded_and_newest_first() {
    let mut schedule = Schedule::default();
    for second in 0..60 {
        let end = Timestamp::from_second(second).unwrap();
        let run = RunInfo { start: end, end, success: true, error: String::new(), extra: vec![] };
        schedule.report(task::SNAPSHOT_GC, run);
    }
    let runs = &schedule.runs[task::SNAPSHOT_GC];
    assert_eq!((runs.len(), runs[0].end.as_second()), (MAX_RUNS, 59));
    let extra = Extra::new("advanceEpochStats", &serde_json::json!({"currentEpoch": 3})).unwrap();
    assert_eq!(
        serde_json::to_string(&extra).unwrap(),
        r#"{"kind":"advanceEpochStats","data":{"currentEpoch":3}}"#
    );
}

#[test]
fn histories_of_two_processes_become_one() {
    let run = |second: i64| {
        let end = Timestamp::from_second(second).unwrap();
        RunInfo { start: end, end, success: true, error: String::new(), extra: vec![] }
    };
    let mut own = Schedule::default();
    let mut stored = Schedule::default();
    for second in [1, 2, 5] {
        own.report(task::REWRITE_FULL, run(second));
    }
    for second in [1, 2, 4, 9] {
        stored.report(task::REWRITE_FULL, run(second));
    }
    stored.report(task::SNAPSHOT_GC, run(7));
    stored.next_full_maintenance = time("2026-01-10T12:00:00Z");
    own.absorb(stored.clone());
    let ends = |task| own.runs[task].iter().map(|run| run.end.as_second()).collect::<Vec<_>>();
    assert_eq!(ends(task::REWRITE_FULL), [9, 5, 4, 2, 1]);
    assert_eq!(ends(task::SNAPSHOT_GC), [7]);
    assert_eq!(own.next_full_maintenance, stored.next_full_maintenance);
    for second in 100..200 {
        stored.report(task::REWRITE_FULL, run(second));
    }
    own.absorb(stored);
    assert_eq!(own.runs[task::REWRITE_FULL].len(), MAX_RUNS);
    assert_eq!(own.runs[task::REWRITE_FULL][0].end.as_second(), 199);
}

#[test]
fn parameters_are_those_of_kopia() {
    let json = r#"{"owner":"","quick":{"enabled":true,"interval":3600000000000},"full":{"enabled":true,"interval":86400000000000},"logRetention":{"maxTotalSize":1073741824,"maxCount":10000,"maxAge":2592000000000000},"extendObjectLocks":false,"listParallelism":0}"#;
    let default = MaintenanceParameters::default();
    assert_eq!(to_go_json(&default).unwrap(), json.as_bytes());
    assert_eq!(serde_json::from_str::<MaintenanceParameters>(json).unwrap(), default);
}

#[test]
fn full_maintenance_comes_first_and_counts_as_quick() {
    let mut parameters = MaintenanceParameters::default();
    let mut schedule = Schedule::default();
    let now = time("2026-01-10T12:00:00Z");
    assert_eq!(parameters.due(&schedule, now), Some(Mode::Full));
    parameters.schedule_next(Mode::Full, &mut schedule, now);
    assert_eq!(parameters.due(&schedule, now), None);
    let hour = now + SignedDuration::from_hours(1);
    assert_eq!(parameters.due(&schedule, hour), Some(Mode::Quick));
    parameters.schedule_next(Mode::Quick, &mut schedule, hour);
    assert_eq!(schedule.next_full_maintenance, now + SignedDuration::from_hours(24));
    parameters.quick.enabled = false;
    assert_eq!(parameters.due(&schedule, hour + SignedDuration::from_hours(2)), None);
}

#[test]
fn unreferenced_blobs_wait() {
    let start = time("2026-01-10T12:00:00Z");
    let judge = |written: &str, checkpoint: Option<&str>, safety: &SafetyParameters| {
        judge_unreferenced(time(written), start, checkpoint.map(time), safety)
    };
    let full = &SafetyParameters::FULL;
    assert_eq!(judge("2026-01-10T12:00:01.5Z", None, full), Orphan::TooNew);
    assert_eq!(judge("2026-01-10T12:00:01Z", None, full), Orphan::TooYoung);
    assert_eq!(judge("2026-01-10T12:00:01Z", None, &SafetyParameters::NONE), Orphan::Delete);
    assert_eq!(judge("2026-01-09T12:00:02Z", None, full), Orphan::TooYoung);
    assert_eq!(judge("2026-01-09T12:00:01Z", None, full), Orphan::Delete);
    let old = "2026-01-01T00:00:00Z";
    assert_eq!(judge(old, Some("2026-01-06T12:00:02Z"), full), Orphan::OfLiveSession);
    assert_eq!(judge(old, Some("2026-01-06T12:00:01Z"), full), Orphan::Delete);
}

#[test]
fn short_packs_are_merged_when_that_doubles_them() {
    let choose = |sizes: &[(&'static str, u64)]| {
        let chosen = ShortPacks::choose(sizes.iter().copied(), 100);
        (chosen.merge, chosen.leave)
    };
    // 60 % is not short, other blobs are no packs, one of a kind is left alone.
    let sizes = [("p1", 59), ("p2", 59), ("p3", 60), ("q1", 1), ("q2", 100), ("x1", 1), ("x2", 1)];
    assert_eq!(choose(&sizes), (vec!["p1", "p2"], vec!["q1"]));
    assert_eq!(choose(&[]), (vec![], vec![]));
    // The largest waits until the others are as much.
    assert_eq!(choose(&[("p1", 40), ("p2", 10), ("p3", 20)]), (vec![], vec!["p1", "p2", "p3"]));
    let sizes = [("p1", 40), ("p2", 10), ("p3", 20), ("p4", 10)];
    assert_eq!(choose(&sizes), (vec!["p1", "p2", "p3", "p4"], vec![]));
    let sizes = [("p1", 40), ("p2", 10), ("p3", 10)];
    assert_eq!(choose(&sizes), (vec!["p2", "p3"], vec!["p1"]));
    assert_eq!(choose(&[("p1", 0), ("p2", 0)]), (vec!["p1", "p2"], vec![]));
    // Unless everything is to be done at once.
    let sizes = [("p1", 40), ("p2", 10), ("p3", 20), ("p4", 60), ("q1", 3)];
    let all = ShortPacks::all(sizes, 100);
    assert_eq!((all.merge, all.leave), (vec!["p1", "p2", "p3"], vec!["q1"]));
}
