//! From environment to plan: a pure function.
//!
//! [`plan`] reads the variables, the mounted files and the limits of the pod, and
//! answers with a typed [`MoverPlan`] or with every error it found. Nothing is
//! touched: no file is written, no store is asked. What the plan says is what
//! `run` does; behind it there are no variables and no texts to interpret.
//!
//! | module | what it decides |
//! | --- | --- |
//! | `operation` | backup, restore or maintenance |
//! | `storage` | where the repository is |
//! | `configuration` | how a new one would be made; the two JSON documents |
//! | `identity` | whose snapshots, under which path |
//! | `cache` | how large the cache may grow |
//! | `policy` | what the policy files and fields state |
//! | `arguments` | flags of Kopia, each where it belongs |
//! | `checks` | verification, test restores, copies |
//! | `settings` | switches of this program |
//! | `telemetry` | where the run reports to |
//! | `mistakes` | values that look like a slip |
//! | `show` | the plan as text, without secrets |

mod arguments;
mod ca;
mod cache;
mod checks;
mod configuration;
mod error;
mod identity;
mod mistakes;
mod names;
mod operation;
mod policy;
mod settings;
mod show;
mod storage;
mod telemetry;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod values;

pub use values::duration;

pub use arguments::{Arguments, BackupArguments, RepositoryArguments, RestoreArguments, SEPARATOR};
pub use cache::{CachePlan, DEFAULT_CAPACITY};
pub use checks::{ReplicatePlan, SourcePattern, TARGET_PREFIX, TestRestorePlan, VerifyPlan};
pub use configuration::Creation;
pub use error::{Notice, Objection, PlanError, Step};
pub use identity::Identity;
pub use operation::{Dispatch, Operation, dispatch};
pub use policy::{FileProblem, GlobalPolicyFile, MountedPolicies, PolicyPatch, RepositoryFile};
pub use storage::{PathOrContent, S3Keys, Storage};
pub use telemetry::{Address, MetricsTarget, Notify, TelemetryPlan};

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::env::Env;
use crate::probe::Probe;
use error::Findings;
use settings::Settings;

/// Everything that one run does, decided.
#[derive(Debug, Clone)]
pub struct MoverPlan {
    /// What to do.
    pub work: Work,
    /// How the summary calls it.
    pub label: String,
    /// The repository's password.
    pub password: SecretString,
    /// Places of the repository, in the order in which they are tried; the second
    /// one counts only if the first holds no repository. Never empty.
    pub storage: Vec<Storage>,
    /// Further root certificates (PEM).
    pub root_ca: Option<Vec<u8>>,
    /// How a new repository would be made.
    pub creation: Creation,
    /// Part of the global policy of a new repository.
    pub creation_policy: PolicyPatch,
    /// Who runs this.
    pub identity: Identity,
    /// The path under which snapshots are stored and looked up.
    pub source_path: String,
    /// Whether that path was given.
    pub source_path_given: bool,
    /// The cache.
    pub cache: CachePlan,
    /// The mounted policy files.
    pub policies: MountedPolicies,
    /// Mode of new files of a filesystem repository; `None` lets its directory decide.
    pub fs_mode: Option<u32>,
    /// Whether the log is to be in JSON.
    pub log_json: bool,
    /// Bytes per second to the repository.
    pub upload_speed: Option<u64>,
    /// Bytes per second from the repository.
    pub download_speed: Option<u64>,
    /// The longest wait before the store is asked for anything.
    pub jitter: Option<Duration>,
    /// Threads for work that needs the processor.
    pub cpus: usize,
    /// Memory limit of the container.
    pub memory_limit: Option<u64>,
    /// Where the run reports to.
    pub telemetry: TelemetryPlan,
    /// Names of the additional arguments.
    pub argument_names: Vec<String>,
    /// Errors that count when a later step is reached.
    pub objections: Vec<Objection>,
    /// What is accepted, though not as its author may think.
    pub notices: Vec<Notice>,
}

/// The kinds of work with what only they need.
#[derive(Debug, Clone)]
pub enum Work {
    /// Save the data directory.
    Backup(Box<BackupPlan>),
    /// Fill the data directory.
    Restore(RestorePlan),
    /// Look after the repository.
    Maintenance(MaintenancePlan),
    /// See whether all snapshots could be restored.
    Verify(VerifyPlan),
    /// Restore the newest snapshots, for the sake of it.
    TestRestore(TestRestorePlan),
    /// Copy the repository to a second place.
    Replicate(Box<ReplicatePlan>),
}

