//! Random histories of snapshots: both programs keep the same ones, for the same reasons, in any
//! time zone.
//!
//! `KOPIST_SEED` chooses the beginning, `KOPIST_ROUNDS` how long it goes on.

use kopist::cloud::{self, ConnectOptions};
use kopist::format::directory::UtcNanos;
use kopist::format::snapshot::SnapshotManifest;
use kopist::repo::{ClientIdentity, OpenOptions, Repository, WriterOptions};
use kopist::snapshot::{SourceInfo, store};
use kopist::{SecretString, StorageConfig};
use kopist_testkit::oracle::Client;
use kopist_testkit::tree::Rng;
use serde_json::{Value, json};

use crate::pair::{PASSWORD, Pair, snapshot};
use crate::policies::number;

const SOURCES: usize = 6;
const HOUR: i64 = 3_600_000_000_000;
/// Around a change of the clock in Berlin, the end of a leap year's February, and New Year.
const ENDS: [&str; 4] = [
    "2024-10-28T01:30:00Z",
    "2024-03-01T00:10:00Z",
    "2025-01-01T03:00:00Z",
    "2024-03-31T23:59:59Z",
];

fn source(number: usize) -> SourceInfo {
    SourceInfo::new("someone", "somewhere", format!("/history/{number}"))
}

/// Replaces all snapshots of the sources by random ones like `model`.
fn write_history(pair: &Pair, rng: &mut Rng, model: &SnapshotManifest) {
    let place = json!({ "path": pair.repository });
    let storage = StorageConfig::new("filesystem", place);
    let store = cloud::connect(&storage, &ConnectOptions::default()).unwrap();
    let identity = ClientIdentity::new("someone", "somewhere");
    let options = OpenOptions { identity, ..OpenOptions::default() };
    let repository = Repository::open(store, &SecretString::from(PASSWORD), options).unwrap();
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let view = repository.manifests().unwrap();
    for number in 0..SOURCES {
        let source = source(number);
        for old in store::snapshots_of(&view, &source) {
            store::delete_snapshot(&writer, &old.id).unwrap();
        }
        let end: UtcNanos = rng.pick(&ENDS).parse().unwrap();
        let mut time = end.0;
        for _ in 0..rng.below(40) {
            let manifest = SnapshotManifest {
                id: String::new(),
                source: (&source).into(),
                start_time: UtcNanos(time),
                end_time: UtcNanos(time + rng.below(3) as i64 * HOUR / 3),
                incomplete: if rng.below(5) == 0 { "checkpoint".into() } else { String::new() },
                pins: if rng.below(9) == 0 { vec!["pin".into()] } else { Vec::new() },
                ..model.clone()
            };
            store::save_snapshot(&writer, &manifest).unwrap();
            let most = *rng.pick(&[1, 5, 30, 24 * 9, 24 * 70]);
            time -= (1 + rng.below(most * 60)) as i64 * HOUR / 60;
        }
    }
    writer.flush().unwrap();
}

fn policies(rng: &mut Rng) -> Value {
    let mut all = json!({});
    for number in 0..SOURCES {
        let mut retention = json!({});
        let kinds =
            ["keepLatest", "keepHourly", "keepDaily", "keepWeekly", "keepMonthly", "keepAnnual"];
        for kind in kinds {
            match rng.below(4) {
                0 => {}
                1 => retention[kind] = json!(0),
                _ => retention[kind] = json!(rng.below(9)),
            }
        }
        all[source(number).to_string()] = json!({ "retention": retention });
    }
    all
}

fn listed(client: &Client) -> Vec<Value> {
    let list = client.json(&["snapshot", "list", "--all", "--json", "--incomplete"]);
    let mut list = list.as_array().unwrap().clone();
    list.sort_by_cached_key(|item| item["id"].to_string());
    list
}

#[test]
fn random_histories_are_thinned_out_alike() {
    let Some(mut pair) = Pair::created_by_kopia("random_histories_are_thinned_out_alike", &[])
    else {
        return;
    };
    let tree = pair.folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let model: SnapshotManifest = serde_json::from_value(snapshot(&pair.kopia, &tree)).unwrap();
    let seed = number("KOPIST_SEED", 7);
    for round in 0..number("KOPIST_ROUNDS", 3) {
        let mut rng = Rng::new(seed * 1000 + round);
        let zone = *rng.pick(&["UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns"]);
        pair.kopia.set("TZ", zone);
        pair.kopist.set("TZ", zone);
        write_history(&pair, &mut rng, &model);
        let file = pair.folder.path().join("policies.json");
        std::fs::write(&file, policies(&mut rng).to_string()).unwrap();
        let from = format!("--from-file={}", file.display());
        pair.kopist.ok(&["policy", "import", &from, "--no-auto-maintenance"]);

        let (ours, theirs) = (listed(&pair.kopist), listed(&pair.kopia));
        assert_eq!(ours, theirs, "kopist (left) and kopia (right), round {round}, zone {zone}");
        let text = ["snapshot", "list", "--all", "--incomplete", "--show-identical"];
        assert_eq!(pair.kopist.ok(&text), pair.kopia.ok(&text));

        // What either would delete, then what either deletes.
        let dry = ["snapshot", "expire", "--all", "--no-auto-maintenance"];
        let said = |client: &Client| client.run(&dry).expect_success().stderr;
        assert_eq!(said(&pair.kopist), said(&pair.kopia), "round {round}, zone {zone}");
        let first = if round % 2 == 0 { &pair.kopist } else { &pair.kopia };
        let kept =
            |item: &Value| item.get("retentionReason").is_some() || item.get("pins").is_some();
        let mut expected: Vec<Value> = theirs.into_iter().filter(kept).collect();
        first.ok(&["snapshot", "expire", "--all", "--delete", "--no-auto-maintenance"]);
        let mut left = listed(&pair.kopia);
        assert_eq!(left, listed(&pair.kopist));
        for item in expected.iter_mut().chain(&mut left) {
            item.as_object_mut().unwrap().remove("retentionReason");
        }
        assert_eq!(left, expected, "round {round}, zone {zone}");
    }
}

/// kopia deletes everything when a policy counts below zero.
#[test]
fn the_last_complete_snapshot_stays_whatever_the_policy_says() {
    let test = "the_last_complete_snapshot_stays_whatever_the_policy_says";
    let Some(pair) = Pair::created_by_kopia(test, &[]) else { return };
    let tree = pair.folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let path = tree.to_str().unwrap();
    let counts = ["latest=-1", "hourly=0", "daily=0", "weekly=0", "monthly=0", "annual=0"];
    let counts: Vec<String> = counts.iter().map(|count| format!("--keep-{count}")).collect();
    let mut set = vec!["policy", "set", path];
    set.extend(counts.iter().map(String::as_str));
    pair.kopia.ok(&set);
    snapshot(&pair.kopist, &tree);
    snapshot(&pair.kopist, &tree);
    assert_eq!(listed(&pair.kopist).len(), 1);
    assert_eq!(listed(&pair.kopia).len(), 1);
    pair.kopist.ok(&["snapshot", "expire", "--all", "--delete"]);
    assert_eq!(listed(&pair.kopia).len(), 1);
    pair.kopia.ok(&["snapshot", "expire", "--all", "--delete", "--no-auto-maintenance"]);
    assert_eq!(listed(&pair.kopist).len(), 0);
}
