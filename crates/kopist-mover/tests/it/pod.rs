//! Life in a pod: what is short, missing, slow or shared there.
//!
//! Any user, no passwd entry and a read-only root are scenario V14, which also runs in an image's
//! root.

use jiff::SignedDuration;
use kopist_testkit::oracle::skipped;
use kopist_testkit::proxy::{Faults, Proxy};
use kopist_testkit::servers::S3;
use serde_json::json;

use crate::container::Container;
use crate::remote;
use crate::rooted::RootFs;
use crate::runs::{container, env, plant, run, same, succeed, with_a_backup};
use crate::telling::Server;

#[test]
fn nothing_is_needed_from_the_surroundings() {
    let container =
        Container::new(if crate::container::is_root() { 54_321 } else { container().uid });
    plant(&container.path("/data"));
    for entry in walkdir::WalkDir::new(container.path("/data")).into_iter().flatten() {
        container.own(entry.path());
    }
    let bare = json!({
        "HOME": "",
        "KOPIA_OVERRIDE_USERNAME": null,
        "KOPIA_OVERRIDE_HOSTNAME": null,
    });
    std::fs::remove_dir_all(container.path("/tmp")).unwrap();
    std::fs::remove_file(container.path("/dev/termination-log")).unwrap();
    let log = succeed(&container, "backup", &bare);
    if crate::container::is_root() {
        assert!(log.contains("Creating snapshot for nobody@volsync-src-app-x7k2p:/data"), "{log}");
    }
    succeed(&container, "restore", &bare);
    same(&container);
}

#[test]
fn a_full_cache_volume_is_gone_around() {
    if let Some(why) = RootFs::obstacle() {
        skipped("a_full_cache_volume_is_gone_around", why);
        return;
    }
    for bytes in [64 << 10, 2 << 20] {
        let container = Container::new(0).with_full_cache(bytes);
        plant(&container.path("/data"));
        let asked = json!({"KOPIA_CACHE_CAPACITY_BYTES": "8589934592"});
        succeed(&container, "backup", &asked);
        std::fs::write(container.path("/data/more"), "more").unwrap();
        let log = succeed(&container, "backup", &asked);
        assert!(log.contains("entries unchanged"), "{log}");
        succeed(&container, "restore", &asked);
        same(&container);
        succeed(&container, "maintenance", &asked);
    }
}

