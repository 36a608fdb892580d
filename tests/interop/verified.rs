//! Both programs find the same damage, count it alike, and stop at the same limit.

use std::fs;

use kopist_testkit::oracle::Client;
use serde_json::{Value, json};

use crate::pair::{Pair, blob_file, blobs, id, snapshot};

/// Two snapshots of which each has a lost pack of its own, and one that is whole.
fn damaged(pair: &Pair) -> [String; 3] {
    let source = pair.folder.path().join("source");
    fs::create_dir(&source).unwrap();
    let mut made = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for name in ["whole", "first", "second"] {
        fs::write(source.join(name), name.repeat(5000)).unwrap();
        let manifest = snapshot(&pair.kopia, &source);
        made.push(id(&manifest).to_owned());
        let mut packs: Vec<String> = blobs(&pair.repository).into_keys().collect();
        packs.retain(|pack| pack.starts_with('p') && !known.contains(pack));
        known.extend(packs.iter().cloned());
        if name != "whole" {
            fs::remove_file(blob_file(&pair.repository, &packs[0])).unwrap();
        }
    }
    made.try_into().unwrap()
}

fn report(client: &Client, arguments: &[&str]) -> (i32, Value) {
    let all = [
        &["snapshot", "verify", "--json", "--parallel=1", "--file-parallelism=1"],
        arguments,
        &["--no-auto-maintenance"],
    ]
    .concat();
    let outcome = client.run(&all);
    let mut report = outcome.json();
    // How the storage words its errors is its own.
    let strings = report["errorStrings"].as_array().map_or(0, Vec::len);
    report["errorStrings"] = json!(strings);
    let told = outcome.stderr.lines().filter(|line| line.contains("error processing")).count();
    report["told"] = json!(told);
    (outcome.code, report)
}

#[test]
fn damage_is_counted_alike() {
    let Some(pair) = Pair::created_by_kopia("damage_is_counted_alike", &[]) else { return };
    let [whole, first, second] = damaged(&pair);
    for client in [&pair.kopist, &pair.kopia] {
        client.ok(&["cache", "clear"]);
    }
    for (arguments, errors) in [
        (&["--max-errors=3"][..], Some(2)),
        (&["--max-errors=-1"], Some(2)),
        (&["--max-errors=1"], None),
        (&[], None),
        (&["--max-errors=3", &first], Some(1)),
        (&["--max-errors=3", &second, &whole], Some(2)),
        (&["--max-errors=3", &whole], Some(0)),
        (&["--max-errors=3", "nonsense"], Some(1)),
        (&["--max-errors=3", "--directory-id=nonsense"], Some(1)),
    ] {
        let (ours, theirs) = (report(&pair.kopist, arguments), report(&pair.kopia, arguments));
        let part = |report: &(i32, Value), key: &str| report.1[key].clone();
        assert_eq!(ours.0, theirs.0, "{arguments:?}: {} {}", ours.1, theirs.1);
        for key in ["errorCount", "errorStrings", "told"] {
            assert_eq!(part(&ours, key), part(&theirs, key), "{arguments:?} {key}");
        }
        if let Some(errors) = errors {
            // Where it stops depends on the order of the work.
            assert_eq!(ours.1, theirs.1, "kopist (left) and kopia (right): {arguments:?}");
            assert_eq!(ours.1["errorCount"], errors, "{arguments:?}");
        }
    }
}
