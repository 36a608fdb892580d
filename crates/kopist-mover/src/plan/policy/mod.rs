//! Policies that a run is asked to set.
//!
//! A patch is the part of a Kopia policy that somebody stated, in Kopia's own
//! keys; what it does not mention stays as it is stored. The mounted file speaks
//! for the global policy, the fields of the resource for the policy of the source,
//! additional arguments for this run only; Kopia's own rule then says that the
//! source goes before the global policy.
//!
//! | file | content |
//! | --- | --- |
//! | `keys` | the table of documented keys, their native names and kinds |
//! | `files` | reading `global-policy.json` and `repository.config` |

mod files;
mod keys;

pub use files::{FileProblem, GlobalPolicyFile, MountedPolicies, RepositoryFile};
pub(crate) use keys::compressor;

use serde_json::{Map, Value};

pub(super) use files::read_mounted;

/// Stated settings of a Kopia policy: section, key, value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyPatch(Map<String, Value>);

impl PolicyPatch {
    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// States one setting.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        if let Some(section) = self.section(section) {
            section.insert(key.to_owned(), value.into());
        }
    }

    /// Adds one item to a list.
    pub fn append(&mut self, section: &str, key: &str, item: impl Into<Value>) {
        let Some(section) = self.section(section) else {
            return;
        };
        match section.entry(key.to_owned()).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(items) => items.push(item.into()),
            other => *other = Value::Array(vec![item.into()]),
        }
    }

    /// Adds another patch: lists grow, everything else is replaced.
    pub fn extend(&mut self, other: &Self) {
        for (name, settings) in &other.0 {
            for (key, value) in settings.as_object().into_iter().flatten() {
                match value {
                    Value::Array(items) => {
                        for item in items {
                            self.append(name, key, item.clone());
                        }
                    }
                    value => self.set(name, key, value.clone()),
                }
            }
        }
    }

    fn section(&mut self, name: &str) -> Option<&mut Map<String, Value>> {
        self.0.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    }

    /// The patch as a policy document.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Lays the patch over a policy document: stated keys replace, lists included;
    /// everything else stays.
    pub fn apply_to(&self, policy: &mut Value) {
        if !policy.is_object() {
            *policy = Value::Object(Map::new());
        }
        let Some(policy) = policy.as_object_mut() else {
            return;
        };
        for (name, settings) in &self.0 {
            let Some(settings) = settings.as_object() else {
                continue;
            };
            let section = policy.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !section.is_object() {
                *section = Value::Object(Map::new());
            }
            if let Some(section) = section.as_object_mut() {
                for (key, value) in settings {
                    section.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_replaces_what_it_states_and_nothing_else() {
        let mut patch = PolicyPatch::default();
        assert!(patch.is_empty());
        patch.set("retention", "keepDaily", 9);
        patch.append("files", "ignore", "*.tmp");
        patch.append("files", "ignore", "*.bak");
        let mut policy = json!({
            "retention": {"keepDaily": 1, "keepHourly": 2},
            "files": {"ignore": ["old"], "oneFileSystem": true},
            "unknown": {"x": 1},
        });
        patch.apply_to(&mut policy);
        assert_eq!(
            policy,
            json!({
                "retention": {"keepDaily": 9, "keepHourly": 2},
                "files": {"ignore": ["*.tmp", "*.bak"], "oneFileSystem": true},
                "unknown": {"x": 1},
            })
        );
        let mut more = PolicyPatch::default();
        more.append("files", "ignore", "*.log");
        more.set("retention", "keepDaily", 3);
        patch.extend(&more);
        assert_eq!(
            patch.to_value(),
            json!({"retention": {"keepDaily": 3}, "files": {"ignore": ["*.tmp", "*.bak", "*.log"]}})
        );
        let mut nothing = Value::Null;
        patch.apply_to(&mut nothing);
        assert_eq!(nothing["retention"]["keepDaily"], 3);
    }
}
