//! rclone, with a directory as its remote.

use kopist_blob::{BlobStore, PutOptions};
use kopist_testkit::servers::find_or_skip;
use serde_json::{Value, json};

use crate::support::{conforms_but, failure, lists_many, make, opens_again};

fn config(path: &std::path::Path) -> Value {
    json!({
        "remotePath": path, "startupTimeout": "60s", "atomicWrites": true, "dirShards": null,
    })
}

#[test]
fn keeps_the_promises_of_stores() {
    let Some(_) = find_or_skip("rclone", "rclone conformance") else { return };
    let folder = tempfile::tempdir().unwrap();
    // A local directory shows files that rclone is still writing.
    let left_out = ["readers see old or new, never a mixture"];
    conforms_but("rclone", &left_out, |number| config(&folder.path().join(number.to_string())));
    let store = make("rclone", config(&folder.path().join("again")));
    opens_again(&*store);
    lists_many(&*make("rclone", config(&folder.path().join("many"))), 1500);
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
    let running = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(marker.to_str().unwrap())
        })
    };
    assert!(running());
    store.close().unwrap();
    assert!(!running());
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
