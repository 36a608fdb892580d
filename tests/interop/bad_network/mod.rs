//! Backups and restores while the network, or the server, misbehaves, on every kind of storage:
//! they end whole, or say why not, and what is there afterwards verifies. This needs no kopia.
//!
//! Each storage goes through the same acts ([`survives`]), in a [`Scene`] that knows how its
//! line can be made to fail and what its server says.

mod scenes;

use std::path::Path;

use kopist_testkit::oracle::{Client, Outcome};
use kopist_testkit::tree;

use crate::pair::{PASSWORD, id, restores_to, snapshot, verify};
use crate::program::program;
use scenes::Scene;

const FILES: usize = 2000;

/// Many small files and some large ones that do not compress. Another round changes a tenth.
fn write_files(folder: &Path, round: u64) {
    let mut state = round + 1;
    for n in (0..FILES).filter(|n| round == 0 || n % 10 == round as usize) {
        let directory = folder.join(format!("d{}", n % 20));
        std::fs::create_dir_all(&directory).unwrap();
        let length = if n % 250 == 0 { 1_000_000 } else { n % 3000 };
        let content: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n as u64 | 1);
                (state >> 33) as u8
            })
            .collect();
        std::fs::write(directory.join(format!("f{n}")), content).unwrap();
    }
}

/// What failed says so in words that name a cause; nothing panics.
#[track_caller]
fn says_why(outcome: Outcome, words: &[&str]) {
    let outcome = outcome.expect_failure();
    let told = words.iter().any(|word| outcome.stderr.contains(word));
    assert!(told, "none of {words:?} in: {outcome}");
}

fn survives(mut scene: Scene) {
    let folder = tempfile::Builder::new().prefix("network-").tempdir().unwrap();
    let mut client = Client::new(&program(), &folder.path().join("client"), PASSWORD);
    scene.place.prepare(&mut client);
    scene.place.run(&client, "create");
    let source = folder.path().join("source");
    let path = source.to_str().unwrap();
    let backup = ["snapshot", "create", path, "--no-auto-maintenance"];

    // One request in twenty goes wrong in each of the ways there are.
    write_files(&source, 0);
    scene.misbehave();
    let made = snapshot(&client, &source);
    assert_eq!(made["rootEntry"]["summ"]["files"], FILES);
    restores_to(&client, id(&made), &tree::list(&source));
    assert!(scene.faults() > 0, "something went wrong at all");

    // A storm: nothing works for a while, in one way and then in another.
    write_files(&source, 1);
    std::thread::scope(|scope| {
        scene.before_the_storm();
        let running = scope.spawn(|| client.run(&backup));
        scene.storm();
        running.join().unwrap().expect_success();
    });

    // The credentials expire in the middle.
    write_files(&source, 2);
    std::thread::scope(|scope| {
        scene.before_expiry();
        let running = scope.spawn(|| client.run(&backup));
        scene.expire();
        says_why(running.join().unwrap(), &scene.expiry);
    });
    scene.heal();

    // The server is killed in the middle and does not come back.
    std::thread::scope(|scope| {
        scene.before_death();
        let running = scope.spawn(|| client.run(&backup));
        scene.die();
        says_why(running.join().unwrap(), &scene.death);
    });
    scene.heal();

    // It is killed and comes back: during a backup, and during a restore.
    write_files(&source, 3);
    std::thread::scope(|scope| {
        scene.before_death();
        let running = scope.spawn(|| client.run(&backup));
        scene.die();
        scene.heal();
        running.join().unwrap().expect_success();
    });
    let made = snapshot(&client, &source);
    verify(&client);
    let files = tree::list(&source);
    restores_to(&client, id(&made), &files);
    let target = folder.path().join("restored");
    let restore = ["snapshot", "restore", id(&made), target.to_str().unwrap()];
    std::thread::scope(|scope| {
        scene.before_death();
        let running = scope.spawn(|| client.run(&restore));
        scene.die();
        scene.heal();
        running.join().unwrap().expect_success();
    });
    let found = tree::compare(&files, &tree::list(&target), tree::Comparison::restored());
    assert!(found.is_empty(), "{found}");
}

#[test]
fn s3_survives_a_bad_network() {
    scenes::s3().into_iter().for_each(survives);
}

#[test]
fn gcs_survives_a_bad_network() {
    scenes::gcs().into_iter().for_each(survives);
}

#[test]
fn azure_survives_a_bad_network() {
    scenes::azure().into_iter().for_each(survives);
}

#[test]
fn b2_survives_a_bad_network() {
    scenes::b2().into_iter().for_each(survives);
}

#[test]
fn gdrive_survives_a_bad_network() {
    scenes::gdrive().into_iter().for_each(survives);
}

#[test]
fn webdav_survives_a_bad_network() {
    scenes::webdav().into_iter().for_each(survives);
}

#[test]
fn sftp_survives_a_bad_network() {
    scenes::sftp().into_iter().for_each(survives);
}

#[test]
fn rclone_survives_a_bad_network() {
    scenes::rclone().into_iter().for_each(survives);
}
