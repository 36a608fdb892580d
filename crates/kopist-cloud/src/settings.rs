//! Reading the settings of a store.

use std::fmt;
use std::time::Duration;

use kopist_blob::{BlobError, StorageConfig, normalize_keys};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A setting that nobody may see.
#[derive(Clone, Default)]
pub(crate) struct Secret(SecretString);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Whether a header can hold it.
    pub(crate) fn is_sendable(&self) -> bool {
        is_sendable(self.expose())
    }
}

/// Whether a header can hold this text: no end of a line, nothing beyond ASCII.
pub(crate) fn is_sendable(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "-" } else { "***" })
    }
}

/// Its errors do not repeat what was read, as those of a `String` do.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer) {
            Ok(Value::String(text)) => Ok(text.into()),
            _ => Err(serde::de::Error::custom("what must be a text is none")),
        }
    }
}

/// Reads the settings of a storage. Keys match in any case, `null` counts as absent, unknown
/// ones are ignored. `required` are texts that must not be empty.
pub(crate) fn parse<T: DeserializeOwned>(
    storage: &StorageConfig,
    keys: &[&str],
    required: &[&str],
) -> Result<T, BlobError> {
    let invalid =
        |message: String| BlobError::InvalidConfig { kind: storage.kind.clone(), message };
    let mut config = match normalize_keys(&storage.config, keys) {
        Value::Null => Value::Object(serde_json::Map::new()),
        config => config,
    };
    let Some(settings) = config.as_object_mut() else {
        return Err(invalid("it is no JSON object".to_owned()));
    };
    settings.retain(|_, value| !value.is_null());
    for key in required {
        if settings.get(*key).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(invalid(format!("{key:?} is missing")));
        }
    }
    T::deserialize(&config).map_err(|error| match culprit::<T>(&config) {
        Some(key) => invalid(format!("{key:?}: {error}")),
        None => invalid(error.to_string()),
    })
}

/// The setting without which the others could be read.
fn culprit<T: DeserializeOwned>(config: &Value) -> Option<&str> {
    let settings = config.as_object()?;
    settings.keys().map(String::as_str).find(|key| {
        let mut others = settings.clone();
        others.remove(*key);
        T::deserialize(&Value::Object(others)).is_ok()
    })
}

/// A duration as Go writes it (`1h30m0s`, `1.5s`), or a number of nanoseconds.
pub(crate) fn go_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let parsed = match &value {
        Value::Number(number) => number.as_u64().map(Duration::from_nanos),
        Value::String(text) => parse_duration(text),
        _ => None,
    };
    parsed.ok_or_else(|| serde::de::Error::custom(format!("{value} is no duration")))
}

fn parse_duration(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
        let (name, seconds) =
            units.into_iter().chain([("h", 3600.0)]).find(|(name, _)| rest.starts_with(name))?;
        total += number * seconds;
        rest = &rest[name.len()..];
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(total).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    struct Sample {
        bucket: String,
        #[serde(default)]
        key: Secret,
    }

    #[test]
    fn settings_are_read_as_go_reads_them() {
        let storage = StorageConfig::new("x", json!({"BUCKET": "b", "key": "hunter2", "new": [1]}));
        let sample: Sample = parse(&storage, &["bucket", "key"], &["bucket"]).unwrap();
        assert_eq!((sample.bucket.as_str(), sample.key.expose()), ("b", "hunter2"));
        assert!(!format!("{sample:?}").contains("hunter2"));
        let storage = StorageConfig::new("x", json!({"bucket": "b", "key": null}));
        assert!(parse::<Sample>(&storage, &["bucket", "key"], &[]).unwrap().key.is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        for config in [json!({}), json!({"bucket": ""}), json!({"bucket": 3}), json!(null)] {
            let storage = StorageConfig::new("x", config);
            let error = parse::<Sample>(&storage, &["bucket"], &["bucket"]).unwrap_err();
            assert!(error.to_string().contains("bucket"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told_without_it() {
        for secret in [json!(31337), json!([31337]), json!({"31337": true}), json!(31337.5)] {
            let storage = StorageConfig::new("x", json!({"bucket": "b", "key": secret}));
            let error = parse::<Sample>(&storage, &["bucket", "key"], &["bucket"]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("\"key\"") && text.contains("text"), "{text}");
            assert!(!text.contains("31337"), "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("0s"), Some(0.0));
        assert_eq!(seconds("1h0m0.5s"), Some(3600.5));
        assert_eq!(seconds("250ms"), Some(0.25));
        assert_eq!(seconds("15"), Some(15e-9));
        for bad in ["", "s", "1", "1x", "-1s", "1h2"] {
            assert_eq!(seconds(bad).filter(|_| bad != "1"), None, "{bad:?}");
        }
    }
}