impl Work {
    /// What it is.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Backup(_) => Operation::Backup,
            Self::Restore(_) => Operation::Restore,
            Self::Maintenance(_) => Operation::Maintenance,
            Self::Verify(_) => Operation::Verify,
            Self::TestRestore(_) => Operation::TestRestore,
            Self::Replicate(_) => Operation::Replicate,
        }
    }
}

/// A backup.
#[derive(Debug, Clone)]
pub struct BackupPlan {
    /// What to save.
    pub data_dir: PathBuf,
    /// Compression of the source, if one is asked for.
    pub compression: Option<String>,
    /// Retention of the source, as stated.
    pub retention: PolicyPatch,
    /// Policy settings of this run only.
    pub run_policy: PolicyPatch,
    /// Flags.
    pub arguments: BackupArguments,
    /// Files read at the same time; `None` leaves it to the policy.
    pub parallel: Option<usize>,
    /// What runs before and after.
    pub hooks: Hooks,
    /// Full maintenance follows if the last one is so long ago.
    pub maintenance_after: Option<Duration>,
}

/// Commands around a backup or a restore.
#[derive(Debug, Clone)]
pub struct Hooks {
    /// Whether any of them runs.
    pub enabled: bool,
    /// Shell text to run before; its failure stops the run.
    pub before: Option<SecretString>,
    /// Shell text to run after; its failure is reported.
    pub after: Option<SecretString>,
    /// Time limit of each.
    pub timeout: Duration,
}

/// A restore.
#[derive(Debug, Clone)]
pub struct RestorePlan {
    /// What to fill.
    pub data_dir: PathBuf,
    /// Which snapshot.
    pub selection: Selection,
    /// Empty the directory once a snapshot is chosen.
    pub delete_first: bool,
    /// Print what there is when nothing fits.
    pub discover: bool,
    /// Nothing to restore is a failure.
    pub required: bool,
    /// Flags.
    pub arguments: RestoreArguments,
    /// Files written at the same time.
    pub parallel: Option<usize>,
    /// What runs before the destination is touched, and after it is filled.
    pub hooks: Hooks,
}

/// Which of the snapshots of a source, newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only those started at this instant or before.
    pub as_of: Option<Timestamp>,
    /// Skip so many.
    pub previous: u64,
    /// Consider so many after the skipped ones.
    pub shallow: Option<u64>,
}

/// Maintenance.
#[derive(Debug, Clone)]
pub struct MaintenancePlan {
    /// Whether ownership is taken from another owner.
    pub take_over: bool,
    /// How many of a hundred tasks that change indexes are checked before and after.
    pub check_percent: f64,
    /// What follows.
    pub after: Vec<Work>,
}

impl MoverPlan {
    /// What to do.
    pub fn operation(&self) -> Operation {
        self.work.operation()
    }

    /// `user@host:path`
    pub fn source(&self) -> String {
        format!("{}@{}:{}", self.identity.username, self.identity.hostname, self.source_path)
    }

    /// The errors that count at this step.
    pub fn objections_to(&self, step: Step) -> impl Iterator<Item = &PlanError> {
        self.objections
            .iter()
            .filter(move |objection| objection.step == step)
            .map(|objection| &objection.error)
    }
}

/// Time limit of a hook unless `repository.config` says otherwise.
const HOOK_TIMEOUT: Duration = Duration::from_mins(5);

/// The errors, each with its exit status, and the notices found on the way.
#[derive(Debug)]
pub struct Refusal {
    /// What is wrong, in the order in which it was found; never empty.
    pub errors: Vec<PlanError>,
    /// What else was noticed.
    pub notices: Vec<Notice>,
    /// The operation and its label, as far as they are known.
    pub dispatch: Option<Dispatch>,
    /// What a report of the refusal needs.
    pub known: Box<Known>,
}

/// What is known although the rest is wrong: enough to tell somebody.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Where the run reports to.
    pub telemetry: TelemetryPlan,
    /// User, host and path of the source.
    pub source: Option<[String; 3]>,
    /// Further root certificates (PEM).
    pub root_ca: Option<Vec<u8>>,
}

impl Refusal {
    /// The exit status of the run.
    pub fn exit_code(&self) -> u8 {
        self.errors.iter().map(PlanError::exit_code).max().unwrap_or(1)
    }
}

