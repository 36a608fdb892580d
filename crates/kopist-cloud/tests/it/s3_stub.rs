//! What no S3 server here can play: regions, keys that expire, pages of any length. A stub,
//! written from the public description of the interface ("Authenticating Requests", "ListObjectsV2",
//! "ListObjectVersions", "Virtual hosting and redirects"). It checks what it is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use kopist_blob::{BlobId, BlobStore, ByteRange, PutOptions, in_parallel, list_all};
use kopist_testkit::proxy::{Asked, Reply, Stub};
use serde_json::{Value, json};

use crate::support::{make, now, open};

const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

fn config(stub: &Stub) -> Value {
    json!({
        "bucket": "b", "endpoint": stub.address(), "doNotUseTLS": true, "accessKeyID": "AK",
        "secretAccessKey": "SK",
    })
}

fn ok(body: impl Into<String>) -> Reply {
    let headers = vec![("Date", DATE.to_owned()), ("Last-Modified", DATE.to_owned())];
    Reply { status: 200, headers, body: body.into() }
}

fn refuse(status: u16, code: &str, more: &str) -> Reply {
    (status, format!("<Error><Code>{code}</Code>{more}</Error>")).into()
}

/// Objects by their paths.
type Objects = Mutex<BTreeMap<String, String>>;

/// Puts and gets.
fn serve(objects: &Objects, asked: &Asked) -> Reply {
    let mut objects = objects.lock().unwrap();
    if asked.method == "PUT" {
        objects.insert(asked.target.clone(), asked.body.clone());
        return ok("");
    }
    match objects.get(&asked.target) {
        Some(body) => ok(body.clone()),
        None => refuse(404, "NoSuchKey", ""),
    }
}

/// A part of the header that signs a request: `Credential`, `SignedHeaders`.
fn signed(asked: &Asked, part: &str) -> String {
    let header = asked.header("authorization").unwrap();
    let rest = header.split_once(&format!("{part}=")).unwrap().1;
    rest.split(',').next().unwrap().to_owned()
}

fn put_and_get(store: &dyn BlobStore, number: usize) {
    let (id, data): (BlobId, _) = (format!("p{number}").into(), format!("data {number}"));
    store.put(&id, &[data.as_bytes()], &PutOptions::default()).unwrap();
    assert_eq!(store.get(&id, ByteRange::Full).unwrap(), data.as_bytes());
}

#[test]
fn a_session_token_is_sent_and_signed() {
    let objects = Objects::default();
    let stub = Stub::start(move |asked| serve(&objects, asked));
    let mut config = config(&stub);
    config["sessionToken"] = json!("the/token+=");
    put_and_get(&*make("s3", config), 1);
    for asked in stub.asked() {
        assert_eq!(asked.header("x-amz-security-token"), Some("the/token+="));
        let headers = signed(&asked, "SignedHeaders");
        assert!(headers.split(';').any(|name| name == "x-amz-security-token"), "{headers}");
    }
}

/// A security token service whose keys are numbered.
fn sts(until: &'static str) -> Stub {
    let sold = AtomicUsize::new(0);
    Stub::start(move |_| {
        let number = sold.fetch_add(1, Ordering::Relaxed);
        (200, keys(number, until))
    })
}

fn keys(number: usize, until: &str) -> String {
    format!(
        "<R><AssumeRoleResult><Credentials><AccessKeyId>K{number}</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>T{number}</SessionToken>\
         <Expiration>{until}</Expiration></Credentials></AssumeRoleResult></R>"
    )
}

const LATER: &str = "2099-01-01T00:00:00Z";

/// A bucket whose keys are each good for some requests.
fn bucket_with_keys_for(uses: usize) -> Stub {
    let (objects, used) = (Objects::default(), Mutex::new(BTreeMap::<String, usize>::new()));
    Stub::start(move |asked| {
        let credential = signed(asked, "Credential");
        let id = credential.split('/').next().unwrap();
        // Each key comes with its own token.
        if asked.header("x-amz-security-token") != Some(&id.replace('K', "T")) {
            return refuse(403, "InvalidToken", "");
        }
        let uses_of_this = {
            let mut used = used.lock().unwrap();
            let count = used.entry(id.to_owned()).or_default();
            *count += 1;
            *count
        };
        match asked.method.as_str() {
            _ if uses_of_this <= uses => serve(&objects, asked),
            // Of this nothing is said but the status.
            "HEAD" => Reply { status: 400, ..Reply::default() },
            _ => refuse(400, "ExpiredToken", "<Message>The provided token has expired.</Message>"),
        }
    })
}

