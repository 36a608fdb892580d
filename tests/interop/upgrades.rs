//! Upgrades of old formats, begun, finished and taken back by either program.

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{self, RandomTree, TreeShape};

use crate::pair::{Pair, blobs, id, restores_to, snapshot, verify};

/// Everybody else has noticed the lock after three seconds.
const BEGIN: [&str; 8] = [
    "repository",
    "upgrade",
    "begin",
    "--upgrade-owner-id=owner",
    "--io-drain-timeout=1s",
    "--allow-unsafe-upgrade",
    "--status-poll-interval=1s",
    "--max-permitted-clock-drift=1s",
];

/// A repository of an old format that kopia has filled, and what was backed up.
struct Old {
    pair: Pair,
    tree: RandomTree,
    snapshot: String,
    expected: Vec<tree::Entry>,
}

impl Old {
    fn new(test: &str, version: &str) -> Option<Self> {
        let flag = format!("--format-version={version}");
        let mut pair = Pair::created_by_kopia(test, &[&flag])?;
        for client in [&mut pair.kopist, &mut pair.kopia] {
            client.set("KOPIA_UPGRADE_LOCK_ENABLED", "1");
            // Who looks at the settings each time notices the lock at once.
            client.ok(&["repository", "set-client", "--disable-repository-format-cache"]);
        }
        let shape = TreeShape { directories: 5, files: 30, largest: 50_000, links: 2 };
        let tree = RandomTree::create(&pair.folder.path().join("source"), 81, shape);
        let snapshot = id(&snapshot(&pair.kopia, tree.root())).to_owned();
        let expected = tree::list(tree.root());
        Some(Self { pair, tree, snapshot, expected })
    }

    /// Both find the new version, and everything that was there before.
    #[track_caller]
    fn is_upgraded(&self) {
        for client in [&self.pair.kopist, &self.pair.kopia] {
            let status = client.ok(&["repository", "status"]);
            for line in ["Format version:      3", "Index Format:        v2"] {
                assert!(status.contains(line), "{status}");
            }
            assert!(status.contains("Epoch Manager:       enabled"), "{status}");
            verify(client);
            restores_to(client, &self.snapshot, &self.expected);
            snapshot(client, self.tree.root());
        }
        self.pair.same_snapshots();
    }
}

fn begin(client: &Client, more: &[&str]) -> String {
    client.run(&[&BEGIN[..], more].concat()).expect_success().stderr
}

#[test]
fn old_formats_are_upgraded() {
    for version in ["1", "2", "3"] {
        let Some(old) = Old::new("old_formats_are_upgraded", version) else { return };
        let said = begin(&old.pair.kopist, &[]);
        let expected: &[&str] = match version {
            "1" => &[
                "Successfully drained all repository clients",
                "Repository indices have been upgraded.",
                "index validation succeeded",
                "Repository has been successfully upgraded.",
            ],
            "2" => &[
                "Repository indices have already been migrated",
                "Repository has been successfully upgraded.",
            ],
            _ => &["Repository format is already upto date."],
        };
        for words in expected {
            assert!(said.contains(words), "{said}");
        }
        old.is_upgraded();
    }
}

#[test]
fn one_program_locks_and_the_other_upgrades() {
    let test = "one_program_locks_and_the_other_upgrades";
    for kopist_locks in [true, false] {
        let Some(old) = Old::new(test, "1") else { return };
        let Pair { kopist, kopia, .. } = &old.pair;
        let (first, second) = if kopist_locks { (kopist, kopia) } else { (kopia, kopist) };
        begin(first, &["--lock-only"]);
        for client in [kopist, kopia] {
            let refused = client.run(&["snapshot", "list", "--upgrade-no-block"]).expect_failure();
            assert!(refused.stderr.contains("repository upgrade in progress"), "{refused}");
            let status = client.ok(&["repository", "status", "--upgrade-owner-id=owner"]);
            for line in ["Upgrade Owner:       owner", "Upgrade lock:        Locked"] {
                assert!(status.contains(line), "{status}");
            }
        }
        begin(second, &[]);
        old.is_upgraded();
    }
}

