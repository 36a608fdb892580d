//! Every kind of trouble between us and a server: operations end whole, or say why not.

use std::sync::Arc;
use std::time::Duration;

use kopist_blob::{
    BlobId, BlobStore, ByteRange, PutOptions, RetryPolicy, StorageConfig, in_parallel, list_all,
};
use kopist_cloud::{ConnectOptions, create};
use kopist_testkit::proxy::{Faults, Line, Proxy, Weather};
use kopist_testkit::servers::{Azure, B2, B2_KEY, B2_KEY_ID, Dav, Drive, Gcs, S3, Sftp};
use serde_json::{Value, json};

/// Blobs of each round.
const BLOBS: usize = 120;

fn troubles() -> Vec<(&'static str, Faults)> {
    let none = Faults::default();
    vec![
        ("5 % are refused", Faults { refused: 0.05, ..none.clone() }),
        ("5 % are too many", Faults { refused: 0.05, status: 429, ..none.clone() }),
        ("bodies are cut", Faults { cut: 0.1, ..none.clone() }),
        ("answers are lost", Faults { lost: 0.1, ..none.clone() }),
        ("the server hangs up", Faults { hung_up: 0.1, ..none.clone() }),
        ("reads are slow", Faults { slow: 0.2, ..none.clone() }),
        (
            "everything at once",
            Faults {
                refused: 0.05,
                cut: 0.05,
                lost: 0.05,
                hung_up: 0.05,
                slow: 0.05,
                latency: Duration::from_millis(1),
                ..none
            },
        ),
    ]
}

fn patient(kind: &str, config: Value) -> Arc<dyn BlobStore> {
    let retry = RetryPolicy { first_wait: Duration::from_millis(5), ..RetryPolicy::default() };
    let options = ConnectOptions { retry, ..ConnectOptions::default() };
    create(&StorageConfig::new(kind, config), &options).unwrap()
}

fn content(n: usize) -> Vec<u8> {
    (0..n * 97 % 50_000).map(|at| (at * 31 + n) as u8).collect()
}

/// Writes, reads, lists and deletes through the proxy while it misbehaves.
fn endures(proxy: &Proxy, store: &dyn BlobStore) {
    for (name, faults) in troubles() {
        proxy.set(faults);
        works(name, store);
        proxy.set(Faults::default());
        assert!(list_all(store, "").unwrap().is_empty(), "{name}");
    }
    let faults = proxy.traffic().faults.load(std::sync::atomic::Ordering::Relaxed);
    assert!(faults > 100, "only {faults} faults");
}

