//! rclone, with a directory as its remote.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopist_blob::{
    BlobError, BlobStore, ByteRange, PutOptions, RetryPolicy, StorageConfig, list_all,
};
use kopist_cloud::{ConnectOptions, create};
use kopist_testkit::proxy::{Faults, Proxy};
use kopist_testkit::servers::{S3, find, find_or_skip};
use serde_json::{Value, json};

use crate::support::{MANY, conforms_but, failure, lists_many_laid, make, opens_again, processes};

fn config(path: &std::path::Path) -> Value {
    json!({
        "remotePath": path, "startupTimeout": "60s", "atomicWrites": true, "dirShards": null,
    })
}

#[test]
fn keeps_the_promises_of_stores() {
    let Some(_) = find_or_skip("rclone", "rclone conformance") else { return };
    let folder = tempfile::tempdir().unwrap();
    // rclone removes a file before it moves another over it.
    let left_out = ["readers see old or new, never a mixture"];
    conforms_but("rclone", &left_out, |number| config(&folder.path().join(number.to_string())));
    let store = make("rclone", config(&folder.path().join("again")));
    opens_again(&*store);
}

#[test]
fn lists_many_directories() {
    let Some(_) = find_or_skip("rclone", "rclone listing") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, shards, count) in [("flat", &[][..], MANY), ("sharded", &[1, 3], 1500)] {
        let root = folder.path().join(name);
        let mut config = config(&root);
        config["dirShards"] = json!(shards);
        lists_many_laid(&*make("rclone", config), &root, shards, count);
    }
}

/// rclone refuses a file in a directory that is missing before it has read the file.
#[test]
fn large_blobs_may_be_the_first_of_their_directory() {
    let Some(_) = find_or_skip("rclone", "rclone and large blobs") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = make("rclone", config(folder.path()));
    let data = vec![7; 24 << 20];
    for start in ["p1", "p2", "q1"] {
        let id = format!("{start}{}-s1", "0".repeat(30)).into();
        store.put(&id, &[&data], &PutOptions::default()).unwrap();
        assert_eq!(store.metadata(&id).unwrap().length, data.len() as u64);
    }
}

/// A directory shows what is still being written to it, which the settings deny.
#[test]
fn new_blobs_are_seen_whole_or_not_at_all() {
    let Some(_) = find_or_skip("rclone", "rclone and readers") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (writer, reader) =
        (make("rclone", config(folder.path())), make("rclone", config(folder.path())));
    let data = vec![7; 8 << 20];
    for number in 0..5 {
        let id = format!("p{number}").into();
        std::thread::scope(|scope| {
            let put = scope.spawn(|| writer.put(&id, &[&data], &PutOptions::default()));
            while !put.is_finished() {
                match reader.metadata(&id) {
                    Ok(seen) => assert_eq!(seen.length, data.len() as u64),
                    Err(error) => assert!(error.is_not_found(), "{error}"),
                }
            }
            put.join().unwrap().unwrap();
        });
        assert_eq!(reader.get(&id, ByteRange::Full).unwrap(), data);
    }
}

#[test]
fn a_configuration_can_be_embedded() {
    let Some(_) = find_or_skip("rclone", "rclone with a configuration") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config["remotePath"] = json!(format!("mine:{}", folder.path().join("r").display()));
    config["embeddedConfig"] = json!("[mine]\ntype = local\n");
    opens_again(&*make("rclone", config));
}

#[test]
fn it_ends_with_the_store() {
    let Some(_) = find_or_skip("rclone", "rclone ends") else { return };
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker-of-this-test");
    let store = make("rclone", config(&marker));
    store.put(&"p1".into(), &[b"x"], &PutOptions::default()).unwrap();
    let running = || !processes(&[marker.to_str().unwrap()]).is_empty();
    assert!(running());
    store.close().unwrap();
    assert!(!running());
}

