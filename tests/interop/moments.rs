//! A path and a time mean the same snapshot to both programs.

use std::fs;

use kopist_testkit::oracle::Client;

use crate::pair::Pair;

/// When the snapshots begin, in UTC; one is not complete.
const TIMES: [&str; 8] = [
    "2023-12-31 22:59:59",
    "2023-12-31 23:30:00",
    "2024-02-29 11:00:00",
    "2024-03-31 00:59:59",
    "2024-03-31 01:00:00",
    "2024-10-27 00:30:00",
    "2024-10-27 01:30:00",
    "2025-01-02 03:04:05",
];

const MEANT: [&str; 27] = [
    "latest",
    "yesterday",
    "last-month",
    "last-year",
    "1y-ago",
    "2y-ago",
    "3000d-ago",
    "1y2m3d-ago",
    "2023",
    "2024",
    "2024-02",
    "2024-2",
    "2024-02-29",
    "2024-03-30",
    "2024-03-31",
    "2024-3-31 2",
    "2024-3-31 03:00",
    "2024-03-31T01:00:00Z",
    "2024-03-31T02:59:59+02:00",
    "2024-10-27T00:30:00Z",
    "2024-10-27 01:29:59 UTC",
    "2024-12-31 23:59:59.999 UTC",
    "2023-12-31 22:59:58 UTC",
    "2023-12-31T23",
    "tomorrow",
    "2024-13",
    "ago",
];

#[test]
fn a_time_means_the_same_snapshot() {
    let Some(mut pair) = Pair::created_by_kopia("a_time_means_the_same_snapshot", &[]) else {
        return;
    };
    let source = pair.folder.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    let path = source.to_str().unwrap().to_owned();
    for time in TIMES {
        fs::write(source.join("sub/file"), time).unwrap();
        let start = format!("--start-time={time} UTC");
        pair.kopia.ok(&["snapshot", "create", &path, &start, "--no-auto-maintenance"]);
    }
    for zone in ["UTC", "Europe/Berlin"] {
        pair.kopia.set("TZ", zone);
        pair.kopist.set("TZ", zone);
        for time in MEANT {
            let wanted = format!("--snapshot-time={time}");
            let restored = |client: &Client| {
                let target = client.folder().join("target");
                let sub = format!("{path}/sub");
                let outcome = client.run(&["restore", &sub, target.to_str().unwrap(), &wanted]);
                let text = fs::read_to_string(target.join("file")).ok();
                let _ = fs::remove_dir_all(&target);
                (outcome.code, text)
            };
            let (ours, theirs) = (restored(&pair.kopist), restored(&pair.kopia));
            assert_eq!(ours, theirs, "kopist (left) and kopia (right): {time:?} in {zone}");
        }
    }
}