/// Decides what a run with these arguments, in this environment, does.
pub fn plan(args: &[String], env: &Env, probe: &dyn Probe) -> Result<MoverPlan, Refusal> {
    let mut findings = Findings::default();
    let dispatch = match dispatch(args, env) {
        Ok(dispatch) => dispatch,
        Err(error) => {
            return Err(Refusal {
                errors: vec![error],
                notices: Vec::new(),
                dispatch: None,
                known: Box::default(),
            });
        }
    };
    match decide(&dispatch, env, probe, &mut findings) {
        Some(mut plan) if findings.errors.is_empty() => {
            plan.objections = findings.objections;
            plan.notices = findings.notices;
            Ok(plan)
        }
        _ => Err(Refusal {
            errors: findings.errors,
            notices: findings.notices,
            dispatch: Some(dispatch),
            known: Box::new(findings.known),
        }),
    }
}

/// `None` always comes with an error among the findings.
fn decide(
    dispatch: &Dispatch,
    env: &Env,
    probe: &dyn Probe,
    findings: &mut Findings,
) -> Option<MoverPlan> {
    let operation = dispatch.operation;
    for name in env.not_text() {
        if crate::variables::variable(name).is_some() {
            findings.error(PlanError::NotText(name.to_owned()));
        }
    }

    // The first four checks in the order in which the reference makes them.
    let password = env.secret("KOPIA_PASSWORD");
    if password.is_none() {
        findings.error(PlanError::PasswordMissing);
    }
    let data_dir = data_dir(env, probe, operation, findings);

    let policies = policy::read_mounted(env, probe);
    let repository_file = policies.repository.as_ref();
    let joined = env.text("KOPIA_ADDITIONAL_ARGS").unwrap_or_default();
    let mut arguments = arguments::parse(joined, operation, findings);
    let manual = configuration::manual(env, findings);
    let structured = configuration::structured(env, findings);
    let creation =
        configuration::creation(&manual.creation, repository_file, &arguments.repository, findings);
    let settings = Settings {
        arguments: &arguments.settings,
        env,
        repository_file: repository_file.map(|file| &file.settings),
        manual: Some(&manual.settings),
    };
    settings.remark_unknown(findings);
    let telemetry = telemetry::telemetry(&settings, env, probe, findings);
    findings.known.telemetry = telemetry.clone();
    let identity = identity::identity(env, probe, operation, findings);
    mistakes::remark(env, findings);
    let fs_mode = settings.mode("fsMode", findings);
    let log_json =
        settings.word("logFormat", &["json", "text"], "json, text", findings) == Some("json");

    let cache = cache::cache(
        env,
        probe,
        cache::OtherLimits {
            total: structured.max_cache_size.or(manual.max_cache_size),
            metadata_mb: arguments.repository.metadata_cache_limit_mb,
            content_mb: arguments.repository.content_cache_limit_mb,
        },
        findings,
    );
    if !usable(&cache.dir, probe) {
        findings.error(PlanError::CacheNotWritable(cache.dir.clone()));
    }

    let root_ca = ca::custom_ca(env, probe, findings);
    findings.known.root_ca.clone_from(&root_ca);
    let storage = places(env, probe, structured.storage, root_ca.as_deref(), findings);
    let source_path = identity::source_path(
        env,
        data_dir.as_deref().unwrap_or("/data"),
        operation,
        arguments.backup.override_source.as_deref(),
        findings,
    );
    if operation.has_source() {
        let Identity { username, hostname, .. } = identity.clone();
        findings.known.source = Some([username, hostname, source_path.clone()]);
    }
    let parallel = values::number(env, "KOPIA_PARALLELISM", findings)
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0);

    let looks = Looks {
        settings: &settings,
        env,
        probe,
        root_ca: root_ca.as_deref(),
        storage: storage.as_deref().unwrap_or_default(),
        parallel,
    };
    let work = match operation {
        Operation::Backup => Work::Backup(Box::new(BackupPlan {
            data_dir: PathBuf::from(data_dir.as_deref().unwrap_or_default()),
            compression: compression(env, findings),
            retention: retention(env, findings),
            run_policy: std::mem::take(&mut arguments.policy),
            parallel: arguments
                .backup
                .parallel
                .or(parallel)
                .or_else(|| repository_file?.upload_parallelism),
            hooks: hooks(env, repository_file, &arguments, operation, findings),
            maintenance_after: maintenance_after(env, findings),
            arguments: std::mem::take(&mut arguments.backup),
        })),
        Operation::Restore => Work::Restore(RestorePlan {
            data_dir: PathBuf::from(data_dir.as_deref().unwrap_or_default()),
            selection: selection(env, findings),
            delete_first: values::switch(env, "KOPIA_ENABLE_FILE_DELETION", false, findings),
            discover: values::switch(env, "KOPIA_DISCOVER_SNAPSHOTS", false, findings),
            required: settings
                .word("restoreRequire", &["true", "false"], "true, false", findings)
                .is_some_and(|word| word == "true"),
            parallel: arguments
                .restore
                .parallel
                .or(parallel)
                .or_else(|| policies.global.as_ref()?.download_parallelism)
                .or_else(|| repository_file?.download_parallelism),
            hooks: hooks(env, repository_file, &arguments, operation, findings),
            arguments: std::mem::take(&mut arguments.restore),
        }),
        Operation::Maintenance => Work::Maintenance(MaintenancePlan {
            take_over: settings.word(
                "maintenanceTakeover",
                &["always", "never"],
                "always, never",
                findings,
            ) != Some("never"),
            check_percent: check_percent(env, findings),
            after: checks::after_maintenance(&settings, findings)
                .into_iter()
                .filter_map(|operation| looks.plan(operation, findings))
                .collect(),
        }),
        Operation::Verify | Operation::TestRestore | Operation::Replicate => {
            looks.plan(operation, findings)?
        }
    };
    let speed = |variable, findings: &mut Findings| {
        values::number(env, variable, findings).filter(|speed| *speed > 0)
    };
    let upload_speed = arguments
        .upload_speed
        .or(speed("KOPIA_UPLOAD_SPEED", findings))
        .or_else(|| repository_file?.upload_speed);
    let download_speed = arguments
        .download_speed
        .or(speed("KOPIA_DOWNLOAD_SPEED", findings))
        .or_else(|| repository_file?.download_speed);

    // People wait for a restore.
    let jitter = settings.duration("jitter", findings).filter(|_| operation != Operation::Restore);

    Some(MoverPlan {
        work,
        label: dispatch.label.clone(),
        password: password?,
        storage: storage?,
        root_ca,
        creation,
        creation_policy: manual.policy,
        identity,
        source_path,
        source_path_given: env.is_set("KOPIA_SOURCE_PATH_OVERRIDE"),
        cache,
        policies,
        fs_mode,
        log_json,
        upload_speed,
        download_speed,
        jitter,
        cpus: probe.cpus(),
        memory_limit: probe.memory_limit(),
        telemetry,
        argument_names: arguments.names,
        objections: Vec::new(),
        notices: Vec::new(),
    })
}

