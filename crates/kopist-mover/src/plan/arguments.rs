//! Additional arguments: flags of Kopia's snapshot and repository commands, joined
//! by the operator with a separator.
//!
//! The reference hands every flag to every command, so that one which only
//! `snapshot create` knows breaks the connection. Here each flag goes where it
//! belongs. Flags that the documentation offers though no Kopia has them get the
//! documented meaning for this run. Only names are ever shown.

use std::time::Duration;

use jiff::Timestamp;

use super::error::{Findings, PlanError};
use super::operation::Operation;
use super::policy::PolicyPatch;
use super::values;

/// What the operator puts between two arguments.
pub const SEPARATOR: &str = "|VOLSYNC_ARG_SEP|";

/// The arguments, each where it belongs.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Names of the flags given, for the log.
    pub names: Vec<String>,
    /// Flags of `snapshot create`.
    pub backup: BackupArguments,
    /// Flags of `snapshot restore`.
    pub restore: RestoreArguments,
    /// Flags of `repository connect` and `create`.
    pub repository: RepositoryArguments,
    /// Policy settings of this run, not stored.
    pub policy: PolicyPatch,
    /// Bytes per second to the repository.
    pub upload_speed: Option<u64>,
    /// Bytes per second from the repository.
    pub download_speed: Option<u64>,
    /// `--mover-<name>=<value>` pairs.
    pub settings: Vec<(String, String)>,
}

/// What `snapshot create` is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackupArguments {
    /// Description of the snapshot.
    pub description: String,
    /// `key:value` tags.
    pub tags: Vec<(String, String)>,
    /// Pins that keep the snapshot from expiring.
    pub pins: Vec<String>,
    /// Stop at the first unreadable entry.
    pub fail_fast: Option<bool>,
    /// Files read at the same time.
    pub parallel: Option<usize>,
    /// Percentage of unchanged files to read nevertheless.
    pub force_hash: Option<f64>,
    /// Stop after so many megabytes.
    pub upload_limit_mb: Option<u64>,
    /// Time between checkpoints.
    pub checkpoint_interval: Option<Duration>,
    /// Start time to record.
    pub start_time: Option<Timestamp>,
    /// End time to record.
    pub end_time: Option<Timestamp>,
    /// Source path to record.
    pub override_source: Option<String>,
    /// Whether actions of policies run: enabled, disabled, or as configured.
    pub actions: Option<bool>,
}

/// What `snapshot restore` is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreArguments {
    /// Write into directories that exist.
    pub overwrite_directories: Option<bool>,
    /// Replace files that exist.
    pub overwrite_files: Option<bool>,
    /// Replace links that exist.
    pub overwrite_symlinks: Option<bool>,
    /// Leave holes where the data is zero.
    pub sparse: Option<bool>,
    /// Files written at the same time.
    pub parallel: Option<usize>,
    /// Leave owners alone.
    pub skip_owners: Option<bool>,
    /// Leave modes alone.
    pub skip_permissions: Option<bool>,
    /// Leave times alone.
    pub skip_times: Option<bool>,
    /// Go on when owner or mode cannot be set.
    pub ignore_permission_errors: Option<bool>,
    /// Go on after any failed entry.
    pub ignore_errors: Option<bool>,
    /// Leave entries alone that exist.
    pub skip_existing: Option<bool>,
    /// Remove what the snapshot does not have.
    pub delete_extra: Option<bool>,
    /// Owner of everything restored.
    pub uid: Option<u32>,
    /// Group of everything restored.
    pub gid: Option<u32>,
}

/// What `repository connect` and `create` are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryArguments {
    /// Hash of a new repository.
    pub hash: Option<String>,
    /// Encryption of a new repository.
    pub encryption: Option<String>,
    /// Splitter of a new repository.
    pub splitter: Option<String>,
    /// Error correction of a new repository.
    pub ecc: Option<String>,
    /// Its overhead in percent.
    pub ecc_overhead_percent: Option<u64>,
    /// Format version of a new repository.
    pub format_version: Option<u64>,
    /// Key derivation of a new repository.
    pub key_derivation: Option<String>,
    /// Limit of the content cache in megabytes.
    pub content_cache_limit_mb: Option<u64>,
    /// Limit of the metadata cache in megabytes.
    pub metadata_cache_limit_mb: Option<u64>,
    /// Whether actions of policies may run.
    pub enable_actions: Option<bool>,
}

const BACKUP: u8 = 1;
const RESTORE: u8 = 2;
const REPOSITORY: u8 = 4;

