//! The mounted files: `global-policy.json` and `repository.config`.
//!
//! A file never stops a backup. One that cannot be used as a whole is reported and
//! left out (with the second one, as the reference does); a bad value is reported
//! and its key left out, the rest applies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::PolicyPatch;
use super::keys::KEYS;
use crate::env::Env;
use crate::plan::values;
use crate::probe::{Probe, ReadError};

/// Larger files are refused.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the mounted directory says.
#[derive(Debug, Clone, Default)]
pub struct MountedPolicies {
    /// Whether the directory is mounted; without it nothing is said at all.
    pub mounted: bool,
    /// A reason why a whole file is not used.
    pub refused: Option<FileProblem>,
    /// The policy file, if there is one.
    pub global: Option<GlobalPolicyFile>,
    /// The repository settings, if there are any.
    pub repository: Option<RepositoryFile>,
}

/// Why something in a file is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// Not a JSON object.
    #[error("Invalid JSON in {kind} file {}: {problem}", .path.display())]
    InvalidJson {
        /// `global policy` or `repository config`.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// What the parser said.
        problem: String,
    },
    /// Too long.
    #[error("Policy file too large ({bytes} bytes > 1MB)")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// Cannot be read.
    #[error("Cannot read {kind} file {}: {problem}", .path.display())]
    Unreadable {
        /// `global policy` or `repository config`.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// A key with a value of the wrong kind.
    #[error("{key} must be {expected}; this key is left out")]
    BadValue {
        /// `section.key`
        key: String,
        /// What would be accepted.
        expected: &'static str,
    },
}

/// `global-policy.json`, read.
#[derive(Debug, Clone, Default)]
pub struct GlobalPolicyFile {
    /// What it states, in Kopia's keys.
    pub patch: PolicyPatch,
    /// What it does not mention goes back to the defaults.
    pub reset: bool,
    /// Restore parallelism of this run.
    pub download_parallelism: Option<usize>,
    /// Keys left out.
    pub problems: Vec<FileProblem>,
    /// Keys that mean nothing.
    pub unknown: Vec<String>,
    /// Keys that are known and cannot have an effect.
    pub without_effect: Vec<String>,
}

impl GlobalPolicyFile {
    /// Whether the global policy stays as it is.
    pub fn states_nothing(&self) -> bool {
        self.patch.is_empty() && !self.reset
    }
}

/// `repository.config`, read.
#[derive(Debug, Clone, Default)]
pub struct RepositoryFile {
    /// Whether hooks run.
    pub enable_actions: Option<bool>,
    /// Time limit of a hook.
    pub action_timeout: Option<Duration>,
    /// Bytes per second to the repository.
    pub upload_speed: Option<u64>,
    /// Bytes per second from the repository.
    pub download_speed: Option<u64>,
    /// Files read at the same time.
    pub upload_parallelism: Option<usize>,
    /// Files restored at the same time.
    pub download_parallelism: Option<usize>,
    /// Encryption of a new repository.
    pub encryption: Option<String>,
    /// Hash of a new repository.
    pub hash: Option<String>,
    /// Error correction of a new repository.
    pub ecc: Option<String>,
    /// Its overhead in percent.
    pub ecc_overhead_percent: Option<u64>,
    /// Settings of this program: the object `kopist`.
    pub settings: Map<String, Value>,
    /// Keys left out.
    pub problems: Vec<FileProblem>,
    /// Keys that mean nothing.
    pub unknown: Vec<String>,
}

/// Reads the directory that `KOPIA_CONFIG_PATH` names.
pub(in crate::plan) fn read_mounted(env: &Env, probe: &dyn Probe) -> MountedPolicies {
    let Some(directory) = env.text("KOPIA_CONFIG_PATH").map(Path::new) else {
        return MountedPolicies::default();
    };
    if !probe.is_dir(directory) {
        return MountedPolicies::default();
    }
    let mut mounted = MountedPolicies { mounted: true, ..MountedPolicies::default() };
    let file = |variable: &str, default: &str| {
        env.text(variable).map_or_else(|| directory.join(default), PathBuf::from)
    };
    match read_object(
        probe,
        &file("KOPIA_GLOBAL_POLICY_FILE", "global-policy.json"),
        "global policy",
    ) {
        Ok(document) => mounted.global = document.map(|document| global_policy(&document)),
        Err(problem) => {
            mounted.refused = Some(problem);
            return mounted;
        }
    }
    match read_object(
        probe,
        &file("KOPIA_REPOSITORY_CONFIG_FILE", "repository.config"),
        "repository config",
    ) {
        Ok(document) => mounted.repository = document.map(repository_file),
        Err(problem) => mounted.refused = Some(problem),
    }
    mounted
}

