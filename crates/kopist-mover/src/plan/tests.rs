//! Plans as a table of environments.

use secrecy::ExposeSecret;

use super::testing::FakeProbe;
use super::*;

const BASE: &[(&str, &str)] = &[
    ("KOPIA_PASSWORD", "TOPSECRETPW\n"),
    ("KOPIA_REPOSITORY", "filesystem:///mnt/repo"),
    ("KOPIA_CACHE_DIR", "/cache"),
    ("DATA_DIR", "/data"),
    ("KOPIA_OVERRIDE_USERNAME", "app"),
    ("KOPIA_OVERRIDE_HOSTNAME", "ns1"),
];

fn plan_with(
    args: &[&str],
    extra: &[(&str, &str)],
    probe: &FakeProbe,
) -> Result<MoverPlan, Refusal> {
    let env: Env = BASE.iter().chain(extra).copied().collect();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    plan(&args, &env, probe)
}

fn backup(extra: &[(&str, &str)]) -> Result<MoverPlan, Refusal> {
    plan_with(&["backup"], extra, &FakeProbe::default())
}

fn restore(extra: &[(&str, &str)]) -> Result<MoverPlan, Refusal> {
    let mut all = vec![("DATA_DIR", "/restore/data")];
    all.extend_from_slice(extra);
    plan_with(&["restore"], &all, &FakeProbe::default())
}

fn errors(result: Result<MoverPlan, Refusal>) -> Vec<String> {
    let refusal = result.unwrap_err();
    refusal.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_plainest_backup() {
    let plan = backup(&[]).unwrap();
    assert_eq!(plan.password.expose_secret(), "TOPSECRETPW");
    assert_eq!(plan.source(), "app@ns1:/data");
    assert_eq!(plan.operation(), Operation::Backup);
    assert_eq!(plan.label, "backup");
    assert!(plan.notices.is_empty() && plan.objections.is_empty());
    let Work::Backup(backup) = plan.work else { panic!() };
    assert!(backup.hooks.enabled && backup.hooks.before.is_none());
    assert!(backup.retention.is_empty() && backup.compression.is_none());
}

#[test]
fn all_errors_are_named_at_once() {
    let env: Env = [
        ("KOPIA_PARALLELISM", "many"),
        ("KOPIA_MANUAL_CONFIG", "{bad"),
        ("KOPIA_RETAIN_DAILY", "-1"),
    ]
    .into_iter()
    .collect();
    let refusal = plan(&["backup".to_owned()], &env, &FakeProbe::default()).unwrap_err();
    let texts: Vec<String> = refusal.errors.iter().map(ToString::to_string).collect();
    for expected in [
        "KOPIA_PASSWORD must be defined",
        "DATA_DIR must be defined",
        "No repository configuration found",
        "Invalid JSON in KOPIA_MANUAL_CONFIG",
        "KOPIA_PARALLELISM must be a whole number",
        "KOPIA_RETAIN_DAILY must be a whole number",
    ] {
        assert!(texts.iter().any(|text| text.starts_with(expected)), "{expected}: {texts:?}");
    }
    assert_eq!(texts.len(), 6);
    assert_eq!(refusal.exit_code(), 1);
}

#[test]
fn places_that_are_missing() {
    let missing = errors(backup(&[("DATA_DIR", "/nowhere")]));
    assert_eq!(missing, ["Data directory /nowhere does not exist"]);
    let probe = FakeProbe { read_only: vec!["/cache".into()], ..FakeProbe::default() };
    let cache = errors(plan_with(&["backup"], &[], &probe));
    assert!(cache[0].starts_with("Cache directory /cache is not writable"), "{cache:?}");
}

#[test]
fn maintenance_ignores_arguments_and_data() {
    let extra = [("DIRECTION", "maintenance"), ("DATA_DIR", "/nowhere")];
    let plan = plan_with(&["backup"], &extra, &FakeProbe::default()).unwrap();
    assert_eq!(plan.operation(), Operation::Maintenance);
    assert_eq!(
        (plan.identity.username.as_str(), plan.identity.hostname.as_str()),
        ("maintenance", "volsync")
    );
    let Work::Maintenance(maintenance) = plan.work else { panic!() };
    assert!(maintenance.take_over);
}

#[test]
fn a_wrong_compressor_is_an_objection_of_its_step() {
    let plan = backup(&[("KOPIA_COMPRESSION", "bogus")]).unwrap();
    let texts: Vec<String> =
        plan.objections_to(Step::SourceCompression).map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("bogus") && texts[0].contains("s2-default"));
    let alias = backup(&[("KOPIA_COMPRESSION", "s2")]).unwrap();
    let Work::Backup(alias) = alias.work else { panic!() };
    assert_eq!(alias.compression.as_deref(), Some("s2-default"));
}

