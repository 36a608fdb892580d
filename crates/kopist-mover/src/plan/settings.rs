//! Settings of this program that the operator knows nothing about.
//!
//! Backups and restores get a fixed list of variables, so each setting has four
//! spellings: `--mover-foo-bar=` among the additional arguments, `KOPIST_FOO_BAR` in
//! the environment, and `"kopist": {"fooBar": …}` in `repository.config` or in the
//! manual configuration. The first one found counts, in this order.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{Findings, PlanError};
use super::values;
use crate::env::Env;

/// What can be set, by the name in documents.
const KNOWN: &[&str] = &[
    "afterMaintenance",
    "fsMode",
    "healthFile",
    "healthMaxAge",
    "jitter",
    "logFormat",
    "maintenanceTakeover",
    "metrics",
    "metricsHeaders",
    "metricsLabels",
    "notifyOn",
    "notifyUrl",
    "progressInterval",
    "replicateDeleteAfter",
    "replicateVerifyPercent",
    "reportFile",
    "restoreRequire",
    "sources",
    "testRestoreDir",
    "testRestorePercent",
    "verifyPercent",
];

/// The four places, in the order in which they count.
pub(super) struct Settings<'a> {
    pub(super) arguments: &'a [(String, String)],
    pub(super) env: &'a Env,
    pub(super) repository_file: Option<&'a Map<String, Value>>,
    pub(super) manual: Option<&'a Map<String, Value>>,
}

impl Settings<'_> {
    /// The value of a setting, and the place that gives it.
    pub(super) fn get(&self, name: &str) -> Option<(String, String)> {
        let dashed = spelled(name, '-').to_lowercase();
        let variable = format!("KOPIST_{}", spelled(name, '_').to_uppercase());
        if let Some((_, value)) = self.arguments.iter().rev().find(|(arg, _)| *arg == dashed) {
            return Some((format!("--mover-{dashed}"), value.clone()));
        }
        if let Some(value) = self.env.text(&variable) {
            return Some((variable, value.to_owned()));
        }
        [self.repository_file, self.manual]
            .into_iter()
            .flatten()
            .find_map(|object| object.get(name))
            .map(|value| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (format!("\"kopist\": {{\"{name}\"}}"), text)
            })
    }

    /// One of a few words.
    pub(super) fn word(
        &self,
        name: &str,
        words: &[&'static str],
        allowed: &'static str,
        findings: &mut Findings,
    ) -> Option<&'static str> {
        let (place, value) = self.get(name)?;
        let word = words.iter().find(|word| **word == value).copied();
        if word.is_none() {
            findings.error(PlanError::NotOneOf { name: place, allowed });
        }
        word
    }

    /// A file mode in octal digits.
    pub(super) fn mode(&self, name: &str, findings: &mut Findings) -> Option<u32> {
        let (place, value) = self.get(name)?;
        let mode = u32::from_str_radix(&value, 8).ok().filter(|mode| *mode <= 0o777);
        if mode.is_none_or(|mode| mode & 0o600 != 0o600) {
            findings.error(PlanError::BadValue {
                name: place,
                expected: "a file mode in octal digits that its owner can read and write, such as 0660",
            });
            return None;
        }
        mode
    }

    /// A duration.
    pub(super) fn duration(&self, name: &str, findings: &mut Findings) -> Option<Duration> {
        self.duration_or_off(name, findings).flatten()
    }

    /// A duration, or `Some(None)` for none at all.
    #[allow(clippy::option_option)] // not given and switched off are two things
    pub(super) fn duration_or_off(
        &self,
        name: &str,
        findings: &mut Findings,
    ) -> Option<Option<Duration>> {
        let (place, value) = self.get(name)?;
        let duration = values::duration(&value);
        if duration.is_none() {
            findings.error(PlanError::BadValue {
                name: place,
                expected: "a duration such as 30s or 5m",
            });
        }
        duration.map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
    }

    /// The path of a file of the container.
    pub(super) fn path(&self, name: &str, findings: &mut Findings) -> Option<PathBuf> {
        let (place, value) = self.get(name)?;
        let path = PathBuf::from(value.trim());
        if !path.is_absolute() || path.file_name().is_none() {
            findings.error(PlanError::BadValue {
                name: place,
                expected: "the path of a file that begins with /",
            });
            return None;
        }
        Some(path)
    }

    /// Remarks on every setting that this build does not have.
    pub(super) fn remark_unknown(&self, findings: &mut Findings) {
        let dashed = |name: &&str| spelled(name, '-').to_lowercase();
        let variable = |name: &&str| spelled(name, '_').to_uppercase();
        for (argument, _) in self.arguments {
            if !KNOWN.iter().any(|name| dashed(name) == *argument) {
                findings.notice(format!(
                    "--mover-{argument} is not a setting of this build and has no effect"
                ));
            }
        }
        for name in self.env.names() {
            if let Some(rest) = name.strip_prefix("KOPIST_")
                && !is_elsewhere(rest)
                && !KNOWN.iter().any(|known| variable(known) == rest)
            {
                findings.notice(format!("{name} is not a setting of this build and has no effect"));
            }
        }
        for object in [self.repository_file, self.manual].into_iter().flatten() {
            for name in object.keys() {
                if !KNOWN.contains(&name.as_str()) {
                    findings.notice(format!(
                        "\"kopist\": {{\"{name}\"}} is not a setting of this build and has no effect"
                    ));
                }
            }
        }
    }
}