/// What the operations that the operator does not know are planned from.
struct Looks<'a> {
    settings: &'a Settings<'a>,
    env: &'a Env,
    probe: &'a dyn Probe,
    root_ca: Option<&'a [u8]>,
    storage: &'a [Storage],
    parallel: Option<usize>,
}

impl Looks<'_> {
    /// `None` comes with an error among the findings, or is no such operation.
    fn plan(&self, operation: Operation, findings: &mut Findings) -> Option<Work> {
        match operation {
            Operation::Verify => Some(Work::Verify(checks::verify(self.settings, findings))),
            Operation::TestRestore => {
                let plan = checks::test_restore(self.settings, self.probe, findings);
                Some(Work::TestRestore(plan))
            }
            Operation::Replicate => {
                let Self { settings, env, probe, root_ca, storage, parallel } = *self;
                let plan =
                    checks::replicate(settings, env, probe, root_ca, storage, parallel, findings)?;
                Some(Work::Replicate(Box::new(plan)))
            }
            Operation::Backup | Operation::Restore | Operation::Maintenance => None,
        }
    }
}

/// Kopia reads this variable of a maintenance job, and goes on without it when it is no number.
fn check_percent(env: &Env, findings: &mut Findings) -> f64 {
    const NAME: &str = "KOPIA_MAINTENANCE_CONTENT_VERIFY_PERCENTAGE";
    let Some(text) = env.text(NAME) else { return 0.0 };
    values::percent(text).unwrap_or_else(|| {
        findings.notice(format!("{NAME} is no number from 0 to 100; nothing is checked"));
        0.0
    })
}

/// A directory that can be written to, or made.
fn usable(dir: &Path, probe: &dyn Probe) -> bool {
    probe.may_write(dir)
        || (!probe.is_dir(dir) && dir.parent().is_some_and(|parent| probe.may_write(parent)))
}

fn data_dir(
    env: &Env,
    probe: &dyn Probe,
    operation: Operation,
    findings: &mut Findings,
) -> Option<String> {
    if !operation.has_source() {
        return None; // named in its environment, not mounted
    }
    let Some(dir) = env.text("DATA_DIR") else {
        findings.error(PlanError::DataDirMissing);
        return None;
    };
    if !probe.is_dir(Path::new(dir)) {
        findings.error(PlanError::DataDirNotFound(PathBuf::from(dir)));
        return Some(dir.to_owned());
    }
    if operation == Operation::Restore {
        return Some(dir.to_owned());
    }
    let saved = identity::saved_directory(env, dir, findings);
    if !probe.is_dir(Path::new(&saved)) {
        findings.error(PlanError::SourcePathNotFound(PathBuf::from(&saved)));
    }
    Some(saved)
}