fn read_object(
    probe: &dyn Probe,
    path: &Path,
    kind: &'static str,
) -> Result<Option<Map<String, Value>>, FileProblem> {
    let bytes = match probe.read(path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(ReadError::Absent) => return Ok(None),
        Err(ReadError::TooLarge { bytes }) => return Err(FileProblem::TooLarge { bytes }),
        Err(ReadError::Io(error)) => {
            return Err(FileProblem::Unreadable {
                kind,
                path: path.to_owned(),
                problem: error.to_string(),
            });
        }
    };
    match crate::plan::json_object(&bytes) {
        Ok(document) => Ok(Some(document)),
        Err(problem) => Err(FileProblem::InvalidJson { kind, path: path.to_owned(), problem }),
    }
}

fn global_policy(document: &Map<String, Value>) -> GlobalPolicyFile {
    let mut file = GlobalPolicyFile::default();
    for (section, settings) in document {
        if section == "reset" {
            match settings.as_bool() {
                Some(reset) => file.reset = reset,
                None => file.problems.push(FileProblem::BadValue {
                    key: section.clone(),
                    expected: "true or false",
                }),
            }
            continue;
        }
        let Some(settings) = settings.as_object() else {
            file.unknown.push(section.clone());
            continue;
        };
        for (key, value) in settings {
            let name = format!("{section}.{key}");
            match (section.as_str(), key.as_str()) {
                ("scheduling", "downloadParallelism") => {
                    match parallelism(value) {
                        Some(number) => file.download_parallelism = Some(number),
                        None => file
                            .problems
                            .push(FileProblem::BadValue { key: name, expected: PARALLELISM }),
                    }
                    continue;
                }
                ("compression", "compressionLevel") => {
                    file.without_effect.push(name);
                    continue;
                }
                _ => {}
            }
            let Some(known) =
                KEYS.iter().find(|known| known.section == section && known.name == key)
            else {
                file.unknown.push(name);
                continue;
            };
            match known.kind.read(value) {
                Ok(Some(value)) => {
                    file.patch.set(known.native_section, known.native_name, value);
                }
                Ok(None) => {}
                Err(expected) => file.problems.push(FileProblem::BadValue { key: name, expected }),
            }
        }
    }
    file
}

const PARALLELISM: &str = "a whole number, 1 or more";

fn parallelism(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0)
}

