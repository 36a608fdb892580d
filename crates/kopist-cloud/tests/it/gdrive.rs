//! Google Drive, on a fake of ours.

use kopist_blob::{BlobStore, ByteRange, PutOptions, list_all};
use kopist_testkit::servers::Drive;
use serde_json::{Value, json};

use crate::support::{conforms, failure, lists_many, make, opens_again};

fn config(server: &Drive, folder: &str) -> Value {
    json!({
        "folderID": folder, "credentials": server.service_account(), "endpoint": server.endpoint,
    })
}

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = Drive::start("gdrive conformance") else { return };
    let base = config(&server, "");
    conforms("gdrive", |number| {
        let mut config = base.clone();
        config["folderID"] = json!(format!("folder{number}"));
        config
    });
    opens_again(&*make("gdrive", config(&server, "again")));
}

#[test]
fn lists_more_than_a_page() {
    let Some(server) = Drive::start("gdrive listing") else { return };
    lists_many(&*make("gdrive", config(&server, "many")), 1010);
}

/// Two writers that come at the same time leave two files of one name.
#[test]
fn of_files_with_one_name_the_newest_counts() {
    let Some(server) = Drive::start("gdrive duplicates") else { return };
    let first = make("gdrive", config(&server, "folder1"));
    let second = make("gdrive", config(&server, "folder1"));
    let id = "p1".into();
    first.put(&id, &[b"first"], &PutOptions::default()).unwrap();
    duplicate(&server, "p1", "second, newer");
    for store in [&second, &first] {
        store.flush_caches();
        assert_eq!(&store.get(&id, ByteRange::Full).unwrap()[..], b"second, newer");
        let listed = list_all(store, "").unwrap();
        assert_eq!((listed.len(), listed[0].length), (1, 13));
    }
    first.delete(&id).unwrap();
    second.flush_caches();
    assert!(second.metadata(&id).unwrap_err().is_not_found());
    assert!(list_all(&second, "").unwrap().is_empty());
}

/// Makes another file of a name, past any store.
fn duplicate(server: &Drive, name: &str, content: &str) {
    std::thread::sleep(std::time::Duration::from_millis(5));
    let resource = json!({"name": name, "parents": ["folder1"], "mimeType": "application/x-kopia"});
    let body = format!(
        "--b\r\nContent-Type: application/json\r\n\r\n{resource}\r\n--b\r\n\
         Content-Type: application/octet-stream\r\n\r\n{content}\r\n--b--\r\n"
    );
    let output = std::process::Command::new("curl")
        .args(["--silent", "--fail-with-body", "--data-binary", &body])
        .args(["--header", "content-type: multipart/related; boundary=b"])
        .args(["--header", "authorization: Bearer at"])
        .arg(format!("{}/upload/drive/v3/files?uploadType=multipart", server.endpoint))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// All files in a folder, as Drive has them.
fn files(server: &Drive, folder: &str) -> usize {
    let output = std::process::Command::new("curl")
        .args(["--silent", "--fail-with-body", "--get", "--data-urlencode"])
        .arg(format!("q='{folder}' in parents"))
        .args(["--data", "pageToken=0", "--header", "authorization: Bearer at"])
        .arg(format!("{}/drive/v3/files", server.endpoint))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["files"].as_array().unwrap().len()
}

/// A page of a search may be empty and not be the last.
#[test]
fn an_empty_page_is_not_the_end() {
    let Some(server) = Drive::start("gdrive pages") else { return };
    let config = config(&server, "sparse");
    let id = "kopia.maintenance".into();
    for content in ["one", "two"] {
        let store = make("gdrive", config.clone());
        store.put(&id, &[content.as_bytes()], &PutOptions::default()).unwrap();
    }
    assert_eq!(files(&server, "sparse"), 1);
    let store = make("gdrive", config);
    assert_eq!(&store.get(&id, ByteRange::Full).unwrap()[..], b"two");
    assert_eq!(list_all(&store, "").unwrap().len(), 1);
}

/// A search may not know what was done just now.
#[test]
fn what_was_just_done_is_known() {
    let Some(server) = Drive::start("gdrive lag") else { return };
    let config = config(&server, "lagging");
    let store = make("gdrive", config.clone());
    let id = "xn0_1".into();
    store.put(&id, &[b"one"], &PutOptions::default()).unwrap();
    store.flush_caches();
    assert_eq!(list_all(&store, "xn").unwrap().len(), 1);
    // Two more searches do not find it.
    let other = make("gdrive", config);
    other.put(&id, &[b"two"], &PutOptions::default()).unwrap();
    assert_eq!(files(&server, "lagging"), 1);
    assert_eq!(&store.get(&id, ByteRange::Full).unwrap()[..], b"two");

    store.delete(&id).unwrap();
    assert!(list_all(&store, "xn").unwrap().is_empty());
    assert!(store.metadata(&id).unwrap_err().is_not_found());
}

/// Drive takes up to 5 MB in one request.
#[test]
fn large_blobs_are_sent_in_two_requests() {
    let Some(server) = Drive::start("gdrive and large blobs") else { return };
    let store = make("gdrive", config(&server, "large"));
    let id = "p1".into();
    for length in [5_000_000, 5_000_001, 6_000_000] {
        let data = vec![length as u8; length];
        store.put(&id, &[&data[..7], &data[7..]], &PutOptions::default()).unwrap();
        assert_eq!(store.get(&id, ByteRange::Full).unwrap(), data);
    }
    assert_eq!(files(&server, "large"), 1);
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = Drive::start("gdrive errors") else { return };
    let text = failure("gdrive", config(&server, "missing"));
    assert!(text.contains("--folder-id"), "{text}");
    let mut wrong = config(&server, "folder1");
    wrong["credentials"]["private_key"] = json!("hunter2");
    let text = failure("gdrive", wrong);
    assert!(text.contains("private key") && !text.contains("hunter2"), "{text}");
}