fn works(name: &str, store: &dyn BlobStore) {
    let ids: Vec<(usize, BlobId)> = (0..BLOBS).map(|n| (n, format!("p{n:031x}").into())).collect();
    in_parallel(&ids, 8, |(n, id)| {
        store.put(id, &[&content(*n)], &PutOptions::default())?;
        Ok(())
    })
    .unwrap_or_else(|error| panic!("{name}: {error}"));
    in_parallel(&ids, 8, |(n, id)| {
        assert_eq!(store.get(id, ByteRange::Full)?, content(*n), "{name}");
        if *n > 10 {
            let part = store.get(id, ByteRange::Bounded { offset: 3, length: 5 })?;
            assert_eq!(part, content(*n)[3..8], "{name}");
        }
        assert_eq!(store.metadata(id)?.length, content(*n).len() as u64, "{name}");
        Ok(())
    })
    .unwrap_or_else(|error| panic!("{name}: {error}"));
    let listed = list_all(store, "p").unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(listed.len(), BLOBS, "{name}");
    in_parallel(&ids, 8, |(_, id)| store.delete(id))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn s3_endures_a_bad_network() {
    let Some(server) = S3::start("s3 faults") else { return };
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    endures(&proxy, &*patient("s3", server.config_at(&proxy.address(), "bucket", "x/")));
}

#[test]
fn b2_endures_a_bad_network() {
    let Some(server) = B2::start("b2 faults") else { return };
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let config = json!({
        "bucket": "kbucket", "keyID": B2_KEY_ID, "key": B2_KEY,
        "endpoint": format!("http://{}", proxy.address()),
    });
    endures(&proxy, &*patient("b2", config));
}

#[test]
fn webdav_endures_a_bad_network() {
    let Some(server) = Dav::start("webdav faults") else { return };
    server.make_collection("d");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let mut config = server.config("d", false);
    config["url"] = json!(format!("http://{}/d", proxy.address()));
    endures(&proxy, &*patient("webdav", config));
}

#[test]
fn gcs_endures_a_bad_network() {
    let Some(server) = Gcs::start("gcs faults") else { return };
    server.make_bucket("gbucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let config = json!({"bucket": "gbucket", "endpoint": format!("http://{}", proxy.address())});
    endures(&proxy, &*patient("gcs", config));
}

#[test]
fn azure_endures_a_bad_network() {
    let Some(server) = Azure::start("azure faults") else { return };
    server.make_container("kcont");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    endures(&proxy, &*patient("azureBlob", server.config_at(proxy.port(), "kcont", "x/")));
}

#[test]
fn gdrive_endures_a_bad_network() {
    let Some(server) = Drive::start("gdrive faults") else { return };
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let config = json!({
        "folderID": "folder1", "credentials": server.service_account(),
        "endpoint": format!("http://{}", proxy.address()),
    });
    endures(&proxy, &*patient("gdrive", config));
}

/// Inside of SSH nothing can be told apart, so whole connections break, each after some hundred
/// kilobytes.
#[test]
fn sftp_endures_a_bad_network() {
    let Some(server) = Sftp::start("sftp faults", &["ed25519"]) else { return };
    let line = Line::start(server.server.port(), Weather::default());
    let mut config = server.config("r");
    let hosts = std::fs::read_to_string(&server.known_hosts).unwrap();
    let port = |port: u16| format!("]:{port} ");
    config["knownHostsData"] =
        json!(hosts.replace(&port(server.server.port()), &port(line.port())));
    config["port"] = json!(line.port());
    let store = patient("sftp", config);
    let often = Weather { cut_sending: 400_000, ..Weather::default() };
    let lost = Weather { cut_receiving: 200_000, ..Weather::default() };
    let slow = Weather { slow: Duration::from_millis(1), cut_receiving: 400_000, ..often };
    for (name, weather) in [("cut", often), ("answers lost", lost), ("slow as well", slow)] {
        line.set(weather);
        line.break_all();
        works(name, &*store);
        line.set(Weather::default());
        line.break_all();
        assert!(list_all(&store, "").unwrap().is_empty(), "{name}");
    }
    assert!(line.breaks() > 20, "only {} breaks", line.breaks());
}

/// A storm: nothing works for a while, then everything does again.
#[test]
fn a_storm_is_sat_out() {
    let Some(server) = S3::start("s3 storm") else { return };
    server.make_bucket("bucket");
    let storm = Faults { refused: 1.0, ..Faults::default() };
    let proxy = Proxy::start(server.server.port(), storm);
    let options = ConnectOptions::default();
    let config = server.config_at(&proxy.address(), "bucket", "");
    let store = create(&StorageConfig::new("s3", config), &options).unwrap();
    std::thread::scope(|scope| {
        let put = scope.spawn(|| store.put(&"p1".into(), &[b"x"], &PutOptions::default()));
        std::thread::sleep(Duration::from_millis(500));
        proxy.set(Faults::default());
        put.join().unwrap().unwrap();
    });
    assert_eq!(list_all(&store, "").unwrap().len(), 1);
}

#[test]
fn what_does_not_pass_is_said() {
    let Some(server) = S3::start("s3 expiry") else { return };
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let store = patient("s3", server.config_at(&proxy.address(), "bucket", ""));
    store.put(&"p1".into(), &[b"x"], &PutOptions::default()).unwrap();
    let before = proxy.traffic().requests.load(std::sync::atomic::Ordering::Relaxed);
    let refuse = |status: u16, code: &str, message: &str| Faults {
        refused: 1.0,
        status,
        body: format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
        ..Faults::default()
    };
    for (faults, part) in [
        (refuse(400, "ExpiredToken", "The provided token has expired."), "--session-token"),
        (refuse(403, "RequestTimeTooSkewed", "The difference is too large"), "clock"),
        (refuse(403, "AccessDenied", "Access Denied"), "--bucket"),
        (refuse(409, "QuotaExceeded", "Bucket quota exceeded"), "quota"),
    ] {
        proxy.set(faults);
        let error = store.put(&"p2".into(), &[b"x"], &PutOptions::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let after = proxy.traffic().requests.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(after - before, 4, "nothing of this is tried twice");
}
