//! Fifty random steps, each by one program or the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{self, Entry, RandomTree, Rng, TreeShape};

use crate::pair::{Pair, id, restores_to, snapshot, verify};

const STEPS: usize = 50;

#[test]
fn fifty_random_steps_in_turns() {
    let test = "fifty_random_steps_in_turns";
    let Some(pair) = Pair::created_by_kopia(test, &["--object-splitter=DYNAMIC-128K-BUZHASH"])
    else {
        return;
    };
    let seed = std::env::var("KOPIST_SEED").map_or(4, |seed| seed.parse().unwrap());
    println!("KOPIST_SEED={seed}");
    let mut rng = Rng::new(seed);
    let shape = TreeShape { directories: 4, files: 15, largest: 400_000, links: 2 };
    let mut sources: Vec<RandomTree> = (0..2)
        .map(|number| {
            let root: PathBuf = pair.folder.path().join(format!("source-{number}"));
            RandomTree::create(&root, seed + number, shape)
        })
        .collect();
    // What each snapshot must restore to.
    let mut expected: BTreeMap<String, Vec<Entry>> = BTreeMap::new();

    for step in 0..STEPS {
        let (name, client) = *rng.pick(&[("kopist", &pair.kopist), ("kopia", &pair.kopia)]);
        let which = rng.below(sources.len());
        let source = &mut sources[which];
        let action = act(&mut rng, client, source, &mut expected);
        println!("step {step}: {name}: {action}");
        // Retention may have deleted some.
        let listed = pair.same_snapshots();
        expected.retain(|known, _| listed.iter().any(|manifest| id(manifest) == known));
        assert_eq!(listed.len(), expected.len(), "a snapshot appeared or was lost");
    }

    verify(&pair.kopia);
    verify(&pair.kopist);
    for (id, listing) in &expected {
        restores_to(&pair.kopia, id, listing);
        restores_to(&pair.kopist, id, listing);
    }
}

/// One step; says what it was.
fn act(
    rng: &mut Rng,
    client: &Client,
    source: &mut RandomTree,
    expected: &mut BTreeMap<String, Vec<Entry>>,
) -> String {
    let path = text(source.root());
    match rng.below(12) {
        0..=4 => {
            source.change(6);
            let made = snapshot(client, source.root());
            expected.insert(id(&made).to_owned(), tree::list(source.root()));
            format!("changed, snapshot {}", id(&made))
        }
        5 => {
            let made = snapshot(client, source.root());
            expected.insert(id(&made).to_owned(), tree::list(source.root()));
            format!("unchanged, snapshot {}", id(&made))
        }
        6 => {
            let keep = format!("--keep-latest={}", 2 + rng.below(5));
            let compression =
                format!("--compression={}", rng.pick(&["none", "zstd", "s2-default"]));
            let none = ["--keep-hourly=0", "--keep-daily=0", "--keep-weekly=0"];
            let more = ["--keep-monthly=0", "--keep-annual=0"];
            client.ok(&[&["policy", "set", &path, &keep, &compression], &none[..], &more].concat());
            format!("policy {keep} {compression}")
        }
        7 => {
            client.ok(&["snapshot", "expire", &path, "--delete"]);
            "expire".to_owned()
        }
        8 => {
            let ids: Vec<&String> = expected.keys().collect();
            if ids.len() < 2 {
                return "nothing to delete".to_owned();
            }
            let id = (*rng.pick(&ids)).clone();
            client.ok(&["snapshot", "delete", &id, "--delete"]);
            expected.remove(&id);
            format!("delete {id}")
        }
        9 => maintain(client, rng),
        10 => {
            verify(client);
            "verify".to_owned()
        }
        _ => {
            let ids: Vec<&String> = expected.keys().collect();
            if ids.is_empty() {
                return "nothing to restore".to_owned();
            }
            let id = (*rng.pick(&ids)).clone();
            restores_to(client, &id, &expected[&id]);
            format!("restore {id}")
        }
    }
}

/// Maintenance without waiting: what nothing refers to is deleted at once.
fn maintain(client: &Client, rng: &mut Rng) -> String {
    let full = *rng.pick(&["--full", "--no-full"]);
    let outcome = client.run(&["maintenance", "run", full, "--safety=none"]);
    outcome.expect_success();
    format!("maintenance {full}")
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
