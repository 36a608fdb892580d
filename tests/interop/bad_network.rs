//! Backups and restores while the network, or the server, misbehaves: they end whole, or say why
//! not, and what is there afterwards verifies. This needs no kopia.

use std::path::Path;
use std::time::Duration;

use kopist_testkit::oracle::Client;
use kopist_testkit::proxy::{Faults, Proxy};
use kopist_testkit::servers::S3;
use kopist_testkit::tree;

use crate::pair::{PASSWORD, id, restores_to, snapshot, verify};
use crate::program::program;

const FILES: usize = 2000;

/// A client of a repository in a bucket, reached through a proxy that is still good.
fn client(server: &S3, proxy: &Proxy, folder: &Path) -> Client {
    server.make_bucket("bucket");
    let client = Client::new(&program(), &folder.join("client"), PASSWORD);
    client.ok(&[
        "repository",
        "create",
        "s3",
        "--bucket=bucket",
        "--endpoint",
        &proxy.address(),
        "--disable-tls",
        "--access-key",
        S3::KEY_ID,
        "--secret-access-key",
        S3::SECRET,
    ]);
    client
}

/// Many small files and some large ones that do not compress.
fn write_files(folder: &Path, seed: u64) {
    let mut state = seed | 1;
    for n in 0..FILES {
        let directory = folder.join(format!("d{}", n % 20));
        std::fs::create_dir_all(&directory).unwrap();
        let length = if n % 250 == 0 { 3_000_000 } else { n % 3000 };
        let content: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
                (state >> 33) as u8
            })
            .collect();
        std::fs::write(directory.join(format!("f{n}")), content).unwrap();
    }
}

#[test]
fn a_backup_and_its_restore_survive_a_bad_network() {
    let Some(server) = S3::start("a backup through a bad network") else { return };
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let client = client(&server, &proxy, folder.path());
    let source = folder.path().join("source");
    write_files(&source, 7);
    let files = tree::list(&source);
    proxy.set(Faults {
        refused: 0.05,
        cut: 0.05,
        lost: 0.05,
        hung_up: 0.05,
        slow: 0.05,
        ..Faults::default()
    });
    let made = snapshot(&client, &source);
    assert_eq!(made["rootEntry"]["summ"]["files"], FILES);
    restores_to(&client, id(&made), &files);
    verify(&client);
}

#[test]
fn a_server_may_be_killed_and_come_back() {
    let Some(mut server) = S3::start("a server that is killed") else { return };
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let folder = tempfile::tempdir().unwrap();
    let client = client(&server, &proxy, folder.path());
    let source = folder.path().join("source");
    write_files(&source, 9);
    let files = tree::list(&source);
    let slow = Faults { latency: Duration::from_millis(20), ..Faults::default() };
    proxy.set(slow);
    // Whether it ends well or not: it says which, and nothing is damaged.
    let path = source.to_str().unwrap();
    let mut running = client.command(&["snapshot", "create", path]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.server.restart();
    let status = running.wait().unwrap();
    assert!(status.code().is_some_and(|code| code < 100), "it ends by itself: {status}");
    let made = snapshot(&client, &source);
    verify(&client);

    let target = folder.path().join("restored");
    let mut running = client
        .command(&["snapshot", "restore", id(&made), target.to_str().unwrap()])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.server.restart();
    assert!(running.wait().unwrap().code().is_some_and(|code| code < 100));
    restores_to(&client, id(&made), &files);
}
