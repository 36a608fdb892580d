//! Storage rules that the scenarios do not show one by one.

use serde_json::{Value, json};

use super::super::testing::FakeProbe;
use super::*;

fn config(pairs: &[(&str, &str)], probe: &FakeProbe) -> Result<(String, Value), String> {
    let env: Env = pairs.iter().copied().collect();
    let mut findings = Findings::default();
    resolve(&env, probe, None, &mut findings)
        .map(|storage| (storage.kind().to_owned(), storage.config()))
        .map_err(|error| error.to_string())
}

fn repository(url: &str) -> Result<(String, Value), String> {
    config(&[("KOPIA_REPOSITORY", url)], &FakeProbe::default())
}

#[test]
fn prefixes() {
    for (text, expected) in [
        ("", Ok("")),
        ("a", Ok("a/")),
        ("a//b///c", Ok("a/b/c/")),
        ("a/b//", Ok("a/b/")),
        ("/a", Ok("/a/")),
        ("a/../b", Err(())),
        ("a b", Err(())),
        ("ä", Err(())),
    ] {
        assert_eq!(prefix_of(text, "S3").as_deref().map_err(|_| ()), expected, "{text:?}");
    }
}

#[test]
fn bucket_names_of_urls() {
    for (url, error) in [
        ("s3://abc_def/x", Some("Could not determine S3 bucket name")),
        ("s3://mybucketA/p", Some("Could not determine S3 bucket name")),
        ("s3:///p", Some("Could not determine S3 bucket name")),
        ("s3://ab", Some("Could not determine S3 bucket name")),
        ("s3://a..b/p", Some("Invalid S3 bucket name format")),
        ("s3://1.2.3.4/p", Some("Invalid S3 bucket name format")),
        ("s3://1.2.3.4.5/p", None),
        ("s3://a.b-c/p", None),
    ] {
        match (repository(url), error) {
            (Ok(_), None) => {}
            (Err(text), Some(error)) => assert!(text.starts_with(error), "{url}: {text}"),
            (other, _) => panic!("{url}: {other:?}"),
        }
    }
}

#[test]
fn endpoints() {
    let with = |endpoint: &str| {
        let pairs = [("KOPIA_REPOSITORY", "s3://buck"), ("KOPIA_S3_ENDPOINT", endpoint)];
        config(&pairs, &FakeProbe::default()).unwrap().1
    };
    assert_eq!(
        with("http://minio:9000/some/path/"),
        json!({"bucket": "buck", "endpoint": "minio:9000", "doNotUseTLS": true})
    );
    assert_eq!(with("https://minio:9000/"), json!({"bucket": "buck", "endpoint": "minio:9000"}));
}

#[test]
fn half_a_key_is_an_error() {
    let pairs = [("KOPIA_REPOSITORY", "s3://buck"), ("AWS_ACCESS_KEY_ID", "AKID")];
    let error = config(&pairs, &FakeProbe::default()).unwrap_err();
    assert!(error.contains("AWS_SECRET_ACCESS_KEY"), "{error}");
}

#[test]
fn urls_alone_select_only_when_no_variable_does() {
    assert_eq!(
        repository("b2://bucket/p").unwrap_err(),
        "B2 needs an application key: set B2_ACCOUNT_ID and B2_APPLICATION_KEY"
    );
    assert_eq!(
        repository("gcs://bucket/p/q").unwrap(),
        ("gcs".into(), json!({"bucket": "bucket", "prefix": "p/q/"}))
    );
    assert_eq!(
        repository("webdav://host/dav").unwrap(),
        ("webdav".into(), json!({"url": "https://host/dav"}))
    );
    assert_eq!(
        repository("rclone://remote:path").unwrap(),
        ("rclone".into(), json!({"remotePath": "remote:path"}))
    );
    assert_eq!(
        repository("sftp://me:pw@host:2022/base").unwrap(),
        (
            "sftp".into(),
            json!({"host": "host", "port": 2022, "username": "me", "path": "/base", "password": "pw"})
        )
    );
    // A bucket name that the reference never read does not move a repository.
    let pairs = [("KOPIA_REPOSITORY", "filesystem:///mnt/r"), ("GCS_BUCKET", "b")];
    assert_eq!(
        config(&pairs, &FakeProbe::default()).unwrap(),
        ("filesystem".into(), json!({"path": "/mnt/r"}))
    );
}

