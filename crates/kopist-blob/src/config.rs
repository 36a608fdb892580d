use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How to reach a store again: the `storage` object of a `repository.config` or a token,
/// `{"type": …, "config": {…}}`.
///
/// The keys of `config` belong to the kind of store; they are kept in their order, unknown ones
/// included. They may hold secrets, so `Debug` shows their names only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StorageConfig {
    /// `filesystem`, `s3`, `gcs`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The settings of that kind.
    #[serde(default)]
    pub config: Value,
}

impl StorageConfig {
    /// A configuration of this kind.
    pub fn new(kind: impl Into<String>, config: Value) -> Self {
        Self { kind: kind.into(), config }
    }
}

impl fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> =
            self.config.as_object().map(|map| map.keys().collect()).unwrap_or_default();
        f.debug_struct("StorageConfig").field("kind", &self.kind).field("keys", &keys).finish()
    }
}

/// Gives the keys of a JSON object the spelling in `known`, because the programs that write
/// these files match keys without regard to case. An exact match wins over a misspelt one.
pub fn normalize_keys(config: &Value, known: &[&str]) -> Value {
    let Value::Object(map) = config else { return config.clone() };
    let mut out = serde_json::Map::new();
    for (key, value) in map {
        match known.iter().find(|name| name.eq_ignore_ascii_case(key)) {
            Some(name) if *name != key && map.contains_key(*name) => {}
            Some(name) => drop(out.insert((*name).to_owned(), value.clone())),
            None => drop(out.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn debug_shows_no_values() {
        let config = StorageConfig::new("s3", json!({"secretAccessKey": "hunter2"}));
        let text = format!("{config:?}");
        assert!(text.contains("secretAccessKey") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn keys_match_in_any_case_and_keep_their_order() {
        let config = json!({"PATH": "/a", "zzz": 1, "DirShards": null});
        let normal = normalize_keys(&config, &["path", "dirShards"]);
        assert_eq!(normal.to_string(), r#"{"path":"/a","zzz":1,"dirShards":null}"#);
        let both = normalize_keys(&json!({"Path": "/b", "path": "/a"}), &["path"]);
        assert_eq!(both, json!({"path": "/a"}));
    }

    #[test]
    fn json_form() {
        let text = r#"{"type":"filesystem","config":{"path":"/r","dirShards":null,"new":{"x":1}}}"#;
        let config: StorageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
    }
}