fn with_role(stub: &Stub, sts: &Stub) -> Value {
    let mut config = config(stub);
    config["roleARN"] = json!("arn:aws:iam::1:role/backup");
    config["roleEndpoint"] = json!(sts.url());
    config
}

#[test]
fn keys_that_expire_under_load_are_renewed() {
    let (stub, sts) = (bucket_with_keys_for(40), sts(LATER));
    let store = make("s3", with_role(&stub, &sts));
    let numbers: Vec<usize> = (0..300).collect();
    in_parallel(&numbers, 8, |number| {
        put_and_get(&*store, *number);
        Ok(())
    })
    .unwrap();
    let sold = sts.asked().len();
    // 601 requests, and some for nothing. Nobody throws away what another has just bought.
    assert!((16..=30).contains(&sold), "{sold}");
}

#[test]
fn a_refused_head_may_mean_expired_keys() {
    let (stub, sts) = (bucket_with_keys_for(2), sts(LATER));
    let store = make("s3", with_role(&stub, &sts));
    // The first request of all reads `.storageconfig`.
    store.put(&"p1".into(), &[b"data"], &PutOptions::default()).unwrap();
    assert_eq!(store.metadata(&"p1".into()).unwrap().length, 4);
    assert_eq!(sts.asked().len(), 2);

    // It may mean something else: that is tried once.
    let never = bucket_with_keys_for(0);
    let store = make("s3", with_role(&never, &sts));
    let error = store.metadata(&"p1".into()).unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    assert_eq!((never.asked().len(), sts.asked().len()), (2, 4));

    // Keys that cannot be renewed are not.
    let stub = Stub::start(|_| Reply { status: 400, ..Reply::default() });
    let store = make("s3", config(&stub));
    assert!(store.metadata(&"p1".into()).is_err());
    assert_eq!(stub.asked().len(), 1);
}

#[test]
fn keys_that_still_hold_are_used_while_no_others_can_be_had() {
    let soon = (now() + jiff::SignedDuration::from_mins(2)).to_string();
    let sold = AtomicUsize::new(0);
    let sts = Stub::start(move |_| match sold.fetch_add(1, Ordering::Relaxed) {
        0 => (200, keys(0, &soon)),
        _ => (503, String::new()),
    });
    let stub = bucket_with_keys_for(usize::MAX);
    let store = make("s3", with_role(&stub, &sts));
    for number in 0..5 {
        put_and_get(&*store, number);
    }
    let asked = sts.asked().len();
    assert!((2..5).contains(&asked), "{asked} requests: it is left alone for a while");
}

/// A bucket in another region than the usual. The first requests are answered together.
fn elsewhere(first: usize, redirects: bool) -> Stub {
    let (objects, together) = (Objects::default(), Barrier::new(first));
    Stub::start(move |asked| {
        let credential = signed(asked, "Credential");
        match credential.split('/').nth(2).unwrap() {
            "eu-west-1" => serve(&objects, asked),
            "us-east-1" => {
                together.wait();
                if redirects {
                    let headers = vec![("x-amz-bucket-region", "eu-west-1".to_owned())];
                    return Reply { status: 301, headers, body: String::new() };
                }
                refuse(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")
            }
            region => panic!("{region}"),
        }
    })
}

#[test]
fn the_region_of_a_bucket_is_learned() {
    for redirects in [false, true] {
        let stub = elsewhere(1, redirects);
        let store = make("s3", config(&stub));
        put_and_get(&*store, 1);
        put_and_get(&*store, 2);
        let wrong = |asked: &&Asked| signed(asked, "Credential").contains("us-east-1");
        assert_eq!(stub.asked().iter().filter(wrong).count(), 1, "once is enough");
    }
}

#[test]
fn many_learn_the_region_at_once() {
    for redirects in [false, true] {
        let stub = elsewhere(8, redirects);
        let store = make("s3", config(&stub));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let store = &store;
                scope.spawn(move || put_and_get(&**store, number));
            }
        });
    }
}

/// A prefix that is encoded in more than one way.
const PREFIX: &str = "my backups+/";

