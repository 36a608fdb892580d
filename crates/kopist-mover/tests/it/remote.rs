//! Repositories on servers: the variables of their stores, and copies from one to another.

use base64::Engine as _;
use kopist_testkit::servers::{Dav, S3};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::looking::{fine, look};
use crate::runs::{container, plant, same, succeed};

/// The variables of a bucket without TLS.
pub(crate) fn s3(address: &str, bucket: &str) -> Value {
    json!({
        "KOPIA_REPOSITORY": format!("s3://{bucket}/app/"),
        "KOPIA_S3_BUCKET": bucket,
        "KOPIA_S3_ENDPOINT": format!("http://{address}"),
        "AWS_ACCESS_KEY_ID": S3::KEY_ID,
        "AWS_SECRET_ACCESS_KEY": S3::SECRET,
        "AWS_REGION": "us-east-1",
    })
}

fn webdav(server: &Dav, collection: &str) -> Value {
    json!({
        "KOPIA_REPOSITORY": "webdav://",
        "WEBDAV_URL": format!("{}{collection}", server.url),
        "WEBDAV_USERNAME": Dav::USER,
        "WEBDAV_PASSWORD": Dav::PASSWORD,
    })
}

/// The variables of a repository, and of another to which it is copied.
fn copied(from: &Value, to: &Value) -> Value {
    let mut all = from.clone();
    for (name, value) in to.as_object().unwrap() {
        all[format!("KOPIST_TARGET_{name}")] = value.clone();
    }
    all["KOPIST_REPORT_FILE"] = json!("/cache/report.json");
    all
}

/// From a bucket to a directory of a web server, and from there to a bucket that locks what it
/// gets for a day, which a copy must live with; each copy is a repository.
#[test]
fn copies_between_servers() {
    const TEST: &str = "copies_between_servers";
    let (Some(s3_server), Some(dav)) = (S3::start(TEST), Dav::start(TEST)) else { return };
    s3_server.make_bucket("bucket");
    s3_server.make_locking_bucket("locked");
    let rule = "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                <Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>\
                </ObjectLockConfiguration>";
    let checksum = base64::prelude::BASE64_STANDARD.encode(Sha256::digest(rule));
    let checksum = format!("x-amz-checksum-sha256: {checksum}");
    s3_server.ask("PUT", "/locked?object-lock=", &[&checksum], rule);
    let rule = s3_server.ask("GET", "/locked?object-lock=", &[], "");
    assert!(rule.contains("GOVERNANCE"), "{rule}");
    dav.make_collection("copy");
    let (bucket, locked) = (s3(&s3_server.endpoint, "bucket"), s3(&s3_server.endpoint, "locked"));
    let collection = webdav(&dav, "copy");

    let container = container();
    plant(&container.path("/data"));
    succeed(&container, "backup", &bucket);
    let report = || -> Value {
        let text = std::fs::read_to_string(container.path("/cache/report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut blobs = 0;
    for (from, to) in [(&bucket, &collection), (&collection, &locked)] {
        let settings = copied(from, to);
        let log = fine(&container, "replicate", &settings);
        assert!(log.contains(" is complete: "), "{log}");
        let first = report()["replicated"].clone();
        assert_eq!(first["readBack"], first["copied"]);
        blobs = first["copied"]["blobs"].as_u64().unwrap();
        // Nothing is copied twice; `kopia.repository` is no copy, but present.
        fine(&container, "replicate", &settings);
        let second = report()["replicated"].clone();
        assert_eq!(second["copied"]["blobs"], 0);
        assert_eq!(second["present"]["blobs"], blobs + 1);
        let mut read = to.clone();
        read["KOPIST_VERIFY_PERCENT"] = json!("100");
        fine(&container, "verify", &read);
    }

    // Later only what is new, also where nothing may be changed.
    std::fs::write(container.path("/data/new"), "new").unwrap();
    succeed(&container, "backup", &bucket);
    fine(&container, "replicate", &copied(&bucket, &locked));
    let third = report()["replicated"].clone();
    assert!((2..=4).contains(&third["copied"]["blobs"].as_u64().unwrap()), "{third} after {blobs}");
    succeed(&container, "restore", &locked);
    same(&container);

    // What is not to be reached is an error of the run, with the place in it.
    let mut nowhere = copied(&bucket, &locked);
    nowhere["KOPIST_TARGET_AWS_SECRET_ACCESS_KEY"] = json!("another-secret");
    let ended = look(&container, "replicate", &nowhere);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(ended.log.contains("locked"), "{}", ended.log);
    assert!(!ended.log.contains("another-secret"), "{}", ended.log);
}
