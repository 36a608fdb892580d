//! The two JSON documents among the variables: `KOPIA_MANUAL_CONFIG` (how to create
//! a repository) and `KOPIA_STRUCTURED_REPOSITORY_CONFIG` (where it is).

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::arguments::RepositoryArguments;
use super::error::{Findings, PlanError, Step};
use super::names;
use super::policy::{PolicyPatch, RepositoryFile, compressor};
use super::storage::Storage;
use crate::env::Env;

/// How a new repository is made. `None` means Kopia's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Creation {
    /// Hash algorithm.
    pub hash: Option<String>,
    /// Encryption algorithm.
    pub encryption: Option<String>,
    /// Splitter.
    pub splitter: Option<String>,
    /// Error correction algorithm.
    pub ecc: Option<String>,
    /// Overhead of the error correction in percent.
    pub ecc_overhead_percent: Option<u64>,
    /// Format version.
    pub format_version: Option<u64>,
    /// Key derivation of the password.
    pub key_derivation: Option<String>,
}

/// `KOPIA_MANUAL_CONFIG`, read.
#[derive(Debug, Default)]
pub(super) struct ManualConfig {
    pub(super) creation: Creation,
    /// Becomes part of the global policy of a new repository; where nothing else speaks about
    /// compression, it counts for the run.
    pub(super) policy: PolicyPatch,
    pub(super) max_cache_size: Option<u64>,
    pub(super) settings: Map<String, Value>,
}

/// `KOPIA_STRUCTURED_REPOSITORY_CONFIG`, read.
#[derive(Debug, Default)]
pub(super) struct StructuredConfig {
    pub(super) storage: Option<Storage>,
    pub(super) max_cache_size: Option<u64>,
}

fn document(
    env: &Env,
    variable: &'static str,
    findings: &mut Findings,
) -> Option<Map<String, Value>> {
    let text = env.text(variable)?;
    let parsed = super::json_object(text.as_bytes())
        .map_err(|problem| PlanError::InvalidJson { variable, problem });
    findings.ok(parsed)
}

