//! Locks of objects on Google Cloud Storage: fake-gcs-server keeps them as they are, so this is a
//! stub, written from the public description of the JSON interface ("Objects: insert", "Objects:
//! patch", "Object Retention Lock"). It checks what it is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kopist_blob::testing::CASES;
use kopist_blob::{BlobError, BlobStore, PutOptions, Retention};
use kopist_testkit::proxy::{Asked, Stub};
use serde_json::{Value, json};

use crate::support::{make, now};

/// Resources of objects, by name.
type Objects = BTreeMap<String, Value>;

fn refuse(status: u16, reason: &str) -> (u16, String) {
    let error = json!({"code": status, "message": reason, "errors": [{"reason": reason}]});
    (status, json!({"error": error}).to_string())
}

/// The lock of a resource, if it is a right one.
fn end_of(resource: &Value) -> Option<Timestamp> {
    let lock = resource.get("retention")?;
    assert_eq!(lock["mode"], "Locked", "{lock}");
    let text = lock["retainUntilTime"].as_str().unwrap();
    Some(text.parse().unwrap_or_else(|_| panic!("{text:?} is RFC 3339")))
}

/// Whether an object may be neither replaced nor deleted: the bucket keeps no versions.
fn is_locked(resource: &Value) -> bool {
    end_of(resource).is_some_and(|end| end > now())
}

fn answer(objects: &mut Objects, asked: &Asked) -> (u16, String) {
    if asked.target == "/token" {
        return (200, json!({"access_token": "at", "expires_in": 3600}).to_string());
    }
    assert_eq!(asked.header("authorization"), Some("Bearer at"));
    if asked.method == "POST" {
        assert!(asked.target.starts_with("/upload/storage/v1/b/b/o?uploadType=multipart&name=p"));
        let part = |number| {
            let part: &str = asked.body.split("\r\n\r\n").nth(number).unwrap();
            part.split("\r\n--").next().unwrap()
        };
        let mut resource: Value = serde_json::from_str(part(1)).unwrap();
        let name = resource["name"].as_str().unwrap().to_owned();
        if objects.get(&name).is_some_and(is_locked) {
            return refuse(403, "retentionPolicyNotMet");
        }
        resource["timeCreated"] = json!(now().to_string());
        resource["generation"] = json!("1");
        resource["size"] = json!(part(2).len().to_string());
        objects.insert(name, resource.clone());
        return (200, resource.to_string());
    }
    let name = asked.target.strip_prefix("/storage/v1/b/b/o/").unwrap();
    let Some(object) = objects.get_mut(name) else { return refuse(404, "notFound") };
    match asked.method.as_str() {
        "GET" => (200, object.to_string()),
        "PATCH" => {
            assert_eq!(asked.header("content-type"), Some("application/json"));
            let change: Value = serde_json::from_str(&asked.body).unwrap();
            assert_eq!(change.as_object().unwrap().len(), 1, "nothing else is changed");
            // What is locked can only be made longer.
            if end_of(object).is_some() && end_of(&change) <= end_of(object) {
                return refuse(403, "retentionPolicyNotMet");
            }
            object["retention"] = change["retention"].clone();
            (200, object.to_string())
        }
        "DELETE" if is_locked(object) => refuse(403, "retentionPolicyNotMet"),
        "DELETE" => {
            objects.remove(name);
            (204, String::new())
        }
        method => panic!("{method} {}", asked.target),
    }
}

fn start() -> (Stub, Arc<dyn BlobStore>) {
    start_losing(|_| false)
}

/// The answers to some requests are lost on the way: a gateway tells of a failure instead.
fn start_losing(
    lost: impl Fn(&Asked) -> bool + Send + Sync + 'static,
) -> (Stub, Arc<dyn BlobStore>) {
    let objects = Arc::new(Mutex::new(Objects::new()));
    let stub = Stub::start(move |asked| {
        let answer = answer(&mut objects.lock().unwrap(), asked);
        if lost(asked) { refuse(503, "backendError") } else { answer }
    });
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", stub.url()),
    });
    let config = json!({"bucket": "b", "credentials": user, "endpoint": stub.url()});
    let store = make("gcs", config);
    (stub, store)
}

fn lock(hours: u64) -> Retention {
    Retention { mode: "COMPLIANCE".to_owned(), period: Duration::from_hours(hours) }
}

#[test]
fn locks_work() {
    let (_stub, store) = start();
    let case = CASES.iter().find(|case| case.name == "locks work or are unsupported").unwrap();
    (case.run)(&*store);
}

#[test]
fn a_lock_is_made_longer_and_never_shorter() {
    let (stub, store) = start();
    let id = "p1".into();
    let begun = now();
    store.put(&id, &[b"data"], &PutOptions::with_retention(lock(24))).unwrap();
    store.extend_retention(&id, &lock(48)).unwrap();
    let asked = stub.asked();
    let asked: Vec<_> = asked.iter().filter(|asked| asked.target != "/token").collect();
    assert_eq!(
        (asked[1].method.as_str(), asked[1].target.as_str()),
        ("PATCH", "/storage/v1/b/b/o/p1")
    );
    let change: Value = serde_json::from_str(&asked[1].body).unwrap();
    let seconds = end_of(&change).unwrap().as_second() - begun.as_second() - 48 * 3600;
    assert!((0..60).contains(&seconds), "{seconds}");
    for error in
        [store.extend_retention(&id, &lock(24)).unwrap_err(), store.delete(&id).unwrap_err()]
    {
        let text = error.to_string();
        assert!(text.contains("retentionPolicyNotMet") && text.contains("--bucket"), "{text}");
    }
}

#[test]
fn a_locked_put_whose_answer_is_lost_has_succeeded() {
    let first = AtomicBool::new(true);
    let (stub, store) = start_losing(move |asked| {
        asked.method == "POST"
            && asked.target.starts_with("/upload")
            && first.swap(false, Ordering::Relaxed)
    });
    let (id, begun) = ("p1".into(), now());
    store.put(&id, &[b"da", b"ta"], &PutOptions::with_retention(lock(24))).unwrap();
    let puts = stub.asked().iter().filter(|asked| asked.target.starts_with("/upload")).count();
    assert_eq!(puts, 2, "the second was refused");
    // The same again, for longer: what is there stays, and so does the longer lock.
    store.put(&id, &[b"data"], &PutOptions::with_retention(lock(48))).unwrap();
    store.put(&id, &[b"data"], &PutOptions::with_retention(lock(24))).unwrap();
    let changes: Vec<_> =
        stub.asked().into_iter().filter(|asked| asked.method == "PATCH").collect();
    let last: Value = serde_json::from_str(&changes.last().unwrap().body).unwrap();
    let seconds = end_of(&last).unwrap().as_second() - begun.as_second() - 48 * 3600;
    assert!((0..60).contains(&seconds), "{seconds}");
    assert_eq!(store.metadata(&id).unwrap().length, 4);
    // Something else is refused, even if it is as long or was set to another time.
    let mut other = PutOptions::default();
    other.set_mod_time = Some("2026-01-02T03:04:05Z".parse().unwrap());
    for (data, options) in [(b"DATA", &PutOptions::default()), (b"data", &other)] {
        let error = store.put(&id, &[data], options).unwrap_err();
        assert!(matches!(error, BlobError::AccessDenied { .. }), "{error}");
        assert!(error.to_string().contains("retentionPolicyNotMet"), "{error}");
    }
}