#[test]
fn a_wrong_creation_parameter_matters_only_at_creation() {
    let plan =
        backup(&[("KOPIA_MANUAL_CONFIG", r#"{"encryption": {"algorithm": "ROT13"}}"#)]).unwrap();
    assert_eq!(plan.objections_to(Step::Create).count(), 1);
    assert_eq!(plan.objections_to(Step::SourceCompression).count(), 0);
}

#[test]
fn retention_has_only_what_is_stated() {
    let plan = backup(&[("KOPIA_RETAIN_DAILY", "9"), ("KOPIA_RETAIN_YEARLY", "0")]).unwrap();
    let Work::Backup(backup) = plan.work else { panic!() };
    assert_eq!(
        backup.retention.to_value(),
        serde_json::json!({"retention": {"keepDaily": 9, "keepAnnual": 0}})
    );
}

#[test]
fn switching_hooks_off() {
    let hook = ("KOPIA_BEFORE_SNAPSHOT", "touch /x");
    let enabled = |plan: MoverPlan| {
        let Work::Backup(backup) = plan.work else { panic!() };
        assert!(backup.hooks.before.is_some());
        backup.hooks.enabled
    };
    assert!(enabled(backup(&[hook]).unwrap()));
    assert!(!enabled(backup(&[hook, ("KOPIA_ACTIONS_ENABLED", "false")]).unwrap()));
    let probe =
        FakeProbe::default().with("/kopia-config/repository.config", r#"{"enableActions": false}"#);
    let mounted = ("KOPIA_CONFIG_PATH", "/kopia-config");
    assert!(!enabled(plan_with(&["backup"], &[hook, mounted], &probe).unwrap()));
}

#[test]
fn instants_of_a_restore() {
    let as_of = |text| {
        let plan = restore(&[("KOPIA_RESTORE_AS_OF", text)]).unwrap();
        let Work::Restore(restore) = plan.work else { panic!() };
        restore.selection.as_of.unwrap().to_string()
    };
    assert_eq!(as_of("2024-01-01T16:30:00+05:00"), "2024-01-01T11:30:00Z");
    assert_eq!(as_of("2024-01-01T06:30:00.5-05:00"), "2024-01-01T11:30:00.5Z");
    for wrong in ["yesterday", "2024-01-01", "2024-01-01T10:00:00", "1704103200"] {
        let texts = errors(restore(&[("KOPIA_RESTORE_AS_OF", wrong)]));
        assert!(texts[0].starts_with("KOPIA_RESTORE_AS_OF must be a time"), "{wrong}: {texts:?}");
    }
}

#[test]
fn a_structured_configuration_comes_first_and_falls_back() {
    let structured = (
        "KOPIA_STRUCTURED_REPOSITORY_CONFIG",
        r#"{"storage": {"type": "filesystem", "config": {"path": "/mnt/other"}},
            "caching": {"maxCacheSize": 1000000}, "hostname": "hh", "policies": {"x": 1}}"#,
    );
    let plan = backup(&[structured]).unwrap();
    let places: Vec<_> = plan.storage.iter().map(|s| s.config()["path"].clone()).collect();
    assert_eq!(places, ["/mnt/other", "/mnt/repo"]);
    assert_eq!(plan.source(), "app@ns1:/data");
    assert!(plan.cache.content_limit + plan.cache.metadata_limit <= 1_000_000);
    assert!(plan.notices.iter().any(|notice| notice.0.contains("policies")));

    let alone = backup(&[structured, ("KOPIA_REPOSITORY", "")]).unwrap();
    assert_eq!(alone.storage.len(), 1);
    // A wrong value of the second place is still an error.
    let wrong = errors(backup(&[structured, ("KOPIA_REPOSITORY", "filesystem://x")]));
    assert!(wrong[0].starts_with("Invalid filesystem URL"));
}

#[test]
fn what_is_shown_has_no_secret() {
    let plan = backup(&[
        ("KOPIA_REPOSITORY", "s3://bucket/prefix"),
        ("AWS_ACCESS_KEY_ID", "TOPSECRETID"),
        ("AWS_SECRET_ACCESS_KEY", "TOPSECRETKEY"),
        ("KOPIA_BEFORE_SNAPSHOT", "mysqldump -pTOPSECRETDB"),
        ("KOPIA_ADDITIONAL_ARGS", "--description=TOPSECRETD|VOLSYNC_ARG_SEP|--fail-fast"),
    ])
    .unwrap();
    let shown = plan.show();
    assert!(!shown.contains("TOPSECRET"), "{shown}");
    for expected in [
        "password: [SET]",
        "secret key: [SET]",
        "root certificates: [NOT SET]",
        "repository: S3 bucket bucket, prefix \"prefix/\" at s3.amazonaws.com",
        "source: app@ns1:/data",
        "before the snapshot: [SET]",
        "additional arguments: --description --fail-fast",
    ] {
        assert!(shown.contains(expected), "{expected} not in:\n{shown}");
    }
    let debug = format!("{:?}", plan.password) + &format!("{:?}", plan.storage);
    assert!(!debug.contains("TOPSECRET"), "{debug}");
}

#[test]
fn values_that_are_no_text_are_errors() {
    use std::os::unix::ffi::OsStringExt;
    let vars = BASE
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .chain([("AWS_PROFILE".into(), std::ffi::OsString::from_vec(vec![0xff]))]);
    let refusal = plan(&["backup".to_owned()], &Env::from_os(vars), &FakeProbe::default());
    assert_eq!(errors(refusal), ["the value of AWS_PROFILE is not text (UTF-8)"]);
}

#[test]
fn doubled_credentials_count_with_the_last_value() {
    let probe = FakeProbe::default().with("/credentials/gcs.json", "{}");
    let env: Env = BASE
        .iter()
        .copied()
        .chain([
            ("KOPIA_GCS_BUCKET", "gb"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "{\"a\": 1}"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/credentials/gcs.json"),
        ])
        .collect();
    // The variable of the bucket goes before the filesystem URL.
    let plan = plan(&["backup".to_owned()], &env, &probe).unwrap();
    assert_eq!(plan.storage[0].config()["credentialsFile"], "/credentials/gcs.json");
}