/// Reads the manual configuration.
pub(super) fn manual(env: &Env, findings: &mut Findings) -> ManualConfig {
    const NAME: &str = "KOPIA_MANUAL_CONFIG";
    let mut manual = ManualConfig::default();
    let Some(document) = document(env, NAME, findings) else {
        return manual;
    };
    let text = |section: &str, key: &str| {
        let value = document.get(section)?.get(key)?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let number = |section: &str, key: &str| document.get(section)?.get(key)?.as_u64();
    manual.creation = Creation {
        hash: text("hash", "algorithm"),
        encryption: text("encryption", "algorithm"),
        splitter: text("splitter", "algorithm"),
        ecc: text("ecc", "algorithm"),
        ecc_overhead_percent: number("ecc", "overheadPercent"),
        ..Creation::default()
    };
    manual.max_cache_size = number("caching", "maxCacheSize").filter(|bytes| *bytes > 0);
    let compression = ["algorithm", "compressor", "compressorName"];
    if let Some(name) = compression.iter().find_map(|key| text("compression", key)) {
        match compressor(&name) {
            Some(name) => manual.policy.set("compression", "compressorName", name),
            None => findings
                .object(Step::Create, unknown_compressor(format!("{NAME} (compression)"), &name)),
        }
    }
    for key in ["minSize", "maxSize"] {
        if let Some(bytes) = number("compression", key) {
            manual.policy.set("compression", key, bytes);
        }
    }
    if let Some(Value::Object(settings)) = document.get("kopist") {
        manual.settings.clone_from(settings);
    }
    let known = ["hash", "encryption", "splitter", "ecc", "caching", "compression", "kopist"];
    remark_unknown(NAME, &document, &known, findings);
    manual
}

/// Reads the structured configuration. Only where the repository is and how large
/// the cache may be come from it; identity and policies have their own variables.
pub(super) fn structured(env: &Env, findings: &mut Findings) -> StructuredConfig {
    const NAME: &str = "KOPIA_STRUCTURED_REPOSITORY_CONFIG";
    let mut structured = StructuredConfig::default();
    let Some(document) = document(env, NAME, findings) else {
        return structured;
    };
    structured.max_cache_size = document
        .get("caching")
        .and_then(|caching| caching.get("maxCacheSize"))
        .and_then(Value::as_u64)
        .filter(|bytes| *bytes > 0);
    if let Some(storage) = document.get("storage") {
        let kind = storage.get("type").and_then(Value::as_str);
        let config = storage.get("config").filter(|config| config.is_object());
        match (kind, config) {
            (Some(kind), Some(config)) => {
                structured.storage = Some(Storage::Given {
                    kind: kind.to_owned(),
                    config: SecretString::from(config.to_string()),
                });
            }
            _ => findings.notice(format!(
                "{NAME}: storage needs a \"type\" and a \"config\" object; it is left out"
            )),
        }
    }
    // What a connection file of Kopia holds besides; the variables decide these.
    let known = [
        "storage",
        "caching",
        "hostname",
        "username",
        "description",
        "enableActions",
        "readonly",
        "formatBlobCacheDuration",
        "permissiveCacheLoading",
        "throttlingLimits",
    ];
    remark_unknown(NAME, &document, &known, findings);
    structured
}

fn remark_unknown(
    variable: &str,
    document: &Map<String, Value>,
    known: &[&str],
    findings: &mut Findings,
) {
    let unknown: Vec<&str> =
        document.keys().map(String::as_str).filter(|key| !known.contains(key)).collect();
    if !unknown.is_empty() {
        findings.notice(format!("{variable}: {} has no effect", unknown.join(", ")));
    }
}

/// Joins the places that speak about creation; additional arguments go first, then
/// the manual configuration, then `repository.config`. Unknown names are refused
/// when a repository is created, not before: they never mattered to one that exists.
pub(super) fn creation(
    manual: &Creation,
    file: Option<&RepositoryFile>,
    arguments: &RepositoryArguments,
    findings: &mut Findings,
) -> Creation {
    let pick = |argument: &Option<String>, manual: &Option<String>, file: Option<&String>| {
        argument.clone().or_else(|| manual.clone()).or_else(|| file.cloned())
    };
    let creation = Creation {
        hash: pick(&arguments.hash, &manual.hash, file.and_then(|file| file.hash.as_ref())),
        encryption: pick(
            &arguments.encryption,
            &manual.encryption,
            file.and_then(|file| file.encryption.as_ref()),
        ),
        splitter: pick(&arguments.splitter, &manual.splitter, None),
        ecc: pick(&arguments.ecc, &manual.ecc, file.and_then(|file| file.ecc.as_ref())),
        ecc_overhead_percent: arguments
            .ecc_overhead_percent
            .or(manual.ecc_overhead_percent)
            .or_else(|| file.and_then(|file| file.ecc_overhead_percent)),
        format_version: arguments.format_version,
        key_derivation: arguments.key_derivation.clone(),
    };
    for (kind, name, known) in [
        ("hash", &creation.hash, names::hashes()),
        ("encryption", &creation.encryption, names::encryptions()),
        ("splitter", &creation.splitter, names::splitters()),
        ("error correction", &creation.ecc, names::error_corrections()),
        ("key derivation", &creation.key_derivation, names::key_derivations()),
    ] {
        if let Some(name) = name
            && !known.contains(&name.as_str())
        {
            findings.object(
                Step::Create,
                PlanError::UnknownAlgorithm {
                    name: "the configuration of a new repository".to_owned(),
                    value: super::values::excerpt(name),
                    kind,
                    known: known.join(", "),
                },
            );
        }
    }
    creation
}

/// The error for a compressor that the format does not have.
pub(super) fn unknown_compressor(name: String, value: &str) -> PlanError {
    PlanError::UnknownAlgorithm {
        name,
        value: super::values::excerpt(value),
        kind: "compression",
        known: names::compressors().join(", "),
    }
}
