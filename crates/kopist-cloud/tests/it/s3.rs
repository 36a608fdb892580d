//! S3, on versitygw.

use std::time::Duration;

use kopist_blob::{
    BlobError, BlobStore, ByteRange, PutOptions, Retention, StorageConfig, list_all,
};
use kopist_cloud::{ConnectOptions, connect};
use kopist_testkit::proxy::{Faults, Proxy};
use kopist_testkit::servers::{S3, free_port};
use serde_json::json;

use crate::support::{MANY, conforms, failure, lists_many, make, now, open, opens_again};

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = S3::start("s3 conformance") else { return };
    server.make_bucket("plain");
    server.make_locking_bucket("locking");
    // A prefix is text, not a directory.
    conforms("s3", |number| server.config("locking", &format!("case-{number}-")));
    opens_again(&*make("s3", server.config("plain", "dir/")));
}

#[test]
fn lists_more_than_a_page() {
    let Some(server) = S3::start("s3 listing") else { return };
    server.make_bucket("many");
    lists_many(&*make("s3", server.config("many", "x/")), MANY);
}

#[test]
fn speaks_tls_with_an_authority_of_ones_own() {
    let Some(server) = S3::start_tls("s3 with tls") else { return };
    server.make_bucket("plain");
    opens_again(&*make("s3", server.config("plain", "")));
    let mut config = server.config("plain", "");
    config.as_object_mut().unwrap().remove("rootCA");
    let text = failure("s3", config.clone());
    assert!(text.contains("--root-ca-pem-path") && text.contains("UnknownIssuer"), "{text}");
    config["doNotVerifyTLS"] = json!(true);
    opens_again(&*make("s3", config));
}

/// What is wrong with a configuration.
type Change = fn(&mut serde_json::Value);

#[test]
fn errors_name_what_to_change() {
    let Some(server) = S3::start("s3 errors") else { return };
    server.make_bucket("plain");
    let with = |change: Change| {
        let mut config = server.config("plain", "");
        change(&mut config);
        failure("s3", config)
    };
    let cases: [(&str, Change, &str); 5] = [
        ("wrong id", |c| c["accessKeyID"] = json!("AKIAOTHER"), "--access-key"),
        ("wrong key", |c| c["secretAccessKey"] = json!("hunter2hunter2"), "--secret-access-key"),
        ("no bucket", |c| c["bucket"] = json!("missing"), "--bucket"),
        ("no host", |c| c["endpoint"] = json!("nowhere.invalid"), "--endpoint"),
        (
            "no server",
            |c| c["endpoint"] = json!(format!("127.0.0.1:{}", free_port())),
            "--endpoint",
        ),
    ];
    for (name, change, part) in cases {
        let text = with(change);
        assert!(text.contains(part), "{name}: {text}");
        assert!(!text.contains("hunter2") && !text.contains(S3::SECRET), "{name}: {text}");
    }
}

#[test]
fn locks_and_versions() {
    let Some(server) = S3::start("s3 locks and versions") else { return };
    server.make_locking_bucket("lockb");
    let store = make("s3", server.config("lockb", ""));
    let id = "p1234567890abcdef1234567890abcdef-s1".into();
    let lock = Retention { mode: "COMPLIANCE".to_owned(), period: Duration::from_hours(1) };
    store.put(&id, &[b"first"], &PutOptions::with_retention(lock.clone())).unwrap();
    let until = |server: &S3| {
        let answer = server.ask("GET", &format!("/lockb/{id}?retention="), &[], "");
        answer.split("RetainUntilDate>").nth(1).unwrap()[..19].to_owned()
    };
    let before = until(&server);
    let longer = Retention { period: Duration::from_hours(48), ..lock.clone() };
    store.extend_retention(&id, &longer).unwrap();
    assert!(until(&server) > before, "the lock is longer");
    let wrong = Retention { mode: "Locked".to_owned(), ..lock };
    let error = store.put(&id, &[b"x"], &PutOptions::with_retention(wrong)).unwrap_err();
    assert!(error.to_string().contains("GOVERNANCE"), "{error}");

    // A view of the past: times are whole seconds here. (This server gives old versions the time
    // at which they were replaced, so what was replaced is shown by canned answers below.)
    std::thread::sleep(Duration::from_millis(1100));
    let then = now();
    std::thread::sleep(Duration::from_millis(1100));
    store.put(&"q1".into(), &[b"later"], &PutOptions::default()).unwrap();
    let mut config = server.config("lockb", "");
    config["pointInTime"] = json!(then.to_string());
    let past = open("s3", config.clone());
    assert_eq!(&past.get(&id, ByteRange::Full).unwrap()[..], b"first");
    let part = ByteRange::Bounded { offset: 1, length: 2 };
    assert_eq!(&past.get(&id, part).unwrap()[..], b"ir");
    assert_eq!(past.metadata(&id).unwrap().length, 5);
    let names: Vec<_> = list_all(&past, "").unwrap().into_iter().map(|meta| meta.id).collect();
    assert_eq!(names, std::slice::from_ref(&id));
    assert!(past.is_read_only());
    let error = past.delete(&id).unwrap_err();
    assert!(matches!(error, BlobError::ReadOnly { .. }), "{error}");
    assert!(past.get(&"q1".into(), ByteRange::Full).unwrap_err().is_not_found());

    // Deleting covers a locked blob with a mark.
    store.delete(&id).unwrap();
    assert!(store.metadata(&id).unwrap_err().is_not_found());
    let kept = server.ask("GET", "/lockb?prefix=p1&versions=", &[], "");
    assert!(kept.contains("<Size>5</Size>") && kept.contains("DeleteMarker"), "{kept}");

    server.make_bucket("plain");
    config["bucket"] = json!("plain");
    let error = connect(&StorageConfig::new("s3", config), &ConnectOptions::default());
    let text = error.unwrap_err().to_string();
    assert!(text.contains("non-versioned bucket"), "{text}");
}

