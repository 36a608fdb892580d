//! `kill -9` in the middle of a backup.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{self, RandomTree, Rng, TreeShape};

use crate::pair::{Pair, blobs, create, id, restores_to, snapshot, verify};
use crate::program::program;

const FILES: usize = 40;
const FILE_BYTES: usize = 6_000_000;

/// What a killed backup leaves is a repository that both programs open and verify, at whatever
/// moment the signal came.
#[test]
fn killed_at_any_moment_the_repository_is_whole() {
    let test = "killed_at_any_moment_the_repository_is_whole";
    let Some(pair) = Pair::created_by_kopist(test, &[]) else { return };
    let source = pair.folder.path().join("source");
    let mut tree = RandomTree::create(&source, 5, large());
    let before = snapshot(&pair.kopist, &source);
    let listing = tree::list(&source);
    let mut rng = Rng::new(6);
    for round in 0..8 {
        tree.change(10);
        for _ in 0..4 {
            tree.add_file(8_000_000);
        }
        let mut child = start_backup(&pair.kopist, &source, &[]);
        // Any moment is a good one: the test must pass even when the backup has ended.
        std::thread::sleep(Duration::from_millis(rng.below(900) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        println!("round {round}");
        verify(&pair.kopia);
        verify(&pair.kopist);
        pair.same_snapshots();
    }
    restores_to(&pair.kopist, id(&before), &listing);
    let after = snapshot(&pair.kopist, &source);
    verify(&pair.kopia);
    restores_to(&pair.kopia, id(&after), &tree::list(&source));
}

/// Everything up to the last checkpoint is in the index, and the next backup does not store it
/// again.
#[test]
fn the_next_backup_reuses_what_was_uploaded() {
    let folder = tempfile::Builder::new().prefix("kill-").tempdir().unwrap();
    let repository = folder.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    let client = Client::new(&program(), &folder.path().join("client"), crate::pair::PASSWORD);
    create(&client, &repository, &[]);
    let source = folder.path().join("source");
    let mut rng = Rng::new(7);
    std::fs::create_dir(&source).unwrap();
    for number in 0..FILES {
        std::fs::write(source.join(format!("{number}")), rng.bytes(FILE_BYTES)).unwrap();
    }
    let indexes =
        |repository: &Path| blobs(repository).keys().filter(|name| name.starts_with("xn")).count();
    let at_start = indexes(&repository);
    let mut child = start_backup(&client, &source, &["--checkpoint-interval=300ms"]);
    // A checkpoint has been made when another index blob is there.
    while indexes(&repository) <= at_start && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    verify(&client);
    let known = indexed_data(&client);
    assert!(known > 0, "a checkpoint makes contents known");
    let packs = blobs(&repository);
    let made = snapshot(&client, &source);
    let added: u64 = (blobs(&repository).iter())
        .filter(|(name, _)| name.starts_with('p') && !packs.contains_key(*name))
        .map(|(_, length)| length)
        .sum();
    // Padding, local indexes and encryption add a little to what is new.
    let new = FILES as u64 * FILE_BYTES as u64 - known;
    assert!(added < new + new / 50 + 1_000_000, "{known} bytes were known, {added} were added");
    restores_to(&client, id(&made), &tree::list(&source));
}

/// Bytes of file data that the index knows.
fn indexed_data(client: &Client) -> u64 {
    let listed = client.json(&["content", "list", "--json"]);
    (listed.as_array().unwrap().iter())
        .filter(|content| content["packFile"].as_str().unwrap().starts_with('p'))
        .map(|content| content["originalLength"].as_u64().unwrap())
        .sum()
}

fn start_backup(client: &Client, source: &Path, more: &[&str]) -> Child {
    let mut arguments = vec!["snapshot", "create", source.to_str().unwrap()];
    arguments.push("--no-auto-maintenance");
    arguments.extend(more);
    client.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn large() -> TreeShape {
    TreeShape { directories: 10, files: 60, largest: 8_000_000, links: 3 }
}
