//! Locks and old versions on Azure, which no server here can play: on a stub, written from the
//! public description of the REST interface ("Put Blob", "Set Blob Immutability Policy", "Delete
//! Blob", "List Blobs", "Blob versioning"). It checks what it is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kopist_blob::testing::CASES;
use kopist_blob::{BlobStore, ByteRange, PutOptions, Retention, list_all};
use kopist_testkit::proxy::{Asked, Reply, Stub};
use kopist_testkit::servers::{AZURE_ACCOUNT, AZURE_KEY, Azure};
use serde_json::{Value, json};

use crate::support::{make, now, open};

/// A policy: its mode and its end.
type Policy = (String, Timestamp);

#[derive(Clone)]
struct Version {
    name: String,
    data: String,
    made: Timestamp,
    policy: Option<Policy>,
}

impl Version {
    /// Neither kind of policy lets a version be deleted before its end.
    fn is_protected(&self) -> bool {
        self.policy.as_ref().is_some_and(|(_, end)| *end > now())
    }
}

/// The versions of a blob, the oldest first. The last is the blob, unless that was deleted.
#[derive(Default)]
struct Versions {
    all: Vec<Version>,
    deleted: Option<Timestamp>,
}

impl Versions {
    fn current(&mut self) -> Option<&mut Version> {
        if self.deleted.is_some() { None } else { self.all.last_mut() }
    }
}

/// A container with versioning and support for immutability of versions.
#[derive(Default)]
struct Container(BTreeMap<String, Versions>);