/// Whether a variable of ours is no setting: those of the target of a copy, and those by which
/// tests start this program.
fn is_elsewhere(rest: &str) -> bool {
    rest.starts_with("TARGET_") || ["TEST_ROOT", "TEST_CHILD", "TEST_ARGUMENTS"].contains(&rest)
}

/// `fooBar` as `foo<joint>Bar`.
fn spelled(name: &str, joint: char) -> String {
    let mut spelled = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            spelled.push(joint);
        }
        spelled.push(c);
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn four_places_in_their_order() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let manual = object(json!({"restoreRequire": true}));
        let file = object(json!({"restoreRequire": "false"}));
        let env: Env = [("KOPIST_RESTORE_REQUIRE", "from-env")].into_iter().collect();
        let arguments = [("restore-require".to_owned(), "from-args".to_owned())];
        let get = |arguments, env, repository_file, manual| {
            let settings = Settings { arguments, env, repository_file, manual };
            settings.get("restoreRequire").map(|(_, value)| value)
        };
        let nothing = Env::default();
        let all = get(&arguments, &env, Some(&file), Some(&manual));
        assert_eq!(all.as_deref(), Some("from-args"));
        let env_first = get(&[], &env, Some(&file), Some(&manual));
        assert_eq!(env_first.as_deref(), Some("from-env"));
        let file_first = get(&[], &nothing, Some(&file), Some(&manual));
        assert_eq!(file_first.as_deref(), Some("false"));
        let manual_only = get(&[], &nothing, None, Some(&manual));
        assert_eq!(manual_only.as_deref(), Some("true"));
        assert_eq!(get(&[], &nothing, None, None), None);
    }

    #[test]
    fn what_this_build_does_not_have_is_said() {
        let env: Env =
            [("KOPIST_NO_SUCH_THING", "x"), ("KOPIST_LOG_FORMAT", "json")].into_iter().collect();
        let arguments = [("restart".to_owned(), "3s".to_owned())];
        let settings =
            Settings { arguments: &arguments, env: &env, repository_file: None, manual: None };
        let mut findings = Findings::default();
        settings.remark_unknown(&mut findings);
        assert_eq!(findings.notices.len(), 2);
        assert_eq!(settings.word("logFormat", &["json"], "json", &mut findings), Some("json"));
        assert_eq!(settings.word("logFormat", &["text"], "text", &mut findings), None);
        assert_eq!(findings.errors.len(), 1);
    }
}
