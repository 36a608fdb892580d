use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{CachingConfig, ConfigError, LocalConfig, password, token};

fn sample() -> Value {
    json!({
        "storage": {"type": "filesystem", "config": {"path": "/repo", "dirShards": null, "future": 1}},
        "caching": {"cacheDirectory": "../cache/x", "maxCacheSize": 5_242_880_000_i64, "later": [1]},
        "hostname": "h", "username": "u", "enableActions": false,
        "formatBlobCacheDuration": 900_000_000_000_i64,
        "throttlingLimits": {"readsPerSecond": 1.5, "new": true},
        "unheardOf": {"b": 1, "a": 2}
    })
}

#[test]
fn unknown_keys_survive_and_the_cache_directory_is_relative_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etc/repository.config");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, sample().to_string()).unwrap();

    let mut config = LocalConfig::load(&path).unwrap();
    assert_eq!(config.client.identity().to_string(), "u@h");
    assert_eq!(config.caching.as_ref().unwrap().cache_directory, dir.path().join("cache/x"));
    config.client.username = "v".into();
    config.save(&path).unwrap();

    let mut expected = sample();
    expected["username"] = "v".into();
    let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written, expected);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn disconnect_takes_the_password_and_the_cache_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repository.config");
    let cache = dir.path().join("cache");
    fs::create_dir_all(cache.join("indexes")).unwrap();
    let caching = CachingConfig {
        cache_directory: cache.clone(),
        content_cache_bytes: 1,
        ..CachingConfig::default()
    };
    LocalConfig { caching: Some(caching), ..LocalConfig::default() }.save(&path).unwrap();
    password::persist(&path, &SecretString::from("pässword")).unwrap();
    assert_eq!(
        fs::read_to_string(password::file_name(&path)).unwrap(),
        "cMOkc3N3b3Jk",
        "padded base64 without a line end, as Kopia writes it"
    );
    assert_eq!(password::recall(&path).unwrap().unwrap().expose_secret(), "pässword");

    LocalConfig::disconnect(&path).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(password::recall(&path).unwrap().is_none());
    assert!(matches!(LocalConfig::load(&path), Err(ConfigError::NotConnected { .. })));
}

#[test]
fn the_default_cache_directory_is_kopias() {
    // SHA-256("id" || "/etc/repository.config")
    let dir = CachingConfig::default_directory(
        Path::new("/home/u/.cache"),
        b"id",
        Path::new("/etc/repository.config"),
    );
    assert_eq!(dir, Path::new("/home/u/.cache/kopia/07aadf9b6dbc13cc"));
}

#[test]
fn tokens_go_both_ways() {
    let storage = serde_json::from_value(sample()["storage"].clone()).unwrap();
    for with in [None, Some(SecretString::from("p"))] {
        let text = token::encode(&storage, with.as_ref()).unwrap();
        let broken = text.expose_secret().replacen('J', "J\r\n", 1);
        let (back, password) = token::decode(&broken).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), sample()["storage"]);
        assert_eq!(
            password.map(|p| p.expose_secret().to_owned()),
            with.map(|p| p.expose_secret().to_owned())
        );
    }
    assert!(matches!(token::decode("a b"), Err(ConfigError::MalformedToken)));
}
