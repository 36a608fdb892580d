//! Both programs on every kind of storage: one creates, the other connects, and both back up,
//! verify, restore and maintain.
//!
//! The servers are real, except those of B2 and Google Drive, which are fakes of ours. What is
//! not installed is skipped with a line.

mod places;

use std::path::Path;

use kopist_testkit::oracle::{self, Client, skipped};
use kopist_testkit::servers::{AZURE_ACCOUNT, Azure, B2, Dav, Drive, Gcs, S3, Sftp, find_or_skip};
use kopist_testkit::tree;
use serde_json::Value;

use crate::pair::{PASSWORD, id, restores_to, snapshot, snapshots, verify};
use crate::place::Place;
use crate::program::program;
use places::Way;

/// The storage of a client, as its configuration file has it.
fn storage(client: &Client) -> Value {
    let text = std::fs::read_to_string(client.folder().join("repository.config")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["storage"].clone()
}

fn write_files(folder: &Path, round: u32) {
    for n in 0..40_u32 {
        let content: Vec<u8> =
            (0..n * 700).map(|at| (at.wrapping_mul(2_654_435_761) >> (n % 13)) as u8).collect();
        std::fs::write(folder.join(format!("file-{round}-{n}")), content).unwrap();
    }
}

/// Each program creates in a place of its own, and the other joins.
fn both_ways(test: &str, place: impl Fn(&str) -> Place) {
    let Some(reference) = oracle::find_or_skip(test) else { return };
    for creator_is_kopist in [true, false] {
        let name = if creator_is_kopist { "by-kopist" } else { "by-kopia" };
        let place = place(name);
        let folder = tempfile::Builder::new().prefix("stores-").tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir(&source).unwrap();
        write_files(&source, 1);
        let mut kopist = Client::new(&program(), &folder.path().join("kopist"), PASSWORD);
        let mut kopia = Client::new(&reference, &folder.path().join("kopia"), PASSWORD);
        place.prepare(&mut kopist);
        place.prepare(&mut kopia);
        let (first, second) = if creator_is_kopist { (&kopist, &kopia) } else { (&kopia, &kopist) };
        place.run(first, "create");
        let one = snapshot(first, &source);
        place.run(second, "connect");
        assert_eq!(storage(first), storage(second), "{test}: both write the same settings");

        write_files(&source, 2);
        let files = tree::list(&source);
        let two = snapshot(second, &source);
        assert_eq!(snapshots(first), snapshots(second), "{test}");
        assert_ne!(id(&one), id(&two));
        for client in [first, second] {
            verify(client);
            restores_to(client, id(&two), &files);
        }
        first.ok(&["maintenance", "run", "--full", "--safety=none"]);
        second.ok(&["maintenance", "set", "--owner=me"]);
        second.ok(&["maintenance", "run", "--full", "--safety=none"]);
        for client in [first, second] {
            verify(client);
        }
        kopist.ok(&[
            "repository",
            "validate-provider",
            "--concurrency-test-duration=1s",
            "--num-storage-connections=2",
        ]);
        // The configuration of one, and its token, connect the other.
        let config = second.folder().join("repository.config");
        let config = config.to_str().unwrap();
        first.ok(&["repository", "connect", "from-config", "--file", config]);
        assert_eq!(storage(first), storage(second), "{test}");
        let status = second.ok(&["repository", "status", "--reconnect-token"]);
        let token = status
            .split_whitespace()
            .find(|word| word.starts_with("eyJ"))
            .unwrap_or_else(|| panic!("no token in {status}"));
        first.ok(&["repository", "connect", "from-config", "--token", token]);
        assert_eq!(snapshots(first).len(), 2, "{test}");
    }
}

#[test]
fn s3() {
    let Some(server) = S3::start("s3 with kopia") else { return };
    server.make_bucket("bucket");
    both_ways("s3 with kopia", |name| places::s3(&server, name));
}

#[test]
fn s3_with_locks_and_tls() {
    let Some(server) = S3::start_tls("s3 with kopia, locks and TLS") else { return };
    server.make_locking_bucket("locking");
    let authority = server.certificates.as_ref().unwrap().authority.display().to_string();
    let Some(reference) = oracle::find_or_skip("s3 with kopia, locks and TLS") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    write_files(&source, 1);
    let place = Place::new(&[
        "s3",
        "--bucket=locking",
        "--endpoint",
        &server.endpoint,
        "--root-ca-pem-path",
        &authority,
        "--access-key",
        S3::KEY_ID,
        "--secret-access-key",
        S3::SECRET,
    ]);
    let kopist = Client::new(&program(), &folder.path().join("kopist"), PASSWORD);
    let kopia = Client::new(&reference, &folder.path().join("kopia"), PASSWORD);
    let mut locked = Place::new(&["--retention-mode=COMPLIANCE", "--retention-period=24h"]);
    locked.arguments.extend(place.arguments.clone());
    locked.run(&kopist, "create");
    snapshot(&kopist, &source);
    place.run(&kopia, "connect");
    snapshot(&kopia, &source);
    verify(&kopia);
    verify(&kopist);
    // What may be locked is, and the rest is not.
    let listed = server.ask("GET", "/locking?list-type=2", &[], "");
    let mut seen = 0;
    for key in listed.split("<Key>").skip(1).filter_map(|rest| rest.split('<').next()) {
        let wanted = ["n", "x", "p", "q", "kopia.repository", "kopia.blobcfg"];
        let head = server.ask("GET", &format!("/locking/{key}"), &["range: bytes=0-0"], "");
        drop(head);
        if wanted.iter().any(|prefix| key.starts_with(prefix)) {
            let lock = server.ask("GET", &format!("/locking/{key}?retention="), &[], "");
            assert!(lock.contains("COMPLIANCE"), "{key}: {lock}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{listed}");
}

#[test]
fn webdav() {
    let Some(server) = Dav::start("webdav with kopia") else { return };
    both_ways("webdav with kopia", |name| places::webdav(&server, name));
}

#[test]
fn sftp() {
    let Some(server) = Sftp::start("sftp with kopia", &["ed25519"]) else { return };
    both_ways("sftp with kopia", |name| {
        let mut place = places::sftp(&server, name);
        if name == "by-kopia" {
            place.arguments.push("--embed-credentials".to_owned());
        }
        place
    });
}

/// Both programs make the directory of a copy.
#[test]
fn a_copy_on_sftp_needs_no_directory() {
    const TEST: &str = "sync-to sftp with kopia";
    let Some(server) = Sftp::start(TEST, &["ed25519"]) else { return };
    let Some(reference) = oracle::find_or_skip(TEST) else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, program) in [("kopist", program()), ("kopia", reference)] {
        let client = Client::new(&program, &folder.path().join(name), PASSWORD);
        let root = folder.path().join(format!("{name}-root"));
        std::fs::create_dir(&root).unwrap();
        let here = Place::new(&["filesystem", "--path", &root.display().to_string()]);
        here.run(&client, "create");
        let copy = places::sftp(&server, &format!("{name}/new/copy"));
        client.ok(&copy.to("sync-to"));
        client.ok(&copy.to("sync-to"));
        copy.run(&client, "connect");
        assert!(server.root.join(name).join("new/copy/kopia.repository.f").is_file(), "{name}");
    }
}

#[test]
fn gcs() {
    let Some(server) = Gcs::start("gcs with kopia, in the past") else { return };
    server.make_bucket("gbucket");
    both_ways("gcs with kopia", |name| places::gcs(&server, name));
}

#[test]
fn azure() {
    let Some(server) = Azure::start("azure with kopia") else { return };
    let host = format!("{AZURE_ACCOUNT}.{}", server.domain());
    if std::net::ToSocketAddrs::to_socket_addrs(&host).is_err() {
        return skipped("azure with kopia", &format!("{host} has no address in /etc/hosts"));
    }
    server.make_container("kcont");
    both_ways("azure with kopia", |name| places::azure(&server, name));
}

#[test]
fn rclone() {
    let Some(_) = find_or_skip("rclone", "rclone with kopia") else { return };
    let folder = tempfile::tempdir().unwrap();
    both_ways("rclone with kopia", |name| places::rclone(folder.path(), name));
}

#[test]
fn b2() {
    let Some(server) = B2::start("b2 with kopia") else { return };
    let way = Way::to(&server.server);
    both_ways("b2 with kopia", |name| places::b2(&way, name));
}

#[test]
fn gdrive() {
    let Some(server) = Drive::start("gdrive with kopia") else { return };
    let way = Way::to(&server.server);
    both_ways("gdrive with kopia", |name| places::gdrive(&server, &way, name));
}

/// A repository goes from one kind of storage to the next, and is whole at the end.
#[test]
fn a_repository_moves_from_kind_to_kind() {
    const TEST: &str = "moves between storages";
    let folder = tempfile::Builder::new().prefix("moves-").tempdir().unwrap();
    let mut kopist = Client::new(&program(), &folder.path().join("kopist"), PASSWORD);
    let (s3, gcs, azure) = (S3::start(TEST), Gcs::start(TEST), Azure::start(TEST));
    let (b2, webdav, drive) = (B2::start(TEST), Dav::start(TEST), Drive::start(TEST));
    let sftp = Sftp::start(TEST, &["ed25519"]);
    let mut all = Vec::new();
    all.extend(s3.iter().map(|server| {
        server.make_bucket("bucket");
        places::s3(server, "moved")
    }));
    all.extend(gcs.iter().map(|server| {
        server.make_bucket("gbucket");
        places::gcs(server, "moved")
    }));
    all.extend(azure.iter().map(|server| {
        server.make_container("kcont");
        places::azure(server, "moved")
    }));
    let way = b2.as_ref().map(|server| Way::to(&server.server));
    all.extend(way.iter().map(|way| places::b2(way, "moved")));
    all.extend(webdav.iter().map(|server| places::webdav(server, "moved")));
    all.extend(sftp.iter().map(|server| {
        std::fs::create_dir(server.root.join("moved")).unwrap();
        places::sftp(server, "moved")
    }));
    all.extend(find_or_skip("rclone", TEST).map(|_| places::rclone(folder.path(), "moved")));
    let way = drive.as_ref().map(|server| Way::to(&server.server));
    all.extend(drive.iter().zip(&way).map(|(server, way)| places::gdrive(server, way, "moved")));
    let mut all = all.into_iter();
    let (Some(first), Some(mut last)) = (all.next(), all.next()) else { return };

    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    write_files(&source, 1);
    first.prepare(&mut kopist);
    first.run(&kopist, "create");
    let made = snapshot(&kopist, &source);
    loop {
        last.prepare(&mut kopist);
        kopist.ok(&last.to("sync-to"));
        last.run(&kopist, "connect");
        kopist.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
        match all.next() {
            Some(next) => last = next,
            None => break,
        }
    }
    let files = tree::list(&source);
    restores_to(&kopist, id(&made), &files);
    let Some(reference) = oracle::find_or_skip(TEST) else { return };
    let mut kopia = Client::new(&reference, &folder.path().join("kopia"), PASSWORD);
    last.prepare(&mut kopia);
    last.run(&kopia, "connect");
    restores_to(&kopia, id(&made), &files);
}