enum Effect {
    Switch(fn(&mut Arguments, bool)),
    Text(fn(&mut Arguments, String) -> Result<(), &'static str>),
    Number(fn(&mut Arguments, u64)),
    IgnoredSwitch,
    IgnoredValue,
    NotImplementedSwitch,
    NotImplementedValue,
}

struct Flag {
    scope: u8,
    name: &'static str,
    effect: Effect,
}

const fn flag(scope: u8, name: &'static str, effect: Effect) -> Flag {
    Flag { scope, name, effect }
}

use Effect::{
    IgnoredSwitch, IgnoredValue, NotImplementedSwitch, NotImplementedValue, Number, Switch, Text,
};

/// Sets an optional text.
macro_rules! text {
    ($($field:ident).+) => {
        Text(|a, v| {
            a.$($field).+ = Some(v);
            Ok(())
        })
    };
}

/// Sets an optional number or switch.
macro_rules! some {
    ($kind:ident, $($field:ident).+) => {
        $kind(|a, v| a.$($field).+ = Some(v))
    };
}

static FLAGS: &[Flag] = &[
    // snapshot create
    flag(
        BACKUP,
        "description",
        Text(|a, v| {
            a.backup.description = v;
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "tags",
        Text(|a, v| {
            let (key, value) = v.split_once(':').ok_or("<key>:<value>")?;
            a.backup.tags.push((key.to_owned(), value.to_owned()));
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "pin",
        Text(|a, v| {
            a.backup.pins.push(v);
            Ok(())
        }),
    ),
    flag(BACKUP, "fail-fast", some!(Switch, backup.fail_fast)),
    flag(
        BACKUP,
        "force-hash",
        Text(|a, v| {
            let percent: f64 = v.parse().map_err(|_| "a percentage")?;
            if !(0.0..=100.0).contains(&percent) {
                return Err("a percentage");
            }
            a.backup.force_hash = Some(percent);
            Ok(())
        }),
    ),
    flag(BACKUP, "upload-limit-mb", some!(Number, backup.upload_limit_mb)),
    flag(
        BACKUP,
        "checkpoint-interval",
        Text(|a, v| {
            let interval = values::duration(&v).ok_or("a duration such as 30m")?;
            a.backup.checkpoint_interval = Some(interval);
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "start-time",
        Text(|a, v| {
            a.backup.start_time = Some(time(&v)?);
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "end-time",
        Text(|a, v| {
            a.backup.end_time = Some(time(&v)?);
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "override-source",
        Text(|a, v| {
            if !v.starts_with('/') {
                return Err("an absolute path");
            }
            a.backup.override_source = Some(v);
            Ok(())
        }),
    ),
    flag(BACKUP, "force-enable-actions", Switch(|a, v| a.backup.actions = v.then_some(true))),
    flag(BACKUP, "force-disable-actions", Switch(|a, v| a.backup.actions = v.then_some(false))),
    flag(BACKUP, "flush-per-source", IgnoredSwitch),
    flag(BACKUP, "send-snapshot-report", IgnoredSwitch),
    flag(BACKUP, "json", IgnoredSwitch),
    flag(BACKUP, "json-indent", IgnoredSwitch),
    flag(BACKUP, "json-verbose", IgnoredSwitch),
    flag(BACKUP, "log-dir-detail", IgnoredValue),
    flag(BACKUP, "log-entry-detail", IgnoredValue),
    flag(BACKUP, "all", NotImplementedSwitch),
    flag(BACKUP, "stdin-file", NotImplementedValue),
    // snapshot restore
    flag(RESTORE, "overwrite-directories", some!(Switch, restore.overwrite_directories)),
    flag(RESTORE, "overwrite-files", some!(Switch, restore.overwrite_files)),
    flag(RESTORE, "overwrite-symlinks", some!(Switch, restore.overwrite_symlinks)),
    flag(RESTORE, "write-sparse-files", some!(Switch, restore.sparse)),
    flag(RESTORE, "skip-owners", some!(Switch, restore.skip_owners)),
    flag(RESTORE, "skip-permissions", some!(Switch, restore.skip_permissions)),
    flag(RESTORE, "skip-times", some!(Switch, restore.skip_times)),
    flag(RESTORE, "ignore-permission-errors", some!(Switch, restore.ignore_permission_errors)),
    flag(RESTORE, "ignore-errors", some!(Switch, restore.ignore_errors)),
    flag(RESTORE, "skip-existing", some!(Switch, restore.skip_existing)),
    flag(RESTORE, "delete-extra", some!(Switch, restore.delete_extra)),
    flag(
        RESTORE,
        "mode",
        Text(|_, v| match v.as_str() {
            "auto" | "local" => Ok(()),
            _ => Err("auto or local"),
        }),
    ),
    // Files always appear complete under their name, and are always flushed.
    flag(RESTORE, "write-files-atomically", IgnoredSwitch),
    flag(RESTORE, "flush-files", IgnoredSwitch),
    flag(RESTORE, "consistent-attributes", NotImplementedSwitch),
    flag(RESTORE, "shallow", NotImplementedValue),
    flag(RESTORE, "shallow-minsize", NotImplementedValue),
    flag(RESTORE, "snapshot-time", NotImplementedValue),
    // both
    flag(
        BACKUP | RESTORE,
        "parallel",
        Number(|a, v| {
            let parallel = usize::try_from(v).ok().filter(|parallel| *parallel > 0);
            a.backup.parallel = parallel;
            a.restore.parallel = parallel;
        }),
    ),
    // repository connect and create
    flag(REPOSITORY, "block-hash", text!(repository.hash)),
    flag(REPOSITORY, "encryption", text!(repository.encryption)),
    flag(REPOSITORY, "object-splitter", text!(repository.splitter)),
    flag(REPOSITORY, "ecc", text!(repository.ecc)),
    flag(REPOSITORY, "ecc-overhead-percent", some!(Number, repository.ecc_overhead_percent)),
    flag(REPOSITORY, "format-version", some!(Number, repository.format_version)),
    flag(REPOSITORY, "format-block-key-derivation-algorithm", text!(repository.key_derivation)),
    flag(
        REPOSITORY,
        "content-cache-size-limit-mb",
        some!(Number, repository.content_cache_limit_mb),
    ),
    flag(
        REPOSITORY,
        "metadata-cache-size-limit-mb",
        some!(Number, repository.metadata_cache_limit_mb),
    ),
    flag(REPOSITORY, "enable-actions", some!(Switch, repository.enable_actions)),
    flag(REPOSITORY, "content-cache-size-mb", IgnoredValue),
    flag(REPOSITORY, "metadata-cache-size-mb", IgnoredValue),
    flag(REPOSITORY, "content-min-sweep-age", IgnoredValue),
    flag(REPOSITORY, "metadata-min-sweep-age", IgnoredValue),
    flag(REPOSITORY, "index-min-sweep-age", IgnoredValue),
    flag(REPOSITORY, "max-list-cache-duration", IgnoredValue),
    flag(REPOSITORY, "repository-format-cache-duration", IgnoredValue),
    flag(REPOSITORY, "check-for-updates", IgnoredSwitch),
    flag(REPOSITORY, "permissive-cache-loading", IgnoredSwitch),
    flag(REPOSITORY, "disable-repository-format-cache", IgnoredSwitch),
    flag(REPOSITORY, "readonly", NotImplementedSwitch),
    flag(REPOSITORY, "retention-mode", NotImplementedValue),
    flag(REPOSITORY, "retention-period", NotImplementedValue),
    // documented, though no Kopia has them: their meaning for this run
    flag(BACKUP, "one-file-system", Switch(|a, v| a.policy.set("files", "oneFileSystem", v))),
    flag(BACKUP, "ignore-cache-dirs", Switch(|a, v| a.policy.set("files", "ignoreCacheDirs", v))),
    flag(BACKUP, "exclude-caches", Switch(|a, v| a.policy.set("files", "ignoreCacheDirs", v))),
    flag(
        BACKUP,
        "ignore",
        Text(|a, v| {
            a.policy.append("files", "ignore", v);
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "exclude",
        Text(|a, v| {
            a.policy.append("files", "ignore", v);
            Ok(())
        }),
    ),
    flag(
        BACKUP,
        "compression",
        Text(|a, v| {
            let name = super::policy::compressor(&v).ok_or("a compression algorithm of Kopia")?;
            a.policy.set("compression", "compressorName", name);
            Ok(())
        }),
    ),
    flag(BACKUP | RESTORE, "upload-speed", some!(Number, upload_speed)),
    flag(BACKUP | RESTORE, "download-speed", some!(Number, download_speed)),
    flag(
        RESTORE,
        "override-uid",
        Text(|a, v| {
            a.restore.uid = Some(v.parse().map_err(|_| "a numeric user id")?);
            Ok(())
        }),
    ),
    flag(
        RESTORE,
        "override-gid",
        Text(|a, v| {
            a.restore.gid = Some(v.parse().map_err(|_| "a numeric group id")?);
            Ok(())
        }),
    ),
    flag(BACKUP | RESTORE, "progress-interval", IgnoredValue),
    flag(BACKUP | RESTORE, "progress", IgnoredSwitch),
    flag(BACKUP | RESTORE, "block-size", IgnoredValue),
    flag(BACKUP | RESTORE, "read-buffer-size", IgnoredValue),
    flag(BACKUP | RESTORE, "ignore-inode-changes", IgnoredSwitch),
    flag(BACKUP | RESTORE, "skip-verification", IgnoredSwitch),
    flag(BACKUP | RESTORE, "verbose", IgnoredSwitch),
];

/// What the operator alone decides, and every flag that carries a credential.
const FORBIDDEN: &[&str] = &[
    "password",
    "config-file",
    "config",
    "repository",
    "cache-directory",
    "log-dir",
    "override-username",
    "override-hostname",
    "access-key",
    "secret-access-key",
    "session-token",
    "storage-account",
    "storage-key",
    "sas-token",
    "tenant-id",
    "client-id",
    "client-secret",
    "credentials-file",
    "embed-credentials",
    "key-id",
    "key",
    "keyfile",
    "key-data",
    "sftp-password",
    "webdav-username",
    "webdav-password",
    "known-hosts",
    "known-hosts-data",
    "rclone-config",
    "embed-rclone-config",
];

fn time(text: &str) -> Result<Timestamp, &'static str> {
    // Kopia's own form for these two flags is UTC without a zone.
    text.parse()
        .ok()
        .or_else(|| {
            let civil: jiff::civil::DateTime =
                text.strip_suffix(" UTC").unwrap_or(text).parse().ok()?;
            Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        })
        .ok_or("a time such as 2024-01-31T10:00:00Z")
}

/// Parses the joined arguments for one kind of run.
pub(super) fn parse(joined: &str, operation: Operation, findings: &mut Findings) -> Arguments {
    let mut arguments = Arguments::default();
    let mut items = joined.split(SEPARATOR).map(str::trim).filter(|item| !item.is_empty());
    while let Some(item) = items.next() {
        let result = parse_one(item, &mut items, operation, &mut arguments, findings);
        findings.ok(result);
    }
    arguments
}

fn parse_one<'a>(
    item: &'a str,
    rest: &mut impl Iterator<Item = &'a str>,
    operation: Operation,
    arguments: &mut Arguments,
    findings: &mut Findings,
) -> Result<(), PlanError> {
    let (name, value) = match item.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (item, None),
    };
    let Some(bare) = name.strip_prefix("--") else {
        return Err(PlanError::UnknownArgument(values::excerpt(name)));
    };
    let shown = || values::excerpt(name);
    if FORBIDDEN.contains(&bare) {
        return Err(PlanError::ForbiddenArgument(shown()));
    }
    if let Some(setting) = bare.strip_prefix("mover-") {
        let value = value
            .or_else(|| rest.next())
            .ok_or_else(|| PlanError::ArgumentValueMissing(shown()))?;
        arguments.names.push(shown());
        arguments.settings.push((setting.to_owned(), value.to_owned()));
        return Ok(());
    }
    let scope = match operation {
        Operation::Backup => BACKUP | REPOSITORY,
        Operation::Restore => RESTORE | REPOSITORY,
        // They have none of their own; what the Secret gives to others must not stop them.
        Operation::Maintenance
        | Operation::Verify
        | Operation::TestRestore
        | Operation::Replicate => BACKUP | RESTORE | REPOSITORY,
    };
    let find = |name: &str| FLAGS.iter().find(|flag| flag.name == name && flag.scope & scope != 0);
    let (flag, positive) = match (find(bare), bare.strip_prefix("no-").and_then(find)) {
        (Some(flag), _) => (flag, true),
        (None, Some(flag)) => (flag, false),
        (None, None) => return Err(PlanError::UnknownArgument(shown())),
    };
    let takes_value =
        matches!(flag.effect, Text(_) | Number(_) | IgnoredValue | NotImplementedValue);
    if takes_value && !positive {
        return Err(PlanError::UnknownArgument(shown()));
    }
    if !takes_value && value.is_some() {
        return Err(PlanError::ArgumentValueUnexpected(shown()));
    }
    arguments.names.push(shown());
    let mut needed = || {
        value
            .or_else(|| rest.next())
            .map(str::to_owned)
            .ok_or_else(|| PlanError::ArgumentValueMissing(shown()))
    };
    let bad = |expected| PlanError::BadValue {
        name: format!("additional argument {}", shown()),
        expected,
    };
    match flag.effect {
        Switch(set) => set(arguments, positive),
        Text(set) => set(arguments, needed()?).map_err(bad)?,
        Number(set) => {
            let number = needed()?.parse();
            set(arguments, number.map_err(|_| bad("a whole number, 0 or more"))?);
        }
        IgnoredSwitch => remark(findings, name),
        IgnoredValue => {
            needed()?;
            remark(findings, name);
        }
        NotImplementedSwitch | NotImplementedValue => {
            return Err(PlanError::ArgumentNotImplemented(shown()));
        }
    }
    Ok(())
}

fn remark(findings: &mut Findings, name: &str) {
    findings.notice(format!("additional argument {name} has no effect"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(items: &[&str]) -> (Arguments, Findings) {
        let mut findings = Findings::default();
        let arguments = parse(&items.join(SEPARATOR), Operation::Backup, &mut findings);
        (arguments, findings)
    }

    #[test]
    fn only_the_whole_separator_separates() {
        let (arguments, findings) = backup(&["--description=A_C|V hello", "--fail-fast"]);
        assert_eq!(arguments.backup.description, "A_C|V hello");
        assert_eq!(arguments.backup.fail_fast, Some(true));
        assert_eq!(arguments.names, ["--description", "--fail-fast"]);
        assert!(findings.errors.is_empty());
    }

    #[test]
    fn values_may_stand_apart_and_switches_may_be_negated() {
        let (arguments, findings) = backup(&["--parallel", "3", "--no-fail-fast", "--tags=a:b:c"]);
        assert_eq!(arguments.backup.parallel, Some(3));
        assert_eq!(arguments.backup.fail_fast, Some(false));
        assert_eq!(arguments.backup.tags, [("a".into(), "b:c".into())]);
        assert!(findings.errors.is_empty());
    }

    #[test]
    fn every_wrong_argument_is_named_without_its_value() {
        let cases = [
            ("--no-such-flag=SECRET1", "unknown additional argument --no-such-flag"),
            ("--password=SECRET1", "--password is not allowed"),
            ("--key=SECRET1", "--key is not allowed"),
            ("--parallel=SECRET1", "--parallel must be a whole number"),
            ("--fail-fast=true", "--fail-fast takes no value"),
            ("--description", "--description needs a value"),
            ("--skip-owners", "unknown additional argument --skip-owners"),
            ("--stdin-file=x", "--stdin-file is not implemented"),
            ("SECRET1", "unknown additional argument"),
            ("--no-description=x", "unknown additional argument --no-description"),
        ];
        for (item, expected) in cases {
            let (_, findings) = backup(&[item]);
            let shown: Vec<String> = findings.errors.iter().map(ToString::to_string).collect();
            assert_eq!(shown.len(), 1, "{item}");
            assert!(shown[0].contains(expected), "{item}: {shown:?}");
            assert!(item == "SECRET1" || !shown[0].contains("SECRET1"), "{item}: {shown:?}");
        }
    }

    #[test]
    fn documented_policy_flags_become_settings_of_the_run() {
        let (arguments, findings) = backup(&[
            "--one-file-system",
            "--ignore-cache-dirs",
            "--ignore=*.log",
            "--exclude=*.tmp",
            "--compression=s2",
        ]);
        assert!(findings.errors.is_empty(), "{:?}", findings.errors);
        assert_eq!(
            arguments.policy.to_value(),
            serde_json::json!({
                "files": {"oneFileSystem": true, "ignoreCacheDirs": true, "ignore": ["*.log", "*.tmp"]},
                "compression": {"compressorName": "s2-default"},
            })
        );
    }

    #[test]
    fn flags_without_effect_are_remarked_upon() {
        let (_, findings) = backup(&["--progress-interval=3s", "--no-progress", "--verbose"]);
        assert!(findings.errors.is_empty());
        assert_eq!(findings.notices.len(), 3);
    }

    #[test]
    fn settings_of_the_mover_and_of_the_repository() {
        let (arguments, findings) = backup(&["--mover-jitter=30s", "--block-hash=BLAKE3-256"]);
        assert!(findings.errors.is_empty());
        assert_eq!(arguments.settings, [("jitter".into(), "30s".into())]);
        assert_eq!(arguments.repository.hash.as_deref(), Some("BLAKE3-256"));
    }

    #[test]
    fn times_in_both_forms() {
        let (arguments, findings) =
            backup(&["--start-time=2024-01-01 10:00:00", "--end-time=2024-01-01T12:00:00+01:00"]);
        assert!(findings.errors.is_empty(), "{:?}", findings.errors);
        assert_eq!(arguments.backup.start_time, "2024-01-01T10:00:00Z".parse().ok());
        assert_eq!(arguments.backup.end_time, "2024-01-01T11:00:00Z".parse().ok());
    }
}
