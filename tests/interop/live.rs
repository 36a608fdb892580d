//! Random histories: when each program collects garbage in a copy of one repository, the same
//! contents stay, the same go, and either copy is whole in the eyes of the other program.
//!
//! `KOPIST_SEED` chooses the beginning, `KOPIST_ROUNDS` how long it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{RandomTree, Rng, TreeShape};
use serde_json::{Value, json};

use crate::pair::{Pair, connect, id, snapshots, verify};
use crate::policies::number;
use crate::rewritten::copy_all;

const FORMATS: [&[&str]; 3] = [
    &["--object-splitter=DYNAMIC-128K-BUZHASH"],
    &["--format-version=1", "--object-splitter=FIXED-128K"],
    &["--format-version=2"],
];

/// What decides which contents there are.
fn policies(rng: &mut Rng, sources: &[RandomTree]) -> Value {
    let mut all = json!({});
    for source in sources {
        let compressors = ["none", "zstd", "s2-default", "gzip"];
        all[format!("someone@somewhere:{}", source.root().display())] = json!({
            "retention": {
                "keepLatest": 1 + rng.below(4), "keepHourly": 0, "keepDaily": 0,
                "keepWeekly": 0, "keepMonthly": 0, "keepAnnual": 0,
            },
            "files": {"ignore": [rng.pick(&["*7", "sub*", "!x"])]},
            "compression": {"compressorName": rng.pick(&compressors)},
            "upload": {"parallelUploadAboveSize": 300_000},
        });
    }
    all
}

fn history(pair: &Pair, rng: &mut Rng, round: u64) {
    let shape = TreeShape { directories: 5, files: 20, largest: 700_000, links: 3 };
    let mut sources: Vec<RandomTree> = (0..2)
        .map(|number| {
            let root: PathBuf = pair.folder.path().join(format!("source-{round}-{number}"));
            RandomTree::create(&root, rng.next_u64(), shape)
        })
        .collect();
    let file = pair.folder.path().join("policies.json");
    fs::write(&file, policies(rng, &sources).to_string()).unwrap();
    let from = format!("--from-file={}", file.display());
    pair.kopist.ok(&["policy", "import", &from, "--no-auto-maintenance"]);
    for _ in 0..6 + rng.below(5) {
        let client = if rng.below(2) == 0 { &pair.kopist } else { &pair.kopia };
        let which = rng.below(sources.len());
        let source = &mut sources[which];
        match rng.below(8) {
            0 => {
                let made = snapshots(client);
                if made.len() > 1 {
                    let id = id(rng.pick(&made)).to_owned();
                    client.ok(&["snapshot", "delete", &id, "--delete", "--no-auto-maintenance"]);
                }
            }
            // What was read until the limit is kept as an incomplete snapshot.
            1 => {
                source.change(30);
                let path = source.root().to_str().unwrap();
                let limit = ["--upload-limit-mb=1", "--force-hash=100", "--no-auto-maintenance"];
                client.ok(&[&["snapshot", "create", path], &limit[..]].concat());
            }
            more => {
                source.change(8);
                let path = source.root().to_str().unwrap();
                let pin: &[&str] = if more == 2 { &["--pin=kept"] } else { &[] };
                let create = ["snapshot", "create", path, "--no-auto-maintenance"];
                client.ok(&[&create[..], pin].concat());
            }
        }
    }
}

/// Contents that are not marked as deleted, with their lengths; manifests are written anew by
/// maintenance itself.
fn live(client: &Client) -> BTreeMap<String, u64> {
    let listed = client.json(&["content", "list", "--json", "--no-auto-maintenance"]);
    (listed.as_array().unwrap().iter())
        .map(|content| {
            let id = content["contentID"].as_str().unwrap().to_owned();
            (id, content["originalLength"].as_u64().unwrap())
        })
        .filter(|(id, _)| !id.starts_with('m'))
        .collect()
}

#[test]
fn random_histories_leave_the_same_contents() {
    let seed = number("KOPIST_SEED", 11);
    for round in 0..number("KOPIST_ROUNDS", 3) {
        let mut rng = Rng::new(seed * 1000 + round);
        let flags = FORMATS[usize::try_from(round).unwrap() % FORMATS.len()];
        let test = "random_histories_leave_the_same_contents";
        let Some(pair) = Pair::created_by_kopia(test, flags) else { return };
        history(&pair, &mut rng, round);
        let listed = pair.same_snapshots();
        let before = live(&pair.kopia);
        assert_eq!(live(&pair.kopist), before);

        let copy = pair.folder.path().join("copy");
        copy_all(&pair.repository, &copy);
        connect(&pair.kopist, &copy);
        for client in [&pair.kopist, &pair.kopia] {
            client.ok(&["maintenance", "set", "--owner=me", "--no-auto-maintenance"]);
            client.ok(&["maintenance", "run", "--full", "--safety=none"]);
        }
        let (ours, theirs) = (live(&pair.kopist), live(&pair.kopia));
        assert_eq!(ours, theirs, "kopist (left) and kopia (right), round {round} {flags:?}");
        assert_eq!(pair.same_snapshots(), listed);
        let gone: BTreeSet<&String> = before.keys().filter(|id| !ours.contains_key(*id)).collect();
        println!("round {round} {flags:?}: {} contents stay, {} go", ours.len(), gone.len());
        assert!(!ours.is_empty());

        // Each is content with the other's work.
        for (client, repository) in [(&pair.kopist, &pair.repository), (&pair.kopia, &copy)] {
            connect(client, repository);
            verify(client);
        }
    }
}
