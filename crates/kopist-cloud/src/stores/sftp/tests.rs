//! A slow line and a dead one: the time-outs are shortened, which a configuration cannot do.

use std::time::Duration;

use kopist_blob::{ByteRange, StorageConfig};
use kopist_testkit::proxy::{Line, Weather};
use kopist_testkit::servers::Sftp;
use serde_json::json;

use super::config::Config;
use super::tree::SftpTree;
use crate::stores::sharded::Tree as _;

/// A tree behind a line, in which the server may be silent for that long.
fn behind(server: &Sftp, line: &Line, silence: Duration) -> SftpTree {
    let hosts = std::fs::read_to_string(&server.known_hosts).unwrap();
    let mut config = server.config(".");
    config["port"] = json!(line.port());
    config["knownHostsFile"] = json!("");
    config["knownHostsData"] =
        json!(hosts.replace(&format!(":{}", server.server.port()), &format!(":{}", line.port())));
    let mut config = Config::from_storage(&StorageConfig::new("sftp", config)).unwrap();
    config.silence = Some(silence);
    SftpTree::new(config, "SFTP".to_owned()).unwrap()
}

/// On a slow line all blobs together take much longer than the server may be silent.
#[test]
fn a_slow_line_only_takes_longer() {
    let Some(server) = Sftp::start("sftp on a slow line", &["ed25519"]) else { return };
    // At most 64 KiB in 30 ms, and usually less.
    let slow = Duration::from_millis(30);
    let line = Line::start(server.server.port(), Weather { slow, ..Weather::default() });
    let tree = behind(&server, &line, Duration::from_secs(2));
    let data = vec![7; 1 << 20];
    let in_three = |work: &(dyn Fn(&str) + Sync)| {
        std::thread::scope(|scope| {
            for name in ["p1", "p2", "p3"] {
                scope.spawn(move || work(name));
            }
        });
    };
    let start = std::time::Instant::now();
    in_three(&|name| {
        tree.write(name, &name.into(), &[&data], None).unwrap();
    });
    assert!(start.elapsed() > Duration::from_secs(2), "the line is too fast for this test");
    in_three(&|name| assert_eq!(tree.read(name, &name.into(), ByteRange::Full).unwrap(), data));
}

#[test]
fn silence_ends_a_connection_and_the_next_call_makes_another() {
    let Some(server) = Sftp::start("sftp on a dead line", &["ed25519"]) else { return };
    let line = Line::start(server.server.port(), Weather::default());
    let tree = behind(&server, &line, Duration::from_secs(1));
    tree.write("p1", &"p1".into(), &[b"x"], None).unwrap();
    line.set(Weather { hold_after: 1, ..Weather::default() });
    let error = tree.stat("p1", &"p1".into()).unwrap_err();
    assert!(error.is_retriable() && error.to_string().contains("nothing came for 1s"), "{error}");
    line.set(Weather::default());
    assert_eq!(tree.stat("p1", &"p1".into()).unwrap().length, 1);
}
