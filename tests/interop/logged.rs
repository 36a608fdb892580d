//! The log tells what became of each file and directory, as much as flags and policies ask for.

use std::collections::BTreeSet;
use std::fs;

use kopist_testkit::oracle::Client;
use serde_json::Value;

use crate::pair::Pair;

/// What a log tells. How long things took is left out, and so is what only one program tells.
fn told(client: &Client) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let logs = client.folder().join("logs/cli-logs");
    for entry in fs::read_dir(&logs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "log") || path.is_symlink() {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let what = ["snapshotted ", "cached", "ignored", "cache miss"];
            let Some(start) = what.iter().filter_map(|what| line.find(&format!(" {what}"))).min()
            else {
                continue;
            };
            let (Some(json), true) = (line.find('{'), line.contains("\"path\":")) else { continue };
            let mut fields: Value = serde_json::from_str(&line[json..]).unwrap();
            let fields = fields.as_object_mut().unwrap();
            fields.remove("dur");
            // Of a miss kopia tells more, whatever the detail.
            if line.contains("cache miss") {
                fields.retain(|key, _| key == "path");
            }
            let sorted: std::collections::BTreeMap<_, _> = fields.iter().collect();
            let what = line[start..json].trim();
            told.insert(format!("{what} {}", serde_json::to_string(&sorted).unwrap()));
        }
        fs::remove_file(path).unwrap();
    }
    told
}

#[test]
fn the_log_tells_of_each_file_as_much_as_is_asked() {
    let test = "the_log_tells_of_each_file_as_much_as_is_asked";
    let Some(pair) = Pair::created_by_kopia(test, &[]) else { return };
    let source = pair.folder.path().join("source");
    fs::create_dir_all(source.join("sub/gone")).unwrap();
    for (name, text) in [("a", "one"), ("sub/b", "two words"), ("sub/x.tmp", "no"), ("sub/c", "")] {
        fs::write(source.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("a", source.join("link")).unwrap();
    for path in ["a", "link", "sub/b", "sub/c", "sub/gone", "sub", ""] {
        let time = filetime::FileTime::from_unix_time(1_700_000_000, 0);
        filetime::set_symlink_file_times(source.join(path), time, time).unwrap();
    }
    let path = source.to_str().unwrap();
    pair.kopia.ok(&["policy", "set", path, "--add-ignore=*.tmp", "--add-ignore=/sub/gone"]);
    let step = |flags: &[&str]| -> usize {
        let all = [&["snapshot", "create", path, "--no-auto-maintenance"], flags].concat();
        let [ours, theirs] = [&pair.kopist, &pair.kopia].map(|client| {
            told(client);
            client.ok(&all);
            told(client)
        });
        assert_eq!(ours, theirs, "kopist (left) and kopia (right): {flags:?}");
        ours.len()
    };
    // The first time everything is read by kopist, then it is known: so once before.
    pair.kopia.ok(&["snapshot", "create", path, "--no-auto-maintenance"]);
    let by_policy = step(&[]);
    assert!(by_policy > 0, "directories and what is left out are told by default");
    for detail in ["0", "1", "3", "5", "6", "7", "10", "-1"] {
        let (directories, entries) =
            (format!("--log-dir-detail={detail}"), format!("--log-entry-detail={detail}"));
        let lines = step(&[&directories, &entries, "--force-hash=100"]);
        let cached = step(&[&entries]);
        assert_eq!(lines > by_policy, detail != "0" && detail != "-1", "detail {detail}");
        assert_eq!(cached > by_policy, detail != "0" && detail != "-1", "detail {detail}");
    }
    let set = ["--log-entry-cache-hit=7", "--log-entry-snapshotted=3", "--log-dir-snapshotted=6"];
    pair.kopia.ok(&[&["policy", "set", path][..], &set].concat());
    step(&[]);
    step(&["--force-hash=100"]);
    // A file that changed: each program finds it in the snapshot before.
    pair.kopia.ok(&["policy", "set", path, "--log-entry-cache-miss=5"]);
    let changed = |time: i64, client: &Client| {
        fs::write(source.join("a"), "another").unwrap();
        let time = filetime::FileTime::from_unix_time(time, 0);
        filetime::set_file_mtime(source.join("a"), time).unwrap();
        told(client);
        client.ok(&["snapshot", "create", path, "--no-auto-maintenance"]);
        let told = told(client);
        told.into_iter().filter(|line| line.starts_with("cache miss")).collect::<Vec<_>>()
    };
    let misses = [changed(1_700_000_100, &pair.kopist), changed(1_700_000_200, &pair.kopia)];
    assert_eq!((misses[0].len(), &misses[0]), (1, &misses[1]));
}
