//! The operations that the operator does not know: looking after what was saved.
//!
//! They run from a plain CronJob with the same image and the repository's Secret, or after
//! maintenance.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kopist_snapshot::SourceInfo;
use secrecy::ExposeSecret;

use super::error::{Findings, PlanError};
use super::operation::Operation;
use super::settings::Settings;
use super::storage::{self, Storage};
use super::{ca, values};
use crate::env::Env;
use crate::probe::{Probe, fitting};

/// Whether all snapshots could be restored.
#[derive(Debug, Clone)]
pub struct VerifyPlan {
    /// Which sources; empty means all.
    pub sources: Vec<SourcePattern>,
    /// How many of a hundred files are read.
    pub percent: f64,
}

/// Restoring the newest snapshots, for the sake of it.
#[derive(Debug, Clone)]
pub struct TestRestorePlan {
    /// Which sources; empty means all.
    pub sources: Vec<SourcePattern>,
    /// How many of a hundred files are restored.
    pub percent: f64,
    /// Where to; `None` restores to nowhere.
    pub scratch: Option<PathBuf>,
}

/// Copying the repository to a second place.
#[derive(Debug, Clone)]
pub struct ReplicatePlan {
    /// Where to.
    pub target: Storage,
    /// Further root certificates (PEM) of the target.
    pub root_ca: Option<Vec<u8>>,
    /// Blobs on their way at once.
    pub parallel: usize,
    /// How many of a hundred copies are read back and compared.
    pub verify_percent: f64,
    /// Blobs that are not in the repository any more are deleted from the target when they have
    /// been there for so long.
    pub delete_after: Option<Duration>,
}

/// A source, or several: `user@host:path`, and each of the three may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePattern {
    user: Option<String>,
    host: Option<String>,
    path: Option<String>,
}

impl SourcePattern {
    fn parse(text: &str) -> Option<Self> {
        let (user, rest) = text.split_once('@')?;
        let (host, path) = rest.split_once(':').unwrap_or((rest, ""));
        let part = |text: &str| (!text.is_empty() && text != "*").then(|| text.to_owned());
        Some(Self { user: part(user), host: part(host), path: part(path) })
    }

    /// Whether the source is meant.
    pub fn matches(&self, source: &SourceInfo) -> bool {
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        fits(&self.user, &source.user_name)
            && fits(&self.host, &source.host)
            && fits(&self.path, &source.path)
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        write!(f, "{}@{}:{}", part(&self.user), part(&self.host), part(&self.path))
    }
}

/// How many of a hundred files `verify` reads unless it is set.
const VERIFY_PERCENT: f64 = 10.0;

pub(super) fn verify(settings: &Settings<'_>, findings: &mut Findings) -> VerifyPlan {
    VerifyPlan {
        sources: sources(settings, findings),
        percent: percent(settings, "verifyPercent", findings).unwrap_or(VERIFY_PERCENT),
    }
}

pub(super) fn test_restore(
    settings: &Settings<'_>,
    probe: &dyn Probe,
    findings: &mut Findings,
) -> TestRestorePlan {
    let scratch = settings.path("testRestoreDir", findings);
    if let Some(directory) = &scratch
        && !(probe.is_dir(directory) && probe.may_write(directory))
    {
        findings.error(PlanError::ScratchNotWritable(directory.clone()));
    }
    TestRestorePlan {
        sources: sources(settings, findings),
        percent: percent(settings, "testRestorePercent", findings).unwrap_or(100.0),
        scratch,
    }
}

fn sources(settings: &Settings<'_>, findings: &mut Findings) -> Vec<SourcePattern> {
    let Some((place, text)) = settings.get("sources") else { return Vec::new() };
    let words = text.split([',', ' ', '\n']).map(str::trim).filter(|word| !word.is_empty());
    let parsed: Option<Vec<SourcePattern>> = words.map(SourcePattern::parse).collect();
    parsed.unwrap_or_else(|| {
        findings.error(PlanError::BadValue {
            name: place,
            expected: "sources such as app@ns1:/data, app@ns1 or @ns1, with commas between",
        });
        Vec::new()
    })
}