fn http_date(time: Timestamp) -> String {
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// Versions are times with seven digits behind the second.
fn version_name(time: Timestamp) -> String {
    format!("{time:.7}")
}

fn refuse(status: u16, code: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Reply { status, headers: vec![("x-ms-error-code", code.to_owned())], body }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Container {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decode(value)))
            .collect();
        let signed = format!("SharedKey {AZURE_ACCOUNT}:");
        let header = |name: &str| asked.header(name).unwrap_or_default();
        if !header("authorization").starts_with(&signed)
            || parse_date(header("x-ms-date")).is_none()
            // The first version that knows policies.
            || header("x-ms-version") < "2020-06-12"
        {
            return refuse(403, "AuthenticationFailed");
        }
        let word = |name: &str| query.get(name).map_or("", String::as_str);
        let name = decode(path.strip_prefix("/kcont").unwrap()).trim_start_matches('/').to_owned();
        let (version, comp) = (word("versionid"), word("comp"));
        match (asked.method.as_str(), comp) {
            ("GET", "list") if name.is_empty() && word("restype") == "container" => {
                self.list(word("prefix"), word("include"), word("marker"))
            }
            ("PUT", "immutabilityPolicies") => self.set_policy(&name, asked),
            ("DELETE", "immutabilityPolicies") => self.lift_policy(&name),
            ("PUT", "") => self.put(name, asked),
            ("GET" | "HEAD", "") => self.get(&name, version),
            ("DELETE", "") => self.delete(&name, version),
            _ => refuse(400, "UnsupportedQueryParameter"),
        }
    }

    /// The policy that a request names: both headers, with an end that is to come.
    fn policy(asked: &Asked) -> Result<Option<Policy>, Reply> {
        let mode = asked.header("x-ms-immutability-policy-mode");
        let until = asked.header("x-ms-immutability-policy-until-date");
        match (mode, until.map(parse_date)) {
            (None, None) => Ok(None),
            (Some(mode @ ("Locked" | "Unlocked")), Some(Some(end))) if end > now() => {
                Ok(Some((mode.to_owned(), end)))
            }
            _ => Err(refuse(400, "InvalidHeaderValue")),
        }
    }

    fn put(&mut self, name: String, asked: &Asked) -> Reply {
        if asked.header("x-ms-blob-type") != Some("BlockBlob")
            || asked.header("content-length") != Some(&asked.body.len().to_string())
        {
            return refuse(400, "InvalidHeaderValue");
        }
        let policy = match Self::policy(asked) {
            Ok(policy) => policy,
            Err(reply) => return reply,
        };
        let versions = self.0.entry(name).or_default();
        if asked.header("if-none-match") == Some("*") && versions.current().is_some() {
            return refuse(409, "BlobAlreadyExists");
        }
        let made = now();
        let version = version_name(made);
        versions.deleted = None;
        let data = asked.body.clone();
        versions.all.push(Version { name: version.clone(), data, made, policy });
        let headers = vec![("last-modified", http_date(made)), ("x-ms-version-id", version)];
        Reply { status: 201, headers, body: String::new() }
    }

    fn get(&mut self, name: &str, version: &str) -> Reply {
        let Some(versions) = self.0.get_mut(name) else { return refuse(404, "BlobNotFound") };
        let found = if version.is_empty() {
            versions.current()
        } else {
            versions.all.iter_mut().find(|known| known.name == version)
        };
        let Some(found) = found else { return refuse(404, "BlobNotFound") };
        let headers =
            vec![("last-modified", http_date(found.made)), ("x-ms-version-id", found.name.clone())];
        Reply { status: 200, headers, body: found.data.clone() }
    }

    fn set_policy(&mut self, name: &str, asked: &Asked) -> Reply {
        let Some(version) = self.0.get_mut(name).and_then(Versions::current) else {
            return refuse(404, "BlobNotFound");
        };
        let Ok(Some((mode, end))) = Self::policy(asked) else {
            return refuse(400, "InvalidHeaderValue");
        };
        if !asked.body.is_empty() {
            return refuse(400, "InvalidHeaderValue");
        }
        // A locked policy can only be made longer.
        if let Some((old_mode, old_end)) = &version.policy
            && old_mode == "Locked"
            && (mode != "Locked" || end < *old_end)
        {
            return refuse(409, "BlobImmutableDueToPolicy");
        }
        version.policy = Some((mode, end));
        Reply { status: 200, ..Reply::default() }
    }

    fn lift_policy(&mut self, name: &str) -> Reply {
        match self.0.get_mut(name).and_then(Versions::current) {
            None => refuse(404, "BlobNotFound"),
            Some(version) if version.policy.as_ref().is_some_and(|(mode, _)| mode == "Locked") => {
                refuse(409, "BlobImmutableDueToPolicy")
            }
            Some(version) => {
                version.policy = None;
                Reply { status: 200, ..Reply::default() }
            }
        }
    }

    fn delete(&mut self, name: &str, version: &str) -> Reply {
        let Some(versions) = self.0.get_mut(name) else { return refuse(404, "BlobNotFound") };
        if version.is_empty() {
            match versions.current() {
                None => return refuse(404, "BlobNotFound"),
                Some(current) if current.is_protected() => {
                    return refuse(409, "BlobImmutableDueToPolicy");
                }
                Some(_) => versions.deleted = Some(now()),
            }
        } else {
            let found = versions.all.iter().position(|known| known.name == version);
            let Some(at) = found else { return refuse(404, "BlobNotFound") };
            if versions.all[at].is_protected() {
                return refuse(409, "BlobImmutableDueToPolicy");
            }
            versions.all.remove(at);
        }
        Reply { status: 202, ..Reply::default() }
    }

    /// Two entries a page.
    fn list(&mut self, prefix: &str, include: &str, marker: &str) -> Reply {
        let with = |what: &str| include.split(',').any(|word| word == what);
        let mut entries = Vec::new();
        for (name, versions) in self.0.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let last = versions.all.len().saturating_sub(1);
            for (number, version) in versions.all.iter().enumerate() {
                let is_current = versions.deleted.is_none() && number == last;
                if is_current || with("versions") {
                    let told = with("versions").then_some(version.name.clone());
                    entries.push(entry(name, told, is_current, false, version));
                }
            }
            // The blob that is gone: its last properties, a version of its own.
            if let (Some(deleted), Some(version)) = (versions.deleted, versions.all.last())
                && with("deletedwithversions")
            {
                entries.push(entry(name, Some(version_name(deleted)), false, true, version));
            }
        }
        let start: usize = marker.parse().unwrap_or(0);
        let page = entries.iter().skip(start).take(2).cloned().collect::<String>();
        let next = if start + 2 < entries.len() { (start + 2).to_string() } else { String::new() };
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>{page}\
             </Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        );
        Reply { status: 200, headers: Vec::new(), body }
    }
}

