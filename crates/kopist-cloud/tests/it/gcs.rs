//! Google Cloud Storage, on fake-gcs-server.

use std::time::Duration;

use kopist_blob::{BlobStore, ByteRange, PutOptions, list_all};
use kopist_testkit::servers::Gcs;
use serde_json::json;

use crate::support::{conforms_but, failure, lists_many, make, now, open, opens_again};

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = Gcs::start("gcs conformance in the past") else { return };
    server.make_bucket("gbucket");
    let config = |number: usize| {
        let prefix = format!("case {number}/");
        json!({"bucket": "gbucket", "prefix": prefix, "endpoint": server.endpoint})
    };
    // The server never lets a lock be changed; the real one lets it be made longer.
    conforms_but("gcs", &["locks work or are unsupported"], config);
    opens_again(&*make("gcs", config(1000)));
}

#[test]
fn lists_more_than_a_page() {
    let Some(server) = Gcs::start("gcs listing in the past") else { return };
    server.make_bucket("many");
    let config = json!({"bucket": "many", "prefix": "x/", "endpoint": server.endpoint});
    lists_many(&*make("gcs", config), 1200);
}

#[test]
fn shows_the_past() {
    let Some(server) = Gcs::start("gcs in the past") else { return };
    server.make_bucket("gbucket");
    let mut config = json!({"bucket": "gbucket", "endpoint": server.endpoint});
    let store = make("gcs", config.clone());
    let id = "p1".into();
    store.put(&id, &[b"first"], &PutOptions::default()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    config["pointInTime"] = json!(now().to_string());
    std::thread::sleep(Duration::from_millis(20));
    store.put(&id, &[b"second"], &PutOptions::default()).unwrap();
    store.put(&"q1".into(), &[b"later"], &PutOptions::default()).unwrap();
    let past = open("gcs", config);
    assert_eq!(&past.get(&id, ByteRange::Full).unwrap()[..], b"first");
    assert_eq!(list_all(&past, "").unwrap().len(), 1);
    assert!(past.is_read_only() && past.delete(&id).is_err());
    store.delete(&id).unwrap();
    assert_eq!(&past.get(&id, ByteRange::Full).unwrap()[..], b"first");
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = Gcs::start("gcs errors") else { return };
    let text = failure("gcs", json!({"bucket": "missing", "endpoint": server.endpoint}));
    assert!(text.contains("--bucket"), "{text}");
    let text = failure("gcs", json!({"bucket": "b", "credentialsFile": "/nowhere.json"}));
    assert!(text.contains("/nowhere.json"), "{text}");
}