fn percent(settings: &Settings<'_>, name: &str, findings: &mut Findings) -> Option<f64> {
    let (place, text) = settings.get(name)?;
    let percent = values::percent(&text);
    if percent.is_none() {
        findings.error(PlanError::BadValue { name: place, expected: "a number from 0 to 100" });
    }
    percent
}

/// In front of the variables of the target.
pub const TARGET_PREFIX: &str = "KOPIST_TARGET_";

/// Blobs on their way at once unless it is set.
const PARALLEL: usize = 8;
/// Memory for one of them: a pack, and a piece of what is read back.
const MEMORY_EACH: u64 = 40 << 20;

pub(super) fn replicate(
    settings: &Settings<'_>,
    env: &Env,
    probe: &dyn Probe,
    root_ca: Option<&[u8]>,
    sources: &[Storage],
    parallel: Option<usize>,
    findings: &mut Findings,
) -> Option<ReplicatePlan> {
    let target_env = env.below(TARGET_PREFIX);
    let root_ca =
        ca::custom_ca(&target_env, probe, findings).or_else(|| root_ca.map(<[u8]>::to_vec));
    let verify_percent = percent(settings, "replicateVerifyPercent", findings).unwrap_or(100.0);
    let delete_after = settings.duration("replicateDeleteAfter", findings);
    if target_env.names().next().is_none() {
        findings.error(PlanError::TargetMissing);
        return None;
    }
    if let (Some(theirs), Some(ours)) =
        (target_env.secret("KOPIA_PASSWORD"), env.secret("KOPIA_PASSWORD"))
        && theirs.expose_secret() != ours.expose_secret()
    {
        findings.error(PlanError::TargetPassword);
    }
    let mut own = Findings::default();
    let target = storage::resolve(&target_env, probe, root_ca.as_deref(), &mut own)
        .map_err(|error| PlanError::Target(Box::new(error)));
    findings.notices.extend(own.notices);
    let target = findings.ok(target)?;
    if sources.iter().any(|source| is_same_place(source, &target)) {
        findings.error(PlanError::TargetIsSource(target.describe()));
        return None;
    }
    let memory = probe.memory_limit().map_or(PARALLEL, |limit| fitting(limit / 2, MEMORY_EACH));
    let parallel = parallel.unwrap_or(PARALLEL).min(memory);
    Some(ReplicatePlan { target, root_ca, parallel, verify_percent, delete_after })
}

fn is_same_place(one: &Storage, other: &Storage) -> bool {
    one.kind() == other.kind()
        && one.describe().trim_end_matches('/') == other.describe().trim_end_matches('/')
}