#[test]
fn a_filesystem_url_without_path_finds_the_only_repository() {
    let one = FakeProbe::default().with("/mnt/backup/kopia.repository.f", "");
    for url in ["filesystem:", "filesystem://", "filesystem:\n"] {
        let found = config(&[("KOPIA_REPOSITORY", url)], &one).unwrap();
        assert_eq!(found.1, json!({"path": "/mnt/backup"}));
    }
    let former = FakeProbe::default().with("/kopia/repository/kopia.repository.f", "");
    let found = config(&[("KOPIA_REPOSITORY", "filesystem:")], &former).unwrap();
    assert_eq!(found.1, json!({"path": "/kopia/repository"}));

    let none = repository("filesystem:").unwrap_err();
    assert!(none.contains("there is no repository"), "{none}");
    let two = one.with("/mnt/other/kopia.repository", "");
    let both = config(&[("KOPIA_REPOSITORY", "filesystem:")], &two).unwrap_err();
    assert!(both.contains("/mnt/backup") && both.contains("/mnt/other"), "{both}");
    assert!(repository("filesystem:/mnt/x").unwrap_err().starts_with("Invalid filesystem URL"));
}

#[test]
fn credentials_by_content_never_show() {
    for (value, expected) in [
        ("c2VjcmV0LWtleS1UT1BTRUNSRVRRNw==", "neither the credential itself"),
        ("{not json TOPSECRETQ7", "cannot be read as JSON"),
    ] {
        let pairs = [("KOPIA_GCS_BUCKET", "gb"), ("GOOGLE_APPLICATION_CREDENTIALS", value)];
        let error = config(&pairs, &FakeProbe::default()).unwrap_err();
        assert!(error.contains(expected) && !error.contains("TOPSECRET"), "{error}");
        assert!(!error.contains(value), "{error}");
    }
}

#[test]
fn azure_names_and_signatures() {
    let pairs = [
        ("KOPIA_REPOSITORY", "azure://cont/p"),
        ("AZURE_STORAGE_ACCOUNT", "acct"),
        ("AZURE_STORAGE_SAS_TOKEN", "?sv=1"),
    ];
    assert_eq!(
        config(&pairs, &FakeProbe::default()).unwrap(),
        (
            "azureBlob".into(),
            json!({"container": "cont", "prefix": "p/", "storageAccount": "acct", "sasToken": "sv=1"})
        )
    );
}

#[test]
fn descriptions_hide_credentials_in_addresses() {
    assert_eq!(without_user_info("https://u:p@h/dav/"), "https://h/dav/");
    assert_eq!(without_user_info("https://h/a@b"), "https://h/a@b");
    assert_eq!(without_user_info("u:p@h"), "h");
}

#[test]
fn sftp_needs_a_sane_port_and_takes_hosts_as_text() {
    let base = [("SFTP_HOST", "h"), ("SFTP_PATH", "/p"), ("SFTP_USERNAME", "u")];
    let with = |extra: (&'static str, &'static str)| {
        let mut pairs = base.to_vec();
        pairs.push(extra);
        config(&pairs, &FakeProbe::default())
    };
    for port in ["0", "65536", "ssh"] {
        assert!(with(("SFTP_PORT", port)).unwrap_err().contains("SFTP_PORT"), "{port}");
    }
    let hosts = with(("SFTP_KNOWN_HOSTS", "h ssh-ed25519 AAA")).unwrap().1;
    assert_eq!(hosts["knownHostsData"], "h ssh-ed25519 AAA");
    assert!(with(("SFTP_KNOWN_HOSTS", "/none")).is_err());
}