#[test]
fn storage_classes_come_from_the_bucket() {
    let Some(server) = S3::start("s3 storage classes") else { return };
    server.make_bucket("plain");
    let text = r#"{"blobOptions":[{"prefix":"p","storageClass":"STANDARD"}]}"#;
    server.ask("PUT", "/plain/x/.storageconfig", &[], text);
    let store = make("s3", server.config("plain", "x/"));
    store.put(&"p1".into(), &[b"x"], &PutOptions::default()).unwrap();
    let names: Vec<_> = list_all(&store, "").unwrap().into_iter().map(|meta| meta.id).collect();
    assert_eq!(names, ["p1"], "the configuration is no blob");
    server.ask("PUT", "/plain/x/.storageconfig", &[], "nonsense");
    let store = make("s3", server.config("plain", "x/"));
    let error = store.put(&"p1".into(), &[b"x"], &PutOptions::default()).unwrap_err();
    assert!(error.to_string().contains(".storageconfig"), "{error}");
}

/// Three blobs: one replaced, one deleted, one made, each before and after the time in question.
#[test]
fn of_versions_the_one_that_counted_is_chosen() {
    let version = |kind: &str, key: &str, time: &str, latest: bool, size: u32| {
        format!(
            "<{kind}><Key>{key}</Key><VersionId>v{size}</VersionId><IsLatest>{latest}</IsLatest>\
             <LastModified>2026-01-01T{time}Z</LastModified><Size>{size}</Size></{kind}>"
        )
    };
    let body = [
        "<ListVersionsResult><Status>Enabled</Status><IsTruncated>false</IsTruncated>".to_owned(),
        version("Version", "x/p1", "14:00:00", true, 3),
        version("Version", "x/p1", "11:00:00", false, 2),
        version("Version", "x/p1", "10:00:00", false, 1),
        version("Version", "x/p2", "10:00:00", false, 4),
        version("Version", "x/p3", "10:00:00", false, 5),
        version("Version", "x/p4", "14:00:00", true, 6),
        // Some servers name deletions last.
        version("DeleteMarker", "x/p2", "13:00:00", true, 7),
        version("DeleteMarker", "x/p3", "11:00:00", true, 8),
        "</ListVersionsResult>".to_owned(),
    ]
    .concat();
    let answers = Faults { refused: 1.0, status: 200, body, ..Faults::default() };
    let proxy = Proxy::start(free_port(), answers);
    let store = open(
        "s3",
        json!({
            "bucket": "b", "prefix": "x/", "endpoint": proxy.address(), "doNotUseTLS": true,
            "accessKeyID": "a", "secretAccessKey": "s", "pointInTime": "2026-01-01T12:00:00Z",
        }),
    );
    let listed: Vec<(String, u64)> = list_all(&store, "")
        .unwrap()
        .into_iter()
        .map(|meta| (meta.id.to_string(), meta.length))
        .collect();
    assert_eq!(listed, [("p1".to_owned(), 2), ("p2".to_owned(), 4)]);
    assert_eq!(store.metadata(&"p1".into()).unwrap().length, 2);
    assert!(store.metadata(&"p3".into()).unwrap_err().is_not_found());
    assert!(store.metadata(&"p4".into()).unwrap_err().is_not_found());
}
