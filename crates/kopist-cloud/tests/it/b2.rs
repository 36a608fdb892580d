//! B2, on a fake of ours.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use kopist_blob::{BlobStore, PutOptions, RetryPolicy, StorageConfig};
use kopist_cloud::{ConnectOptions, connect};
use kopist_testkit::proxy::{Asked, Stub};
use kopist_testkit::servers::{B2, B2_KEY, B2_KEY_ID};
use serde_json::{Value, json};

use crate::support::{MANY, conforms, failure, lists_many, make, opens_again};

fn config(server: &B2, prefix: &str) -> Value {
    json!({
        "bucket": "kbucket", "prefix": prefix, "keyID": B2_KEY_ID, "key": B2_KEY,
        "endpoint": server.endpoint,
    })
}

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = B2::start("b2 conformance") else { return };
    conforms("b2", |number| config(&server, &format!("case {number}/ü+")));
    opens_again(&*make("b2", config(&server, "")));
}

#[test]
fn lists_more_than_a_page() {
    let Some(server) = B2::start("b2 listing") else { return };
    lists_many(&*make("b2", config(&server, "many/")), MANY);
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = B2::start("b2 errors") else { return };
    let mut wrong = config(&server, "");
    wrong["key"] = json!("hunter2");
    let text = failure("b2", wrong);
    assert!(text.contains("--key-id and --key") && !text.contains("hunter2"), "{text}");
    let mut wrong = config(&server, "");
    wrong["bucket"] = json!("missing");
    let text = failure("b2", wrong.clone());
    assert!(text.contains("--bucket"), "{text}");
    // Already when it is opened: later on, a missing bucket looks like one without a repository.
    let opened = connect(&StorageConfig::new("b2", wrong), &ConnectOptions::default());
    let text = opened.unwrap_err().to_string();
    assert!(text.contains("--bucket") && text.contains("missing"), "{text}");
}

/// Places to upload to are good for a day. When they have expired, all have at once.
#[test]
fn old_places_are_forgotten_together() {
    const PLACES: usize = 4;
    let expired = Arc::new(AtomicUsize::new(0));
    let (old, given) = (Arc::clone(&expired), AtomicUsize::new(0));
    let (meeting, uploads) = (Barrier::new(PLACES), AtomicUsize::new(0));
    let server = Stub::start(move |asked: &Asked| {
        let here = format!("http://{}", asked.header("host").unwrap_or_default());
        let body = match asked.target.rsplit('/').next().unwrap_or_default() {
            "b2_authorize_account" => json!({
                "accountId": "a", "apiUrl": here, "downloadUrl": here, "authorizationToken": "t",
            }),
            "b2_list_buckets" => json!({"buckets": [{"bucketId": "i", "bucketName": "b"}]}),
            "b2_get_upload_url" => {
                let number = given.fetch_add(1, Ordering::Relaxed);
                let url = format!("{here}/upload");
                json!({"uploadUrl": url, "authorizationToken": number.to_string()})
            }
            "upload" => {
                let token = asked.header("authorization").and_then(|text| text.parse().ok());
                let token: usize = token.unwrap_or_default();
                if token < old.load(Ordering::Relaxed) {
                    return (401, json!({"code": "expired_auth_token"}).to_string());
                }
                if uploads.fetch_add(1, Ordering::Relaxed) < PLACES {
                    meeting.wait();
                }
                let name = asked.header("x-bz-file-name");
                json!({"fileName": name, "uploadTimestamp": 1})
            }
            other => return (400, json!({"message": other}).to_string()),
        };
        (200, body.to_string())
    });
    let retry =
        RetryPolicy { attempts: 2, first_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let options = ConnectOptions { retry, ..ConnectOptions::default() };
    let config = json!({"bucket": "b", "keyID": "k", "key": "s", "endpoint": server.url()});
    let store = connect(&StorageConfig::new("b2", config), &options).unwrap();
    std::thread::scope(|scope| {
        for number in 0..PLACES {
            let id = format!("p{number}").into();
            let store = &store;
            scope.spawn(move || store.put(&id, &[b"x"], &PutOptions::default()).unwrap());
        }
    });
    expired.store(PLACES, Ordering::Relaxed);
    store.put(&"q".into(), &[b"x"], &PutOptions::default()).unwrap();
}