#[test]
fn an_upgrade_is_taken_back_by_either() {
    let test = "an_upgrade_is_taken_back_by_either";
    const ROLLBACK: [&str; 5] =
        ["repository", "upgrade", "rollback", "--force", "--upgrade-owner-id=owner"];
    for kopist_upgrades in [true, false] {
        let Some(old) = Old::new(test, "1") else { return };
        let Pair { kopist, kopia, .. } = &old.pair;
        let (first, second) = if kopist_upgrades { (kopist, kopia) } else { (kopia, kopist) };
        begin(first, &["--commit-mode=never"]);
        let hesitant: Vec<_> = ROLLBACK.into_iter().filter(|word| *word != "--force").collect();
        second.run(&hesitant).expect_failure();
        second.ok(&ROLLBACK);
        assert!(!blobs(&old.pair.repository).keys().any(|name| name.contains("backup")));
        // The old format again, for both.
        for client in [kopist, kopia] {
            let status = client.ok(&["repository", "status"]);
            assert!(status.contains("Format version:      1"), "{status}");
            restores_to(client, &old.snapshot, &old.expected);
            snapshot(client, old.tree.root());
        }
        // What the first attempt left behind does not come back with the second.
        let removed = first.json(&["content", "list", "--json"]);
        let gone = removed.as_array().unwrap()[0]["contentID"].as_str().unwrap().to_owned();
        let delete = ["content", "delete", &gone, "--dangerous-commands=enabled"];
        first.ok(&delete);
        first.ok(&[
            "index",
            "optimize",
            "--drop-contents",
            &gone,
            "--all",
            "--dangerous-commands=enabled",
        ]);
        begin(kopist, &[]);
        let left = kopia.json(&["content", "list", "--deleted", "--json"]);
        let is_gone =
            left.as_array().unwrap().iter().all(|item| item["contentID"] != gone.as_str());
        assert!(is_gone, "{gone} is back");
    }
}

#[test]
fn a_damaged_new_index_stops_the_upgrade() {
    let Some(old) = Old::new("a_damaged_new_index_stops_the_upgrade", "1") else { return };
    let kopist = &old.pair.kopist;
    begin(kopist, &["--commit-mode=never"]);
    let blobs = blobs(&old.pair.repository);
    let name = blobs.keys().find(|name| name.starts_with("xn")).expect("a new index");
    let file = crate::pair::blob_file(&old.pair.repository, name);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let outcome = kopist.run(&BEGIN).expect_failure();
    let words = "failed to load index entries for new index: failed to load index blob with BlobID";
    assert!(outcome.stderr.contains(words), "{outcome}");
    let refused = old.pair.kopia.run(&["snapshot", "list", "--upgrade-no-block"]).expect_failure();
    assert!(refused.stderr.contains("repository upgrade in progress"), "still locked: {refused}");
}

#[test]
fn an_upgrade_needs_an_owner_and_time() {
    let Some(old) = Old::new("an_upgrade_needs_an_owner_and_time", "1") else { return };
    for (flags, expected) in [
        (
            &["--upgrade-owner-id=o", "--io-drain-timeout=1m"][..],
            "minimum required io-drain-timeout is 15m0s",
        ),
        (&[], "no owner-id set"),
    ] {
        let line = [&BEGIN[..3], flags].concat();
        let before = blobs(&old.pair.repository);
        for client in [&old.pair.kopist, &old.pair.kopia] {
            let refused = client.run(&line).expect_failure();
            assert!(refused.stderr.contains(expected), "{refused}");
        }
        let format = |blobs: std::collections::BTreeMap<String, u64>| blobs["kopia.repository"];
        assert_eq!(format(before), format(blobs(&old.pair.repository)));
    }
}