/// As when it has used up the memory that it may have.
#[test]
fn a_killed_rclone_is_started_again() {
    let Some(_) = find_or_skip("rclone", "rclone killed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = make("rclone", config(folder.path()));
    let put = |n: u8| {
        store.put(&format!("p{n}").as_str().into(), &[&[n]], &PutOptions::default()).unwrap();
    };
    put(0);
    for n in 1..3 {
        let ours = processes(&["serve", folder.path().to_str().unwrap()]);
        assert_eq!(ours.len(), 1);
        rustix::process::kill_process(ours[0], rustix::process::Signal::KILL).unwrap();
        put(n);
    }
    assert_eq!(list_all(&store, "p").unwrap().len(), 3);
}

/// Names the directory of a store; set only for the process that is killed.
const ROLE: &str = "KOPIST_TEST_HOLD_RCLONE";

/// Not a test by itself: the process that is killed runs it.
#[test]
fn holder() {
    let Some(root) = std::env::var_os(ROLE) else { return };
    let mut config = config(Path::new(&root));
    config["remotePath"] = json!(format!("mine:{}", Path::new(&root).display()));
    config["embeddedConfig"] = json!("[mine]\ntype = local\n");
    let _store = make("rclone", config);
    eprintln!("it runs");
    std::thread::sleep(Duration::from_mins(10));
}

#[test]
fn nothing_is_left_when_we_are_killed() {
    let Some(_) = find_or_skip("rclone", "rclone of the killed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let left = || std::fs::read_dir(folder.path()).unwrap().count();
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["rclone::holder", "--exact", "--nocapture"])
            .env(ROLE, folder.path())
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "it runs"));
        // What the one before has left is gone.
        assert_eq!(left(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        let start = Instant::now();
        while !processes(&["serve", folder.path().to_str().unwrap()]).is_empty() {
            assert!(start.elapsed() < Duration::from_mins(1), "rclone goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(left(), 1);
    }
}

/// A program that fails so often, with these last words, before it is rclone.
fn failing(folder: &Path, times: usize, words: &str) -> Value {
    let program = folder.join("rclone.sh");
    let rclone = find("rclone").unwrap();
    let count = folder.join("count");
    std::fs::write(&count, "").unwrap();
    let text = format!(
        "#!/bin/sh\nif [ $(wc -c < {0}) -lt {times} ]; then printf x >> {0}; \
         echo \"CRITICAL: {words}\" >&2; exit 1; fi\nexec {1} \"$@\"\n",
        count.display(),
        rclone.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = config(&folder.join("r"));
    config["rcloneExe"] = json!(program);
    config
}

/// Names that cannot be asked for yet may pass, a remote that nobody knows does not.
#[test]
fn a_start_that_fails_is_repeated() {
    let Some(_) = find_or_skip("rclone", "rclone starts badly") else { return };
    let folder = tempfile::tempdir().unwrap();
    let words = "Failed to create file system: dial tcp: lookup s3: no such host";
    opens_again(&*make("rclone", failing(folder.path(), 2, words)));
    let started = || std::fs::read(folder.path().join("count")).unwrap().len();
    for (words, expected) in [(words, 10), ("didn't find section in config file", 1)] {
        let storage = StorageConfig::new("rclone", failing(folder.path(), 99, words));
        let text = create(&storage, &ConnectOptions::default()).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
        assert_eq!(started(), expected, "{text}");
    }
}

#[test]
fn errors_name_what_to_change() {
    let Some(_) = find_or_skip("rclone", "rclone errors") else { return };
    let mut wrong = config(std::path::Path::new("/tmp"));
    wrong["rcloneExe"] = json!("/nowhere/rclone");
    let text = failure("rclone", wrong);
    assert!(text.contains("--rclone-exe") && text.contains("/nowhere/rclone"), "{text}");
    let mut wrong = config(std::path::Path::new("/tmp"));
    wrong["remotePath"] = json!("nosuchremote:path");
    let text = failure("rclone", wrong);
    assert!(text.contains("rclone") && text.contains("--remote-path"), "{text}");
}

/// rclone with a bucket, to which the line can be made to fail.
fn behind(proxy: &Proxy, attempts: u32) -> std::sync::Arc<dyn BlobStore> {
    let mut config = config(std::path::Path::new("remote:bucket/x"));
    config["embeddedConfig"] = json!(format!(
        "[remote]\ntype = s3\nprovider = Other\naccess_key_id = {}\nsecret_access_key = {}\n\
         endpoint = http://{}\nforce_path_style = true\n",
        S3::KEY_ID,
        S3::SECRET,
        proxy.address()
    ));
    // What the environment says of AWS is not meant.
    let path = std::env::var("PATH").unwrap();
    config["rcloneEnv"] = json!([format!("PATH={path}"), "HOME=/"]);
    config["rcloneArgs"] = json!(["--low-level-retries=1"]);
    let retry = RetryPolicy { attempts, ..RetryPolicy::default() };
    let options = ConnectOptions { retry, ..ConnectOptions::default() };
    create(&StorageConfig::new("rclone", config), &options).unwrap()
}

fn refusing(status: u16, code: &str, methods: &'static [&'static str]) -> Faults {
    let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    Faults { refused: 1.0, status, body, methods, ..Faults::default() }
}

/// rclone has one status for all trouble; what kind it is stands in its log.
#[test]
fn a_quota_and_a_wrong_clock_behind_it_are_told() {
    let Some(_) = find_or_skip("rclone", "rclone and quotas") else { return };
    let Some(server) = S3::start("rclone and quotas") else { return };
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let put = |store: &dyn BlobStore| store.put(&"p1".into(), &[b"x"], &PutOptions::default());
    let store = behind(&proxy, 10);
    proxy.set(refusing(409, "QuotaExceeded", &["PUT"]));
    let error = put(&store).unwrap_err();
    assert!(matches!(error, BlobError::NoSpace { .. }), "{error}");
    for methods in [&["PUT"][..], &[]] {
        let store = behind(&proxy, 10);
        proxy.set(refusing(403, "RequestTimeTooSkewed", methods));
        let text = put(&store).unwrap_err().to_string();
        assert!(text.contains("the clock of this machine"), "{text}");
        proxy.set(Faults::default());
    }
    put(&behind(&proxy, 1)).unwrap();
}

/// rclone begins such an answer with success.
#[test]
fn a_listing_that_fails_behind_it_is_not_empty() {
    let Some(_) = find_or_skip("rclone", "rclone and listings") else { return };
    let Some(server) = S3::start("rclone and listings") else { return };
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let store = behind(&proxy, 1);
    for name in ["p1", "q1"] {
        store.put(&name.into(), &[b"x"], &PutOptions::default()).unwrap();
    }
    proxy.set(refusing(503, "SlowDown", &["GET"]));
    let listed = list_all(&store, "");
    assert!(listed.is_err(), "{listed:?}");
    proxy.set(Faults::default());
    assert_eq!(list_all(&store, "").unwrap().len(), 2);
}