/// What follows maintenance, in the order in which it is written.
pub(super) fn after_maintenance(
    settings: &Settings<'_>,
    findings: &mut Findings,
) -> Vec<Operation> {
    let Some((place, text)) = settings.get("afterMaintenance") else { return Vec::new() };
    let words = text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
    let parsed: Option<Vec<Operation>> = words.map(Operation::of_own_word).collect();
    parsed.unwrap_or_else(|| {
        findings.error(PlanError::NotOneOf {
            name: place,
            allowed: "verify, test-restore, replicate, or several of them with commas between",
        });
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::FakeProbe;

    #[test]
    fn patterns_of_sources() {
        let source = SourceInfo::new("app", "ns1", "/data");
        for (text, matches) in [
            ("app@ns1:/data", true),
            ("app@ns1", true),
            ("@ns1", true),
            ("@", true),
            ("*@*:/data", true),
            ("app@", true),
            ("app@ns2", false),
            ("db@ns1:/data", false),
            ("@ns1:/other", false),
        ] {
            let pattern = SourcePattern::parse(text).unwrap();
            assert_eq!(pattern.matches(&source), matches, "{text}");
        }
        assert_eq!(SourcePattern::parse("app"), None);
        assert_eq!(SourcePattern::parse("@ns1").unwrap().to_string(), "*@ns1:*");
    }

    fn with<T>(
        env: &[(&str, &str)],
        plan: impl Fn(&Settings<'_>, &Env, &mut Findings) -> T,
    ) -> (T, Vec<String>) {
        let env: Env = env.iter().copied().collect();
        let settings = Settings { arguments: &[], env: &env, repository_file: None, manual: None };
        let mut findings = Findings::default();
        let planned = plan(&settings, &env, &mut findings);
        (planned, findings.errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_a_verification_reads() {
        let verify = |env: &[(&str, &str)]| with(env, |s, _, f| verify(s, f));
        let (plan, errors) = verify(&[]);
        assert!(plan.sources.is_empty() && errors.is_empty());
        assert!((plan.percent - VERIFY_PERCENT).abs() < f64::EPSILON);
        let (plan, _) = verify(&[("KOPIST_VERIFY_PERCENT", "2.5"), ("KOPIST_SOURCES", "@a, @b")]);
        assert!((plan.percent - 2.5).abs() < f64::EPSILON && plan.sources.len() == 2);
        for (name, value) in [
            ("KOPIST_VERIFY_PERCENT", "101"),
            ("KOPIST_VERIFY_PERCENT", "x"),
            ("KOPIST_SOURCES", "app"),
        ] {
            assert!(verify(&[(name, value)]).1[0].starts_with(name), "{value}");
        }
    }

    #[test]
    fn where_a_test_restore_goes() {
        let test =
            |env: &[(&str, &str)]| with(env, |s, _, f| test_restore(s, &FakeProbe::default(), f));
        assert!(test(&[]).0.scratch.is_none());
        assert_eq!(test(&[("KOPIST_TEST_RESTORE_DIR", "/cache")]).1, [""; 0]);
        let (_, errors) = test(&[("KOPIST_TEST_RESTORE_DIR", "/nowhere")]);
        assert!(errors[0].contains("/nowhere"), "{errors:?}");
    }

    #[test]
    fn where_a_copy_goes() {
        let here = [Storage::Filesystem { path: "/mnt/repo".into() }];
        let replicate = |env: &[(&str, &str)]| {
            with(env, |s, e, f| replicate(s, e, &FakeProbe::default(), None, &here, None, f))
        };
        let (plan, errors) = replicate(&[
            ("KOPIST_TARGET_KOPIA_REPOSITORY", "s3://copies/prefix"),
            ("KOPIST_TARGET_AWS_ACCESS_KEY_ID", "a"),
            ("KOPIST_TARGET_AWS_SECRET_ACCESS_KEY", "TOPSECRET"),
            ("KOPIST_REPLICATE_DELETE_AFTER", "720h"),
        ]);
        assert_eq!(errors, [""; 0]);
        let plan = plan.unwrap();
        assert_eq!((plan.target.kind(), plan.parallel), ("s3", 3), "256 MiB are for three");
        assert_eq!(plan.delete_after, Some(Duration::from_hours(720)));
        assert!(!format!("{plan:?}").contains("TOPSECRET"));
        let error = |env: &[(&str, &str)]| replicate(env).1.join(" ");
        assert!(error(&[]).contains("KOPIST_TARGET_KOPIA_REPOSITORY"));
        let other = ("KOPIST_TARGET_KOPIA_REPOSITORY", "filesystem:///mnt/copy");
        assert_eq!(error(&[other]), "");
        let same = ("KOPIST_TARGET_KOPIA_REPOSITORY", "filesystem:///mnt/repo/");
        assert!(error(&[same]).contains("is the repository itself"), "{}", error(&[same]));
        let bad = ("KOPIST_TARGET_KOPIA_REPOSITORY", "filesystem:///../x");
        assert!(error(&[bad]).contains("KOPIST_TARGET_"), "{}", error(&[bad]));
        let passwords = [
            other,
            ("KOPIA_PASSWORD", "TOPSECRET1"),
            ("KOPIST_TARGET_KOPIA_PASSWORD", "TOPSECRET2"),
        ];
        assert!(error(&passwords).contains("has the password of the original"));
        let percent = [other, ("KOPIST_REPLICATE_VERIFY_PERCENT", "-1")];
        assert!(error(&percent).starts_with("KOPIST_REPLICATE_VERIFY_PERCENT must be"));
    }

    #[test]
    fn what_follows_maintenance() {
        let after = |text: &str| {
            with(&[("KOPIST_AFTER_MAINTENANCE", text)], |s, _, f| after_maintenance(s, f))
        };
        let (operations, errors) = after("verify, replicate");
        assert_eq!((operations, errors.len()), (vec![Operation::Verify, Operation::Replicate], 0));
        assert_eq!(after("backup").1.len(), 1);
    }
}