/// Keys and their contents, in the order of listings. Not all are blobs.
fn contents() -> Vec<String> {
    let names =
        ["", ".storageconfig", "n1", "p1", "p1/nested", "p2", "p2 3", "p3+4", "q1", "x/y/z"];
    names.iter().map(|name| format!("{PREFIX}{name}")).collect()
}

/// As the service encodes keys.
fn encode(key: &str) -> String {
    key.replace('%', "%25").replace('+', "%2B").replace(' ', "+")
}

fn decode(text: &str) -> String {
    assert!(!text.contains('+'), "a query has spaces as %20: {text}");
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).unwrap()
}

fn queries(asked: &Asked) -> BTreeMap<String, String> {
    let query = asked.target.split_once('?').unwrap().1;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

/// Pages of two.
fn page(asked: &Asked) -> Reply {
    let query = queries(asked);
    if query.contains_key("versioning") {
        return ok("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
    }
    assert_eq!(query["encoding-type"], "url");
    let keys = contents().into_iter().filter(|key| key.starts_with(&query["prefix"]));
    if query.contains_key("versions") {
        // Two versions of each: the older counts, since the newer comes after the time in question.
        let all: Vec<(String, u32)> = keys.flat_map(|key| [(key.clone(), 2), (key, 1)]).collect();
        let from = match query.get("key-marker") {
            None => 0,
            Some(key) => {
                let last = (key.clone(), query["version-id-marker"].parse().unwrap());
                1 + all.iter().position(|known| *known == last).expect("the end of a page")
            }
        };
        let mut body = String::new();
        for (key, version) in all.iter().skip(from).take(3) {
            write!(
                body,
                "<Version><Key>{}</Key><VersionId>{version}</VersionId><IsLatest>{}</IsLatest>\
                 <LastModified>2026-01-0{version}T00:00:00Z</LastModified><Size>{version}</Size>\
                 </Version>",
                encode(key),
                *version == 2
            )
            .unwrap();
        }
        if let (Some((key, version)), true) = (all.get(from + 2), all.len() > from + 3) {
            write!(
                body,
                "<IsTruncated>true</IsTruncated><NextKeyMarker>{}</NextKeyMarker>\
                 <NextVersionIdMarker>{version}</NextVersionIdMarker>",
                encode(key)
            )
            .unwrap();
        }
        return ok(format!(
            "<ListVersionsResult><EncodingType>url</EncodingType>{body}</ListVersionsResult>"
        ));
    }
    let keys: Vec<String> = keys.collect();
    // What it is made of is nobody's business.
    let token = |number: usize| format!("+/={number}");
    let from = match query.get("continuation-token") {
        None => 0,
        Some(given) => (0..keys.len()).find(|number| token(*number) == *given).expect("a token"),
    };
    let mut body = String::new();
    for key in keys.iter().skip(from).take(2) {
        write!(
            body,
            "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00Z</LastModified>\
             <Size>1</Size></Contents>",
            encode(key)
        )
        .unwrap();
    }
    if keys.len() > from + 2 {
        let next = token(from + 2);
        write!(
            body,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"
        )
        .unwrap();
    }
    ok(format!("<ListBucketResult><EncodingType>url</EncodingType>{body}</ListBucketResult>"))
}

/// Pages may end on what is no blob, and prefixes may have any character.
#[test]
fn pages_of_any_keys_follow_each_other() {
    let stub = Stub::start(page);
    let mut config = config(&stub);
    config["prefix"] = json!(PREFIX);
    let names = |store: &Arc<dyn BlobStore>, prefix: &str| -> Vec<(String, u64)> {
        let found = list_all(store, prefix).unwrap();
        found.into_iter().map(|meta| (meta.id.to_string(), meta.length)).collect()
    };
    let blobs = |size| {
        ["n1", "p1", "p2", "p2 3", "p3+4", "q1"].map(|name| (name.to_owned(), size)).to_vec()
    };
    let present = open("s3", config.clone());
    assert_eq!(names(&present, ""), blobs(1));
    assert_eq!(names(&present, "p"), blobs(1)[1..5]);
    for (time, size) in [("2026-01-01T12:00:00Z", 1), ("2026-01-03T00:00:00Z", 2)] {
        config["pointInTime"] = json!(time);
        let past = open("s3", config.clone());
        assert_eq!(names(&past, ""), blobs(size), "{time}");
        assert_eq!(names(&past, "p"), blobs(size)[1..5], "{time}");
        assert_eq!(past.metadata(&"p2".into()).unwrap().length, size);
    }
}