fn repository_file(document: Map<String, Value>) -> RepositoryFile {
    let mut file = RepositoryFile::default();
    for (key, value) in document {
        let mut bad = |expected| {
            file.problems.push(FileProblem::BadValue { key: key.clone(), expected });
        };
        match key.as_str() {
            "enableActions" => match value.as_bool() {
                Some(enable) => file.enable_actions = Some(enable),
                None => bad("true or false"),
            },
            "actionCommandTimeout" => {
                let timeout = match &value {
                    Value::String(text) => values::duration(text),
                    other => other.as_u64().map(Duration::from_secs),
                };
                match timeout.filter(|timeout| !timeout.is_zero()) {
                    Some(timeout) => file.action_timeout = Some(timeout),
                    None => bad("a duration such as 5m"),
                }
            }
            "uploadSpeed" => match value.as_u64() {
                Some(speed) => file.upload_speed = Some(speed).filter(|speed| *speed > 0),
                None => bad("bytes per second"),
            },
            "downloadSpeed" => match value.as_u64() {
                Some(speed) => file.download_speed = Some(speed).filter(|speed| *speed > 0),
                None => bad("bytes per second"),
            },
            "uploadParallelism" => match parallelism(&value) {
                Some(number) => file.upload_parallelism = Some(number),
                None => bad(PARALLELISM),
            },
            "downloadParallelism" => match parallelism(&value) {
                Some(number) => file.download_parallelism = Some(number),
                None => bad(PARALLELISM),
            },
            "encryptionAlgorithm" => match value.as_str() {
                Some(name) => file.encryption = Some(name.to_owned()),
                None => bad("the name of an algorithm"),
            },
            "hashingAlgorithm" => match value.as_str() {
                Some(name) => file.hash = Some(name.to_owned()),
                None => bad("the name of an algorithm"),
            },
            "ecc" => match value.as_str() {
                Some(name) => file.ecc = Some(name.to_owned()),
                None => bad("the name of an algorithm"),
            },
            "eccOverheadPercent" => match value.as_u64() {
                Some(percent) => file.ecc_overhead_percent = Some(percent),
                None => bad("a percentage"),
            },
            "kopist" => match value {
                Value::Object(settings) => file.settings = settings,
                _ => bad("an object"),
            },
            _ => file.unknown.push(key),
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::HostProbe;
    use crate::root::ContainerRoot;
    use serde_json::json;

    fn read(files: &[(&str, &str)]) -> MountedPolicies {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("kopia-config")).unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join("kopia-config").join(name), content).unwrap();
        }
        let env: Env = [("KOPIA_CONFIG_PATH", "/kopia-config")].into_iter().collect();
        read_mounted(&env, &HostProbe::new(ContainerRoot::at(dir.path())))
    }

    #[test]
    fn no_variable_or_no_directory_means_nothing_mounted() {
        let probe = HostProbe::new(ContainerRoot::at("/nowhere"));
        assert!(!read_mounted(&Env::default(), &probe).mounted);
        let env: Env = [("KOPIA_CONFIG_PATH", "/kopia-config")].into_iter().collect();
        assert!(!read_mounted(&env, &probe).mounted);
    }

    #[test]
    fn documented_names_become_native_ones() {
        let mounted = read(&[(
            "global-policy.json",
            r#"{"retention": {"keepYearly": 3}, "compression": {"compressor": "s2", "compressionLevel": 3},
                "files": {"dotIgnoreFiles": [".gitignore"], "ignoreCacheDirs": true, "odd": 1},
                "scheduling": {"interval": "1h", "uploadParallelism": 4, "downloadParallelism": 2},
                "actions": {"beforeFolder": null}, "somethingElse": {"x": 1}}"#,
        )]);
        let global = mounted.global.unwrap();
        assert_eq!(
            global.patch.to_value(),
            json!({
                "retention": {"keepAnnual": 3},
                "compression": {"compressorName": "s2-default"},
                "files": {"ignoreDotFiles": [".gitignore"], "ignoreCacheDirs": true},
                "scheduling": {"intervalSeconds": 3600},
                "upload": {"maxParallelFileReads": 4},
            })
        );
        assert_eq!(global.download_parallelism, Some(2));
        assert_eq!(global.unknown, ["files.odd", "somethingElse.x"]);
        assert_eq!(global.without_effect, ["compression.compressionLevel"]);
        assert!(global.problems.is_empty() && mounted.repository.is_none());
    }

    #[test]
    fn a_bad_value_costs_its_key_only() {
        let mounted = read(&[(
            "global-policy.json",
            r#"{"compression": {"compressor": "bogus"}, "retention": {"keepDaily": 2}}"#,
        )]);
        let global = mounted.global.unwrap();
        assert_eq!(global.patch.to_value(), json!({"retention": {"keepDaily": 2}}));
        assert_eq!(global.problems.len(), 1);
        assert!(global.problems[0].to_string().starts_with("compression.compressor must be"));
    }

    #[test]
    fn an_unusable_global_file_takes_the_second_one_with_it() {
        let mounted = read(&[
            ("global-policy.json", "{bad"),
            ("repository.config", "{\"enableActions\": false}"),
        ]);
        let text = mounted.refused.unwrap().to_string();
        assert!(
            text.starts_with("Invalid JSON in global policy file /kopia-config/global-policy.json"),
            "{text}"
        );
        assert!(mounted.global.is_none() && mounted.repository.is_none());

        let long = format!("{{\"x\": \"{}\"}}", "y".repeat(1 << 20));
        let mounted = read(&[("global-policy.json", &long)]);
        assert_eq!(
            mounted.refused.unwrap().to_string(),
            format!("Policy file too large ({} bytes > 1MB)", long.len())
        );
    }

    #[test]
    fn false_is_a_value() {
        let mounted = read(&[(
            "repository.config",
            r#"{"enableActions": false, "actionCommandTimeout": "5m", "uploadSpeed": 1000,
                "uploadParallelism": 3, "downloadParallelism": 0,
                "downloadSpeed": "fast", "kopist": {"jitter": "3s"}, "other": 1}"#,
        )]);
        let repository = mounted.repository.unwrap();
        assert_eq!(repository.enable_actions, Some(false));
        assert_eq!(repository.action_timeout, Some(Duration::from_mins(5)));
        assert_eq!(repository.upload_speed, Some(1000));
        assert_eq!(repository.settings["jitter"], "3s");
        assert_eq!(repository.unknown, ["other"]);
        assert_eq!(repository.upload_parallelism, Some(3));
        assert_eq!(repository.problems.len(), 2);
    }

    #[test]
    fn a_file_may_speak_for_everything() {
        let reset = |text: &str| {
            let global = read(&[("global-policy.json", text)]).global.unwrap();
            (global.reset, global.problems.len(), global.unknown.len())
        };
        assert_eq!(reset(r#"{"reset": true, "retention": {"keepDaily": 2}}"#), (true, 0, 0));
        assert_eq!(reset(r#"{"reset": false}"#), (false, 0, 0));
        assert_eq!(reset(r#"{"reset": "yes"}"#), (false, 1, 0));
    }
}