fn entry(
    name: &str,
    version: Option<String>,
    is_current: bool,
    is_gone: bool,
    of: &Version,
) -> String {
    let mut out = format!("<Blob><Name>{name}</Name>");
    if let Some(version) = version {
        write!(out, "<VersionId>{version}</VersionId>").unwrap();
    }
    if is_current {
        out += "<IsCurrentVersion>true</IsCurrentVersion>";
    }
    write!(
        out,
        "<Properties><Last-Modified>{}</Last-Modified><Content-Length>{}</Content-Length>\
         <BlobType>BlockBlob</BlobType></Properties><Metadata />",
        http_date(of.made),
        of.data.len()
    )
    .unwrap();
    if is_gone {
        out += "<HasVersionsOnly>true</HasVersionsOnly>";
    }
    out + "</Blob>"
}

fn start() -> (Stub, Value) {
    let container = Arc::new(Mutex::new(Container::default()));
    let stub = Stub::start(move |asked| container.lock().unwrap().answer(asked));
    let port = stub.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let config = json!({
        "container": "kcont", "prefix": "x/", "storageAccount": AZURE_ACCOUNT,
        "storageKey": AZURE_KEY, "storageDomain": Azure::domain_at(port), "doNotUseTLS": true,
    });
    (stub, config)
}

fn lock(hours: u64) -> Retention {
    Retention { mode: "GOVERNANCE".to_owned(), period: Duration::from_hours(hours) }
}

#[test]
fn locks_work() {
    let (_stub, config) = start();
    let case = CASES.iter().find(|case| case.name == "locks work or are unsupported").unwrap();
    (case.run)(&*make("azureBlob", config));
}

#[test]
fn a_lock_is_one_that_cannot_be_lifted_and_can_be_made_longer() {
    let (stub, config) = start();
    let store = make("azureBlob", config);
    let id = "p1".into();
    let begun = now();
    store.put(&id, &[b"data"], &PutOptions::with_retention(lock(24))).unwrap();
    store.extend_retention(&id, &lock(48)).unwrap();
    let policy = |asked: &Asked| {
        assert_eq!(asked.header("x-ms-immutability-policy-mode"), Some("Locked"));
        parse_date(asked.header("x-ms-immutability-policy-until-date").unwrap()).unwrap()
    };
    let asked = stub.asked();
    let [put, extended] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((put.method.as_str(), put.target.as_str()), ("PUT", "/kcont/x/p1"));
    assert_eq!(put.body, "data");
    assert_eq!(extended.target, "/kcont/x/p1?comp=immutabilityPolicies");
    assert_eq!((extended.method.as_str(), extended.header("content-length")), ("PUT", Some("0")));
    for (asked, hours) in [(put, 24), (extended, 48)] {
        let seconds = policy(asked).as_second() - begun.as_second() - hours * 3600;
        assert!((-1..60).contains(&seconds), "{seconds}");
    }
    let error = store.extend_retention(&id, &lock(24)).unwrap_err();
    assert!(error.to_string().contains("BlobImmutableDueToPolicy"), "{error}");
}

