//! Google Cloud Storage, on fake-gcs-server.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kopist_blob::{BlobStore, ByteRange, PutOptions, list_all};
use kopist_testkit::proxy::Stub;
use kopist_testkit::servers::Gcs;
use serde_json::json;

use crate::support::{MANY, conforms_but, failure, lists_many, make, now, open, opens_again};

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

/// More pages than a server here could be filled for in a short time, so they are played.
#[test]
fn lists_more_than_ten_thousand() {
    let stub = Stub::start(|asked| {
        let first = asked.target.split("pageToken=").nth(1);
        let first: usize =
            first.map_or(0, |token| token.split('&').next().unwrap().parse().unwrap());
        let end = (first + 1000).min(MANY);
        let items: Vec<_> = (first..end)
            .map(|number| {
                let time = "2026-01-02T03:04:05.678Z";
                json!({"name": format!("x/p{number:06}"), "size": "1", "timeCreated": time})
            })
            .collect();
        let mut page = json!({"items": items});
        if end < MANY {
            page["nextPageToken"] = json!(end.to_string());
        }
        (200, page.to_string())
    });
    let store = make("gcs", json!({"bucket": "b", "prefix": "x/", "endpoint": stub.url()}));
    let found: BTreeSet<_> =
        list_all(&store, "p").unwrap().into_iter().map(|meta| meta.id.to_string()).collect();
    assert_eq!(found, (0..MANY).map(|number| format!("p{number:06}")).collect());
    assert_eq!(stub.asked().len(), MANY.div_ceil(1000));
}

/// A token that many requests find expired at once is renewed once.
#[test]
fn tokens_are_renewed_once_for_all() {
    let sold = AtomicUsize::new(0);
    let together = Barrier::new(8);
    let stub = Stub::start(move |asked| {
        if asked.target == "/token" {
            let number = sold.fetch_add(1, Ordering::Relaxed);
            let token = json!({"access_token": format!("t{number}"), "expires_in": 3600});
            return (200, token.to_string());
        }
        if asked.header("authorization") == Some("Bearer t0") {
            together.wait();
            return (401, String::new());
        }
        (200, json!({"timeCreated": "2026-01-02T03:04:05Z", "size": "1"}).to_string())
    });
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", stub.url()),
    });
    let store = make("gcs", json!({"bucket": "b", "credentials": user, "endpoint": stub.url()}));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| store.metadata(&"p1".into()).unwrap());
        }
    });
    let bought = stub.asked().iter().filter(|asked| asked.target == "/token").count();
    assert_eq!(bought, 2);
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