/// More data than memory: what it takes does not grow with the data. The kernel's own count of the
/// process is compared with the limit that the process has read.
#[test]
fn a_memory_limit_is_known_and_kept() {
    const LIMIT: u64 = 192 << 20;
    const FILE: usize = 48 << 20;
    let container = container();
    let group = container.path("/sys/fs/cgroup");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("memory.max"), format!("{LIMIT}\n")).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..4 {
        let mut noise = Vec::with_capacity(FILE);
        while noise.len() < FILE {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        std::fs::write(container.path(&format!("/data/file{index}")), noise).unwrap();
    }
    for mode in ["backup", "restore", "maintenance"] {
        succeed(&container, mode, &json!({"KOPIST_REPORT_FILE": "/cache/report.json"}));
        let text = std::fs::read_to_string(container.path("/cache/report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["memory"]["limitBytes"], LIMIT, "{mode}");
        let peak = report["memory"]["peakBytes"].as_u64().unwrap();
        assert!(peak < LIMIT, "{mode} took {peak} bytes");
    }
    same(&container);
}

#[test]
fn proxies_are_those_of_the_environment() {
    let container = container();
    plant(&container.path("/data"));
    let proxy = Server::start("502 Bad Gateway");
    let mut settings = json!({
        "KOPIST_METRICS": "otlp:http://collector.invalid:4318",
        "HTTP_PROXY": proxy.url(),
        "NO_PROXY": "10.0.0.0/8,.svc",
    });
    let log = succeed(&container, "backup", &settings);
    let asked = proxy.take();
    assert_eq!(asked.len(), 1, "{log}");
    assert!(asked[0].line.contains("collector.invalid:4318"), "{}", asked[0].line);
    settings["NO_PROXY"] = json!("collector.invalid");
    succeed(&container, "backup", &settings);
    assert_eq!(proxy.take().len(), 0, "an exception is reached directly, or not at all");
}

#[test]
fn two_pods_make_one_repository() {
    let first = container();
    plant(&first.path("/data"));
    let pods = [first.sibling(), first.sibling(), first.sibling()];
    let names = ["one", "two", "three"];
    let settings = |name: &str| json!({"KOPIA_OVERRIDE_USERNAME": name});
    let running: Vec<_> = pods
        .iter()
        .zip(names)
        .map(|(pod, name)| pod.start(&["backup".to_owned()], &env("backup", &settings(name))))
        .collect();
    for running in running {
        let ended = running.end();
        assert_eq!(ended.code(), 0, "{}", ended.log);
    }
    for name in names {
        succeed(&first, "restore", &settings(name));
        same(&first);
    }
}

#[test]
fn what_is_stored_before_a_stop_is_used_by_the_next_run() {
    let container = container();
    for index in 0..40_u32 {
        let noise: Vec<u8> = (0..5_000_u32)
            .map(|i| ((i ^ (index << 20)).wrapping_mul(2_246_822_519) >> 11) as u8)
            .collect();
        std::fs::write(container.path(&format!("/data/file{index}")), noise).unwrap();
    }
    // A file that takes hours to read, although it stores next to nothing.
    let endless = container.path("/data/zeros");
    std::fs::File::create(&endless).unwrap().set_len(1 << 40).unwrap();
    let often = json!({"KOPIST_PROGRESS_INTERVAL": "20ms"});
    let mut running = container.start(&["backup".to_owned()], &env("backup", &often));
    running.wait_for("INFO: backup: 40 files read");
    running.terminate();
    let ended = running.end();
    assert_eq!(ended.code(), 143, "{}", ended.log);
    assert!(ended.log.contains("OPERATION_RESULT: FAILURE"), "{}", ended.log);
    std::fs::remove_file(endless).unwrap();
    let report = json!({"KOPIST_REPORT_FILE": "/cache/report.json"});
    succeed(&container, "backup", &report);
    let text = std::fs::read_to_string(container.path("/cache/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["files"], 40);
    let new = report["bytesNew"].as_u64().unwrap();
    assert!(new < 100_000, "of 200,000 bytes {new} were not kept");
    succeed(&container, "restore", &json!({}));
    same(&container);
}

#[test]
fn a_cache_that_may_not_be_written_below_is_gone_around() {
    let container = with_a_backup();
    let log = succeed(&container, "restore", &json!({}));
    assert!(log.contains("Repository connected"), "{log}");
    for entry in walkdir::WalkDir::new(container.path("/cache")).contents_first(true) {
        let entry = entry.unwrap();
        if entry.depth() > 0 && entry.file_type().is_dir() {
            std::fs::remove_dir_all(entry.path()).unwrap();
            // A file stands where a directory should be.
            std::fs::write(entry.path(), "").unwrap();
        }
    }
    succeed(&container, "backup", &json!({}));
    succeed(&container, "restore", &json!({}));
    same(&container);
}

#[test]
fn a_store_that_is_not_there_yet_is_waited_for() {
    let container = container();
    plant(&container.path("/data"));
    let settings = json!({
        "KOPIA_REPOSITORY": "s3://bucket/prefix",
        "KOPIA_S3_ENDPOINT": "http://not-yet.invalid:9000",
        "AWS_ACCESS_KEY_ID": "key-id-of-nobody",
        "AWS_SECRET_ACCESS_KEY": "secret-of-nobody",
        "KOPIA_LOG_LEVEL": "debug",
    });
    let mut running = container.start(&["backup".to_owned()], &env("backup", &settings));
    // At this level each attempt is in the log.
    for _ in 0..3 {
        running.wait_for_next("its name is not known");
    }
    running.terminate();
    let ended = running.end();
    assert_eq!(ended.code(), 143, "{}", ended.log);
}

/// What is old enough is told by the store's clock and ours; where they differ, nothing is deleted.
#[test]
fn another_clock_of_the_store() {
    const TEST: &str = "another_clock_of_the_store";
    let Some(server) = S3::start(TEST) else { return };
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let settings = remote::s3(&proxy.address(), "bucket");
    let container = container();
    plant(&container.path("/data"));
    succeed(&container, "backup", &settings);
    for ahead in [SignedDuration::from_hours(30), SignedDuration::from_hours(-30)] {
        let blobs = || server.ask("GET", "/bucket?list-type=2&prefix=app%2Fp", &[], "");
        let before = blobs().matches("<Key>").count();
        assert!(before > 0);
        proxy.set(Faults { clock_ahead: ahead, ..Faults::default() });
        let log = succeed(&container, "backup", &settings);
        assert!(log.contains("entries unchanged"), "{log}");
        succeed(&container, "restore", &settings);
        same(&container);
        let ended = run(&container, "maintenance", &settings);
        assert_eq!(ended.code(), 1, "{}", ended.log);
        assert!(ended.log.contains("clock skew detected"), "{}", ended.log);
        assert!(
            ended.log.contains("hint: the clocks of the node and of the store"),
            "{}",
            ended.log
        );
        assert_eq!(blobs().matches("<Key>").count(), before, "{ahead:#}");
    }
    // A few minutes are nothing.
    proxy.set(Faults { clock_ahead: SignedDuration::from_mins(3), ..Faults::default() });
    succeed(&container, "maintenance", &settings);
    succeed(&container, "restore", &settings);
    same(&container);
}
