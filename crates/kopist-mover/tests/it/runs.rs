//! Runs without a judge: what was saved comes back, little is written, nothing is told.

use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use kopist_testkit::tree::{Comparison, compare, list};
use serde_json::{Value, json};

use crate::container::{Container, Ended, is_root};
use crate::operator;
use crate::scenario::Scenarios;

pub(crate) const PASSWORD: &str = "a-long-PASSWORD-value";

pub(crate) fn container() -> Container {
    Container::new(rustix::process::geteuid().as_raw())
}

pub(crate) fn env(mode: &str, changes: &Value) -> Vec<(String, String)> {
    let mut all = json!({"KOPIA_PASSWORD": PASSWORD});
    for (name, value) in changes.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    Scenarios::load().env(mode, &all)
}

pub(crate) fn run(container: &Container, mode: &str, changes: &Value) -> Ended {
    container.mover(&[mode.to_owned()], &env(mode, changes))
}

#[track_caller]
pub(crate) fn succeed(container: &Container, mode: &str, changes: &Value) -> String {
    let ended = run(container, mode, changes);
    assert_eq!(ended.code(), 0, "{}", ended.log);
    ended.log
}

/// A container with a tree that is saved.
#[track_caller]
pub(crate) fn with_a_backup() -> Container {
    let container = container();
    plant(&container.path("/data"));
    succeed(&container, "backup", &json!({}));
    container
}

/// A tree with something of everything.
pub(crate) fn plant(directory: &Path) {
    let at = |name: &str| directory.join(name);
    std::fs::create_dir_all(at("deep/er/still")).unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at("none"), "").unwrap();
    std::fs::write(at("deep/er/still/text"), "hello\n".repeat(1000)).unwrap();
    let noise: Vec<u8> =
        (0u32..3_000_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(at("deep/noise"), &noise).unwrap();
    std::fs::write(at("deep/again"), &noise).unwrap();
    symlink("deep/noise", at("link")).unwrap();
    symlink("/nowhere", at("dangling")).unwrap();
    let odd = std::ffi::OsString::from_vec(b"na\xc3\xafve \"quoted\"\t".to_vec());
    std::fs::write(directory.join(odd), "odd").unwrap();
    std::fs::set_permissions(at("none"), PermissionsExt::from_mode(0o640)).unwrap();
    std::fs::set_permissions(at("empty"), PermissionsExt::from_mode(0o750)).unwrap();
}

#[track_caller]
pub(crate) fn same(container: &Container) {
    let (expected, actual) =
        (list(&container.path("/data")), list(&container.path("/restore/data")));
    let differences = compare(&expected, &actual, Comparison::restored());
    assert!(differences.is_empty(), "{differences:?}");
}

/// Names of blobs that begin so.
pub(crate) fn blobs(container: &Container, prefix: &str) -> usize {
    let root = container.path("/mnt/repo");
    walkdir::WalkDir::new(&root)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| {
            let path = entry.path().strip_prefix(&root).unwrap();
            path.to_string_lossy().replace('/', "").starts_with(prefix)
        })
        .count()
}

#[test]
fn what_was_saved_comes_back_byte_for_byte() {
    let container = container();
    plant(&container.path("/data"));
    let log = succeed(&container, "backup", &json!({"KOPIA_COMPRESSION": "zstd"}));
    assert!(log.contains("Snapshot created successfully: snapshot "), "{log}");
    // Another pod: another cache.
    std::fs::remove_dir_all(container.path("/cache/kopist")).unwrap();
    let log = succeed(&container, "restore", &json!({}));
    assert!(log.contains("Snapshot restore completed successfully: restoring 5 files"), "{log}");
    same(&container);
}

#[test]
fn a_run_that_changes_nothing_writes_one_index_blob() {
    let container = container();
    plant(&container.path("/data"));
    let settings = json!({"KOPIA_COMPRESSION": "zstd", "KOPIA_RETAIN_DAILY": "7"});
    succeed(&container, "backup", &settings);
    let first = ["x", "q", "p"].map(|prefix| blobs(&container, prefix));
    assert_eq!(first[0], 1, "creation, policies and snapshot share one index blob");
    let log = succeed(&container, "backup", &settings);
    assert!(log.contains("7 entries unchanged"), "{log}");
    let second = ["x", "q", "p"].map(|prefix| blobs(&container, prefix));
    assert_eq!(second[0], first[0] + 1, "one index blob a run");
    assert_eq!(second[1], first[1] + 1, "one pack with the manifest");
    assert_eq!(second[2], first[2], "no data");
}