/// What is locked is covered, and remains as an old version.
#[test]
fn what_is_locked_can_be_deleted_and_is_not_lost() {
    let (stub, mut config) = start();
    let store = make("azureBlob", config.clone());
    let id = "p1".into();
    store.put(&"kopia.repository".into(), &[b"f"], &PutOptions::default()).unwrap();
    store.put(&id, &[b"data"], &PutOptions::with_retention(lock(24))).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    config["pointInTime"] = json!(now().to_string());
    std::thread::sleep(Duration::from_millis(5));
    let before = stub.asked().len();

    store.delete(&id).unwrap();

    assert!(store.metadata(&id).unwrap_err().is_not_found());
    assert!(list_all(&store, "p").unwrap().is_empty());
    let asked = stub.asked();
    let steps: Vec<_> = asked[before..before + 5]
        .iter()
        .map(|asked| {
            let (target, version) =
                asked.target.split_once("?versionid=").unwrap_or((&asked.target, ""));
            (asked.method.as_str(), target, !version.is_empty())
        })
        .collect();
    let policies = "/kcont/x/p1?comp=immutabilityPolicies";
    assert_eq!(
        steps,
        [
            ("DELETE", "/kcont/x/p1", false),
            ("PUT", "/kcont/x/p1", false),
            ("DELETE", policies, false),
            ("DELETE", "/kcont/x/p1", false),
            ("DELETE", "/kcont/x/p1", true),
        ]
    );
    let cover = &asked[before + 1];
    assert_eq!(cover.header("x-ms-immutability-policy-mode"), Some("Unlocked"));
    assert!(cover.body.is_empty());
    let past = open("azureBlob", config);
    assert_eq!(&past.get(&id, ByteRange::Full).unwrap()[..], b"data");
    store.delete(&id).unwrap();
}

#[test]
fn shows_the_past() {
    let (_stub, mut config) = start();
    let store = make("azureBlob", config.clone());
    let put = |name: &str, data: &str| {
        store.put(&name.into(), &[data.as_bytes()], &PutOptions::default()).unwrap();
    };
    put("kopia.repository", "f");
    put("p1", "first");
    put("p2", "stays");
    put("p3", "goes before");
    store.delete(&"p3".into()).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    config["pointInTime"] = json!(now().to_string());
    std::thread::sleep(Duration::from_millis(5));
    put("p1", "second");
    put("q1", "later");
    store.delete(&"p2".into()).unwrap();
    let past = open("azureBlob", config);
    let found = list_all(&past, "").unwrap();
    let found: Vec<_> = found.iter().map(|meta| (meta.id.as_str(), meta.length)).collect();
    assert_eq!(found, [("kopia.repository", 1), ("p1", 5), ("p2", 5)]);
    let read = |name: &str| past.get(&name.into(), ByteRange::Full);
    assert_eq!(
        (&read("p1").unwrap()[..], &read("p2").unwrap()[..]),
        (&b"first"[..], &b"stays"[..])
    );
    assert!(read("p3").unwrap_err().is_not_found() && read("q1").unwrap_err().is_not_found());
    assert!(past.is_read_only() && past.delete(&"p1".into()).is_err());
}

/// A container without versions tells none.
#[test]
fn without_versions_there_is_no_past() {
    let stub = Stub::start(|_| {
        let body = "<EnumerationResults><Blobs><Blob><Name>kopia.repository</Name><Properties>\
            <Last-Modified>Sat, 21 Nov 2026 10:23:47 GMT</Last-Modified>\
            <Content-Length>1</Content-Length></Properties></Blob></Blobs></EnumerationResults>";
        (200, body.to_owned())
    });
    let port = stub.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let text = crate::support::failure(
        "azureBlob",
        json!({
            "container": "kcont", "storageAccount": AZURE_ACCOUNT, "storageKey": AZURE_KEY,
            "storageDomain": Azure::domain_at(port), "doNotUseTLS": true,
            "pointInTime": "2026-01-01T00:00:00Z",
        }),
    );
    assert!(text.contains("non-versioned") && text.contains("--point-in-time"), "{text}");
    let asked = &stub.asked()[0].target;
    assert!(asked.contains("deletedwithversions") && asked.contains("versions"), "{asked}");
}