/// The places to try: the structured configuration first, then the variables.
fn places(
    env: &Env,
    probe: &dyn Probe,
    structured: Option<Storage>,
    root_ca: Option<&[u8]>,
    findings: &mut Findings,
) -> Option<Vec<Storage>> {
    let by_variables = match storage::resolve(env, probe, root_ca, findings) {
        Err(PlanError::NoRepository) if structured.is_some() => None,
        other => Some(findings.ok(other)?),
    };
    Some(structured.into_iter().chain(by_variables).collect())
}

fn compression(env: &Env, findings: &mut Findings) -> Option<String> {
    const NAME: &str = "KOPIA_COMPRESSION";
    let asked = env.text(NAME)?;
    let known = policy::compressor(asked);
    if known.is_none() {
        findings.object(
            Step::SourceCompression,
            configuration::unknown_compressor(NAME.to_owned(), asked),
        );
    }
    known
}

fn retention(env: &Env, findings: &mut Findings) -> PolicyPatch {
    let mut patch = PolicyPatch::default();
    for (variable, key) in [
        ("KOPIA_RETAIN_LATEST", "keepLatest"),
        ("KOPIA_RETAIN_HOURLY", "keepHourly"),
        ("KOPIA_RETAIN_DAILY", "keepDaily"),
        ("KOPIA_RETAIN_WEEKLY", "keepWeekly"),
        ("KOPIA_RETAIN_MONTHLY", "keepMonthly"),
        ("KOPIA_RETAIN_YEARLY", "keepAnnual"),
    ] {
        if let Some(count) = values::number(env, variable, findings) {
            patch.set("retention", key, count);
        }
    }
    patch
}

/// The commands around a run. For restores the documentation offers the names of backups.
fn hooks(
    env: &Env,
    file: Option<&RepositoryFile>,
    arguments: &Arguments,
    operation: Operation,
    findings: &mut Findings,
) -> Hooks {
    let by_variable = values::switch(env, "KOPIA_ACTIONS_ENABLED", true, findings);
    let by_file = file.and_then(|file| file.enable_actions);
    let by_argument = arguments.backup.actions.or(arguments.repository.enable_actions);
    let mut text = |restore: &'static str, backup: &'static str| {
        let names =
            if operation == Operation::Restore { &[restore, backup][..] } else { &[backup] };
        let (name, _) = env.first(names)?;
        if operation == Operation::Restore {
            findings.former(name, "its command runs around the restore");
        }
        env.raw(name).map(SecretString::from)
    };
    Hooks {
        enabled: by_argument.unwrap_or(by_variable && by_file.unwrap_or(true)),
        before: text("KOPIA_BEFORE_RESTORE", "KOPIA_BEFORE_SNAPSHOT"),
        after: text("KOPIA_AFTER_RESTORE", "KOPIA_AFTER_SNAPSHOT"),
        timeout: file.and_then(|file| file.action_timeout).unwrap_or(HOOK_TIMEOUT),
    }
}

/// The interval of maintenance that sources of earlier releases had.
fn maintenance_after(env: &Env, findings: &mut Findings) -> Option<Duration> {
    const NAME: &str = "KOPIA_MAINTENANCE_INTERVAL_DAYS";
    const DAY: u64 = 24 * 60 * 60;
    let days = values::number(env, NAME, findings).filter(|days| *days > 0)?;
    findings.former(NAME, "maintenance follows a backup when it is due");
    Some(Duration::from_secs(days.saturating_mul(DAY)))
}

fn selection(env: &Env, findings: &mut Findings) -> Selection {
    const AS_OF: &str = "KOPIA_RESTORE_AS_OF";
    let as_of = env.text(AS_OF).and_then(|text| {
        findings.ok(text.parse().map_err(|_| PlanError::BadTime { name: AS_OF.to_owned() }))
    });
    Selection {
        as_of,
        previous: values::number(env, "KOPIA_PREVIOUS", findings).unwrap_or(0),
        shallow: values::number(env, "KOPIA_SHALLOW", findings),
    }
}

/// Parses a JSON object; the error says where, never what.
fn json_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err("not an object".to_owned()),
        Err(error) => Err(format!("not JSON at line {}, column {}", error.line(), error.column())),
    }
}