#[test]
fn a_run_that_changes_nothing_asks_the_store_for_little() {
    let container = container();
    plant(&container.path("/data"));
    let settings = json!({"KOPIA_RETAIN_DAILY": "7", "KOPIA_LOG_LEVEL": "debug"});
    succeed(&container, "backup", &settings);
    let log = succeed(&container, "backup", &settings);
    // At this level the log has every request.
    let count = |operation: &str, name: &str| {
        let request = format!("operation={operation} name={name}");
        log.lines().filter(|line| line.contains(&request)).count()
    };
    assert_eq!(count("read", "kopia.repository"), 1, "opened once: {log}");
    assert_eq!(count("read", "kopia.blobcfg"), 1, "{log}");
    assert!(count("list", "") <= 2, "{log}");
    assert_eq!(count("write", "x"), 1, "{log}");
    assert_eq!(
        count("write", ""),
        3,
        "marker of the session, pack and index of the manifest: {log}"
    );
}

#[test]
fn credentials_are_nowhere_but_in_the_environment() {
    let container = container();
    plant(&container.path("/data"));
    let secrets = json!({
        "KOPIA_PASSWORD": PASSWORD,
        "AWS_SECRET_ACCESS_KEY": "TOPSECRET-aws-key",
        "SFTP_KEY_FILE": "-----BEGIN KEY-----\nTOPSECRET-sftp-line\n-----END KEY-----\n",
        "KOPIA_LOG_LEVEL": "debug",
        "KOPIA_BEFORE_SNAPSHOT":
            "env; cat /proc/$PPID/cmdline; : mysqldump -pTOPSECRET-in-a-command",
        "KOPIA_ADDITIONAL_ARGS": "--description=TOPSECRET-description",
    });
    let mut logs = succeed(&container, "backup", &secrets);
    logs += &run(&container, "restore", &secrets).log;
    let wrong = json!({"KOPIA_PASSWORD": "TOPSECRET-wrong-password"});
    let refused = run(&container, "backup", &wrong);
    assert_eq!(refused.code(), 1);
    assert!(refused.log.contains("invalid repository password"), "{}", refused.log);
    logs += &refused.log;
    logs += &std::fs::read_to_string(container.path("/dev/termination-log")).unwrap();
    for secret in ["TOPSECRET", PASSWORD] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    for folder in ["/cache", "/tmp"] {
        for entry in walkdir::WalkDir::new(container.path(folder)).into_iter().flatten() {
            if entry.file_type().is_file() {
                let content = std::fs::read(entry.path()).unwrap();
                let found = content.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
                assert!(!found, "the password is in {}", entry.path().display());
            }
        }
    }
}

#[test]
fn a_plan_is_shown_and_nothing_is_touched() {
    let container = container();
    plant(&container.path("/data"));
    let arguments = ["--plan".to_owned(), "backup".to_owned()];
    let ended = container.mover(&arguments, &env("backup", &json!({})));
    assert_eq!(ended.code(), 0, "{}", ended.log);
    assert!(ended.log.contains("password: [SET]") && ended.log.contains("source: app@ns1:/data"));
    assert!(!container.path("/mnt/repo").exists());
    assert_eq!(std::fs::read_dir(container.path("/cache")).unwrap().count(), 0);

    let wrong = env("backup", &json!({"KOPIA_PARALLELISM": "many", "KOPIA_PASSWORD": null}));
    let ended = container.mover(&arguments, &wrong);
    assert_eq!(ended.code(), 1);
    assert!(ended.log.contains("ERROR: KOPIA_PASSWORD must be defined"), "{}", ended.log);
    assert!(ended.log.contains("ERROR: KOPIA_PARALLELISM must be a whole number"));
}

#[test]
fn the_kubelet_gets_one_object() {
    let container = container();
    plant(&container.path("/data"));
    let message = || -> Value {
        let text = std::fs::read_to_string(container.path("/dev/termination-log")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    succeed(&container, "backup", &json!({}));
    let done = message();
    assert_eq!(
        (&done["op"], &done["result"], &done["reason"]),
        (&json!("backup"), &json!("success"), &json!("Success"))
    );
    assert_eq!(done["identity"], "app@ns1:/data");
    assert_eq!(done["files"], 5);
    assert_eq!(done["retention"], json!({"kept": 1, "deleted": 0}));
    assert_eq!(done["snapshot"].as_str().unwrap().len(), 32);

    run(&container, "restore", &json!({"KOPIA_OVERRIDE_USERNAME": "nosuch"}));
    assert_eq!(
        (&message()["result"], &message()["reason"]),
        (&json!("skipped"), &json!("NoSnapshot"))
    );
    let required = json!({"KOPIA_OVERRIDE_USERNAME": "nosuch", "KOPIST_RESTORE_REQUIRE": "true"});
    assert_eq!(run(&container, "restore", &required).code(), 1);
    assert_eq!(message()["result"], "failed");
    run(&container, "backup", &json!({"KOPIA_PASSWORD": "another"}));
    assert_eq!(message()["reason"], "PasswordInvalid");
}

#[test]
fn a_log_in_json_has_one_object_a_line() {
    let container = container();
    plant(&container.path("/data"));
    let log = succeed(&container, "backup", &json!({"KOPIST_LOG_FORMAT": "json"}));
    let mut lines = 0;
    for line in log.lines().filter(|line| line.starts_with('{')) {
        let object: Value = serde_json::from_str(line).unwrap();
        assert!(object["time"].is_string() && object["level"].is_string(), "{line}");
        assert!(object["message"].is_string(), "{line}");
        lines += 1;
    }
    assert!(lines > 50, "{log}");
    assert!(!log.contains("\nINFO: "), "{log}");
}

#[test]
fn what_earlier_operators_sent_still_counts() {
    let container = container();
    plant(&container.path("/data"));
    // The repository volume was mounted at /kopia, and nothing else said where it is.
    std::fs::create_dir(container.path("/kopia")).unwrap();
    container.own(&container.path("/kopia"));
    let former = json!({"KOPIA_REPOSITORY": null, "KOPIA_SOURCE_PATH": "deep"});
    let log = succeed(&container, "backup", &former);
    assert!(container.path("/kopia/repository/kopia.repository.f").exists(), "{log}");
    assert!(log.contains("the repository is /kopia/repository"), "{log}");
    assert!(log.contains("KOPIA_SOURCE_PATH is set"), "{log}");
    assert!(log.contains("Creating snapshot for app@ns1:/data/deep"), "{log}");
    assert!(log.contains("processed 3 files"), "{log}");
    succeed(&container, "restore", &former);
    assert!(container.path("/restore/data/er/still/text").exists());
    assert!(!container.path("/restore/data/link").exists());

    let outside = json!({"KOPIA_SOURCE_PATH": "../mnt"});
    let refused = run(&container, "backup", &outside);
    assert_eq!(refused.code(), 1);
    assert!(refused.log.contains("KOPIA_SOURCE_PATH must be a path inside"), "{}", refused.log);
    let nowhere = json!({"KOPIA_SOURCE_PATH": "nowhere"});
    let refused = run(&container, "backup", &nowhere);
    assert!(refused.log.contains("names /data/nowhere, which is no directory"), "{}", refused.log);

    // A directory by the variable of the first releases.
    let by_path = json!({"KOPIA_REPOSITORY": null, "KOPIA_FS_PATH": "/mnt/former"});
    succeed(&container, "backup", &by_path);
    assert!(container.path("/mnt/former/kopia.repository.f").exists());
}

#[test]
fn maintenance_after_a_backup_where_an_interval_is_given() {
    let container = container();
    plant(&container.path("/data"));
    let interval = json!({"KOPIA_MAINTENANCE_INTERVAL_DAYS": "7"});
    let log = succeed(&container, "backup", &interval);
    assert!(log.contains("maintenance after the backup is done"), "{log}");
    let log = succeed(&container, "backup", &interval);
    assert!(log.contains("no maintenance after the backup: the last one was at"), "{log}");
    let mut other = interval.clone();
    other["KOPIA_OVERRIDE_USERNAME"] = json!("other");
    let log = succeed(&container, "backup", &other);
    assert!(log.contains("no maintenance after the backup: it belongs to app@ns1"), "{log}");
    succeed(&container, "restore", &json!({}));
    same(&container);
}

#[test]
fn commands_around_a_restore() {
    let container = with_a_backup();
    let marks = container.path("/cache");
    let marks = marks.to_str().unwrap();
    let restored = container.path("/restore/data");
    let restored = restored.to_str().unwrap();
    std::fs::write(container.path("/restore/data/old"), "old").unwrap();
    let commands = json!({
        "KOPIA_ENABLE_FILE_DELETION": "true",
        "KOPIA_BEFORE_RESTORE": format!("test -f {restored}/old && touch {marks}/before"),
        "KOPIA_AFTER_RESTORE": format!("test -f {restored}/none && touch {marks}/after"),
    });
    let log = succeed(&container, "restore", &commands);
    assert!(container.path("/cache/before").exists() && container.path("/cache/after").exists());
    assert!(log.contains("KOPIA_BEFORE_RESTORE is set, which today's operator does not send"));

    // A failing command stops the restore before anything is touched.
    std::fs::write(container.path("/restore/data/new"), "new").unwrap();
    let failing = json!({"KOPIA_ENABLE_FILE_DELETION": "true", "KOPIA_BEFORE_RESTORE": "exit 3"});
    let ended = run(&container, "restore", &failing);
    assert_eq!(ended.code(), 1);
    assert!(ended.log.contains("before-restore action failed"), "{}", ended.log);
    assert!(container.path("/restore/data/new").exists());
    // The author's check of the restored data counts.
    let ended = run(&container, "restore", &json!({"KOPIA_AFTER_SNAPSHOT": "exit 4"}));
    assert_eq!(ended.code(), 1, "{}", ended.log);
    let off = json!({"KOPIA_AFTER_SNAPSHOT": "exit 4", "KOPIA_ACTIONS_ENABLED": "false"});
    succeed(&container, "restore", &off);
}

#[test]
#[allow(clippy::print_stdout)] // what was skipped should be seen
fn owners_that_cannot_be_kept_are_counted_once() {
    if !is_root() {
        println!("skipped: needs files of another user");
        return;
    }
    let container = Container::new(1000);
    for index in 0..20 {
        let path = container.path(&format!("/data/file{index}"));
        std::fs::write(&path, "x").unwrap();
        container.give(&path, 2000);
    }
    succeed(&container, "backup", &json!({}));
    let log = succeed(&container, "restore", &json!({}));
    let told: Vec<&str> =
        log.lines().filter(|line| line.contains("not as in the snapshot")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("owners of 20 entries"), "{}", told[0]);
    assert!(told[0].contains("1000:1000"), "{}", told[0]);
}

#[test]
fn the_log_says_whose_policy_holds() {
    let container = container();
    plant(&container.path("/data"));
    let file = container.path("/kopia-config/global-policy.json");
    let policy = |text: &str| std::fs::write(&file, text).unwrap();
    policy(r#"{"retention": {"keepDaily": 12, "keepWeekly": 6}, "files": {"ignore": ["x"]}}"#);
    let settings = json!({"KOPIA_CONFIG_PATH": "/kopia-config", "KOPIA_RETAIN_DAILY": "5"});
    let log = succeed(&container, "backup", &settings);
    let won = "retention.keepDaily: 5 of this source goes before 12 of the policy file";
    assert!(log.contains(won), "{log}");
    assert!(log.contains("keepDaily 5 (this source)"), "{log}");
    assert!(log.contains("keepWeekly 6"), "{log}");

    // What the file does not mention stays, unless it speaks for everything.
    policy(r#"{"retention": {"keepDaily": 12}}"#);
    let log = succeed(&container, "backup", &settings);
    assert!(log.contains("keepWeekly 6") && log.contains("it was so already"), "{log}");
    policy(r#"{"reset": true, "retention": {"keepDaily": 12}}"#);
    let log = succeed(&container, "backup", &settings);
    assert!(log.contains("keepWeekly 4"), "{log}");
    let log = succeed(&container, "backup", &settings);
    assert!(log.contains("it was so already"), "{log}");
}

#[test]
fn compression_by_the_manual_configuration() {
    let container = container();
    plant(&container.path("/data"));
    let manual = json!({"KOPIA_MANUAL_CONFIG": r#"{"compression": {"compressor": "zstd"}}"#});
    let log = succeed(&container, "backup", &manual);
    assert!(log.contains("compression zstd (global policy)"), "{log}");

    // In a repository that is there already it counts where no policy speaks.
    let other = self::container();
    plant(&other.path("/data"));
    succeed(&other, "backup", &json!({}));
    let log = succeed(&other, "backup", &manual);
    assert!(log.contains("that of KOPIA_MANUAL_CONFIG counts for this run"), "{log}");
    let mut stated = manual.clone();
    stated["KOPIA_COMPRESSION"] = json!("gzip");
    let log = succeed(&other, "backup", &stated);
    assert!(!log.contains("that of KOPIA_MANUAL_CONFIG counts"), "{log}");
}

#[test]
fn runs_may_be_told_to_begin_apart() {
    let container = container();
    plant(&container.path("/data"));
    let log = succeed(&container, "backup", &json!({"KOPIST_JITTER": "100ms"}));
    assert!(log.contains("s before the start, of at most 0.1 s"), "{log}");
    let log = succeed(&container, "restore", &json!({"KOPIST_JITTER": "1h"}));
    assert!(!log.contains("before the start"), "people wait for a restore: {log}");
    let mut running = container.start(
        &["backup".to_owned()],
        &env("backup", &json!({"KOPIA_ADDITIONAL_ARGS": "--mover-jitter=1000h"})),
    );
    running.wait_for("before the start");
    running.terminate();
    assert_eq!(running.end().code(), 143);
}

#[test]
fn told_to_stop_while_it_uploads() {
    let container = container();
    plant(&container.path("/data"));
    for index in 0..12 {
        let noise: Vec<u8> = (0u32..4_000_000)
            .map(|i| ((i ^ (index << 27)).wrapping_mul(2_246_822_519) >> 11) as u8)
            .collect();
        std::fs::write(container.path(&format!("/data/big{index}")), noise).unwrap();
    }
    // Slow enough that it cannot be done before the signal, whatever the machine.
    let slow = json!({"KOPIA_UPLOAD_SPEED": "20000"});
    let mut running = container.start(&["backup".to_owned()], &env("backup", &slow));
    running.wait_for("Creating snapshot for");
    running.terminate();
    let started = Instant::now();
    let ended = running.end();
    assert_eq!(ended.code(), 143, "{}", ended.log);
    assert!(ended.log.contains("Received SIGTERM"), "{}", ended.log);
    assert!(ended.log.contains("EXIT_CODE: 143"), "{}", ended.log);
    // 40 MB at that speed are half an hour.
    assert!(started.elapsed() < Duration::from_mins(5));

    let log = succeed(&container, "backup", &json!({}));
    assert!(log.contains("OPERATION_RESULT: SUCCESS"), "{log}");
    succeed(&container, "restore", &json!({}));
    same(&container);
}

#[test]
#[allow(clippy::print_stdout)] // what was skipped should be seen
fn pods_of_several_users_share_a_repository() {
    if !is_root() {
        println!("skipped: needs to become other users");
        return;
    }
    const GROUP: u32 = 5000;
    let first = Container::new(1000).with_group(GROUP);
    let volume = first.path("/mnt");
    std::os::unix::fs::chown(&volume, Some(0), Some(GROUP)).unwrap();
    std::fs::set_permissions(&volume, PermissionsExt::from_mode(0o2775)).unwrap();
    std::fs::write(first.path("/data/a"), "of the first").unwrap();
    succeed(&first, "backup", &json!({}));

    let second = Container::new(2000).with_group(GROUP);
    std::fs::remove_dir_all(second.path("/mnt")).unwrap();
    symlink(&volume, second.path("/mnt")).unwrap();
    std::fs::write(second.path("/data/b"), "of the second").unwrap();
    let other = json!({"KOPIA_OVERRIDE_USERNAME": "app2"});
    succeed(&second, "backup", &other);
    succeed(&second, "restore", &json!({}));
    let restored = std::fs::read_to_string(second.path("/restore/data/a")).unwrap();
    assert_eq!(restored, "of the first");
    succeed(&first, "backup", &json!({}));

    // A user outside of the group is told who may do what.
    let third = Container::new(3000);
    std::fs::remove_dir_all(third.path("/mnt")).unwrap();
    symlink(&volume, third.path("/mnt")).unwrap();
    std::fs::write(third.path("/data/c"), "c").unwrap();
    let refused = run(&third, "backup", &other);
    assert_eq!(refused.code(), 1, "{}", refused.log);
    assert!(refused.log.contains("runs as 3000:3000"), "{}", refused.log);
    assert!(refused.log.contains("fsGroup"), "{}", refused.log);
}

#[test]
fn the_operator_counts_each_snapshot_of_a_failing_restore_once() {
    let container = with_a_backup();
    succeed(&container, "backup", &json!({}));
    succeed(&container, "backup", &json!({"KOPIA_OVERRIDE_USERNAME": "other"}));
    for (changes, identity, count) in [
        (json!({"KOPIA_PREVIOUS": "7"}), "app@ns1", 2),
        (json!({"KOPIA_RESTORE_AS_OF": "1980-01-01T00:00:00Z"}), "app@ns1", 2),
        (json!({"KOPIA_OVERRIDE_USERNAME": "other", "KOPIA_SHALLOW": "0"}), "other@ns1", 1),
        (json!({"KOPIA_OVERRIDE_USERNAME": "nobody-has-this"}), "nobody-has-this@ns1", 0),
    ] {
        let mut changes = changes;
        changes["KOPIA_DISCOVER_SNAPSHOTS"] = json!("true");
        changes["KOPIST_RESTORE_REQUIRE"] = json!("true");
        let ended = run(&container, "restore", &changes);
        assert_eq!(ended.code(), 1, "{}", ended.log);
        let parsed = operator::parse(&operator::status(&ended.log, true));
        let expected = [("app@ns1".to_owned(), 2), ("other@ns1".to_owned(), 1)];
        assert_eq!(parsed.available, expected.into_iter().collect(), "{}", ended.log);
        assert_eq!(parsed.requested.as_deref(), Some(identity), "{}", ended.log);
        assert_eq!(parsed.found(), count, "{}", ended.log);
        assert_eq!(parsed.latest.len(), 2, "{}", ended.log);
    }
}

#[test]
fn the_status_says_that_nothing_was_restored_however_many_snapshots_are_listed() {
    let container = container();
    plant(&container.path("/data"));
    for user in ["a", "b", "c", "d", "e", "f"] {
        succeed(&container, "backup", &json!({"KOPIA_OVERRIDE_USERNAME": user}));
    }
    let discover = |changes: serde_json::Value| {
        let mut changes = changes;
        changes["KOPIA_DISCOVER_SNAPSHOTS"] = json!("true");
        let log = succeed(&container, "restore", &changes);
        operator::status(&log, true)
    };
    let status = discover(json!({"KOPIA_OVERRIDE_USERNAME": "nosuch"}));
    let told = "No eligible snapshots found: nosuch@ns1:/data has no snapshot";
    assert!(status.ends_with(told), "{status}");
    let long_ago = "1980-01-01T00:00:00Z";
    let changes = json!({"KOPIA_OVERRIDE_USERNAME": "a", "KOPIA_RESTORE_AS_OF": long_ago});
    let status = discover(changes);
    assert!(status.contains("No eligible snapshots found: no snapshot of a@ns1:/data fits"));
    assert!(status.contains(&format!("KOPIA_RESTORE_AS_OF wants one from {long_ago}")));
}

#[test]
fn what_maintenance_tells_of_itself() {
    let container = with_a_backup();
    let log = succeed(&container, "maintenance", &json!({}));
    let figure = |name| operator::figure(&log, name).unwrap_or_default();
    assert_eq!(figure("MAINTENANCE_STATUS"), "SUCCESS");
    assert!(figure("MAINTENANCE_DURATION").parse::<u64>().is_ok(), "{log}");
    let stored: u64 = figure("REPO_SIZE_BYTES").parse().unwrap();
    let files = walkdir::WalkDir::new(container.path("/mnt"));
    let sizes = files.into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let blobs = sizes.filter(|entry| entry.path().extension().is_some_and(|name| name == "f"));
    assert_eq!(stored, blobs.map(|entry| entry.metadata().unwrap().len()).sum::<u64>(), "{log}");
}
