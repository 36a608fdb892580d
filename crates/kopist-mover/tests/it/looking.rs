//! Looking after what was saved: verification, test restores, copies.

use std::os::unix::fs::FileExt;

use kopist_testkit::oracle;
use serde_json::{Value, json};

use crate::container::Container;
use crate::runs::{PASSWORD, blobs, container, env, plant, run, same, succeed};
use crate::setup::Oracle;
use crate::telling::{make_directory, metrics, number};

/// Flips a bit in the middle of the largest file of some blobs of a repository.
fn damage(container: &Container, repository: &str, prefix: &str) {
    let root = container.path(repository);
    let largest = walkdir::WalkDir::new(&root)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| {
            let path = entry.path().strip_prefix(&root).unwrap();
            path.to_string_lossy().replace('/', "").starts_with(prefix)
        })
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap();
    let file = std::fs::File::options().read(true).write(true).open(largest.path()).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
}

fn saved() -> Container {
    let container = container();
    plant(&container.path("/data"));
    succeed(&container, "backup", &json!({"KOPIA_COMPRESSION": "zstd"}));
    succeed(&container, "backup", &json!({"KOPIA_OVERRIDE_USERNAME": "other"}));
    container
}

/// The environment of a job of its own: no data, no identity.
pub(crate) fn look(container: &Container, mode: &str, changes: &Value) -> crate::container::Ended {
    let mut all = json!({"DIRECTION": null, "KOPIA_PASSWORD": PASSWORD});
    for (name, value) in changes.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    container.mover(&[mode.to_owned()], &env("maintenance", &all))
}

#[track_caller]
pub(crate) fn fine(container: &Container, mode: &str, changes: &Value) -> String {
    let ended = look(container, mode, changes);
    assert_eq!(ended.code(), 0, "{}", ended.log);
    ended.log
}

#[test]
fn verification_reads_what_the_store_has() {
    let container = saved();
    make_directory(&container, "/metrics");
    let all = json!({"KOPIST_VERIFY_PERCENT": "100", "KOPIST_METRICS": "textfile:/metrics"});
    let log = fine(&container, "verify", &all);
    assert!(log.contains("2 snapshots verified"), "{log}");
    assert!(log.contains("OPERATION_TYPE: verify"), "{log}");
    let text = metrics(&container);
    assert!(
        text.contains("kopist_verify_files_total{operation=\"verify\",result=\"ok\"}"),
        "{text}"
    );
    assert!(number(&text, "kopist_verify_bytes") > 3_000_000.0);
    let one = json!({"KOPIST_SOURCES": "other@ns1"});
    assert!(fine(&container, "verify", &one).contains("1 snapshots verified"));
    let none = json!({"KOPIST_SOURCES": "@nowhere"});
    assert!(fine(&container, "verify", &none).contains("OPERATION_RESULT: SUCCESS"));

    // A warm cache does not hide it.
    succeed(&container, "restore", &json!({}));
    damage(&container, "/mnt/repo", "p");
    let ended = look(&container, "verify", &all);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(
        ended.log.contains("Damaged: \"") && ended.log.contains("@ns1:/data@"),
        "{}",
        ended.log
    );
    let text = metrics(&container);
    assert!(text.contains("reason=\"DataDamaged\""), "{text}");
    let message = std::fs::read_to_string(container.path("/dev/termination-log")).unwrap();
    assert!(message.contains("DataDamaged"), "{message}");
    let ended = look(&container, "test-restore", &json!({}));
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(ended.log.contains("did not come back as they were saved"), "{}", ended.log);
}

#[test]
fn test_restores_to_nowhere_and_to_a_scratch_directory() {
    let container = saved();
    make_directory(&container, "/scratch");
    let log = fine(&container, "test-restore", &json!({}));
    assert!(log.contains("test restore of 2 snapshots: ") && log.contains("saved"), "{log}");
    let scratch = json!({"KOPIST_TEST_RESTORE_DIR": "/scratch"});
    let log = fine(&container, "test-restore", &scratch);
    assert!(log.contains("test restore of 2 snapshots: 10 files"), "{log}");
    assert!(log.contains("app@ns1:/data: 5 files"), "{log}");
    assert_eq!(std::fs::read_dir(container.path("/scratch")).unwrap().count(), 0);
    let part = json!({
        "KOPIST_TEST_RESTORE_DIR": "/scratch",
        "KOPIST_TEST_RESTORE_PERCENT": "50",
        "KOPIST_SOURCES": "app@ns1",
    });
    let log = fine(&container, "test-restore", &part);
    assert!(log.contains("test restore of 1 snapshots"), "{log}");
    assert_eq!(std::fs::read_dir(container.path("/scratch")).unwrap().count(), 0);

    damage(&container, "/mnt/repo", "p");
    let ended = look(&container, "test-restore", &scratch);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(ended.log.contains("did not come back as they were saved"), "{}", ended.log);
    assert_eq!(std::fs::read_dir(container.path("/scratch")).unwrap().count(), 0);
    let missing = json!({"KOPIST_TEST_RESTORE_DIR": "/none"});
    let ended = look(&container, "test-restore", &missing);
    assert_eq!(ended.code(), 1);
    assert!(ended.log.contains("ERROR: KOPIST_TEST_RESTORE_DIR names /none"), "{}", ended.log);
}

#[test]
fn without_a_repository_there_is_nothing_to_look_at() {
    let container = container();
    for mode in ["verify", "test-restore"] {
        let log = fine(&container, mode, &json!({}));
        assert!(log.contains("there is no repository yet"), "{log}");
    }
    let target = json!({"KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/copy"});
    fine(&container, "replicate", &target);
    assert!(!container.path("/mnt/copy").exists() && !container.path("/mnt/repo").exists());
}

#[test]
fn a_copy_is_a_repository() {
    let container = saved();
    let target = json!({
        "KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/copy",
        "KOPIST_TARGET_AWS_SECRET_ACCESS_KEY": "TOPSECRET-of-the-copy",
        "KOPIST_REPORT_FILE": "/cache/report.json",
    });
    let log = fine(&container, "replicate", &target);
    assert!(log.contains("the copy in directory /mnt/copy is complete"), "{log}");
    assert!(!log.contains("TOPSECRET"), "{log}");
    let report = || -> Value {
        let text = std::fs::read_to_string(container.path("/cache/report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let first = report()["replicated"].clone();
    let copied = first["copied"]["blobs"].as_u64().unwrap();
    assert_eq!(first["readBack"]["blobs"], copied);
    assert_eq!(copied as usize + 1, blobs(&container, "") - blobs(&container, ".shards"));

    // Again: only what is new.
    fine(&container, "replicate", &target);
    assert_eq!(report()["replicated"]["copied"]["blobs"], 0);
    std::fs::write(container.path("/data/new"), "new").unwrap();
    succeed(&container, "backup", &json!({}));
    fine(&container, "replicate", &target);
    let third = report()["replicated"]["copied"]["blobs"].as_u64().unwrap();
    assert!((2..=4).contains(&third), "{third}");

    // Both programs open it, and the data is in it.
    let copy = json!({"KOPIA_REPOSITORY": "filesystem:///mnt/copy"});
    succeed(&container, "restore", &copy);
    same(&container);
    let verify =
        json!({"KOPIA_REPOSITORY": "filesystem:///mnt/copy", "KOPIST_VERIFY_PERCENT": "100"});
    fine(&container, "verify", &verify);
    if let Some(kopia) = oracle::find_or_skip("a_copy_is_a_repository") {
        let oracle = Oracle::new(&container, &kopia);
        let client = oracle.client("app", "ns1", "/mnt/copy", PASSWORD);
        client.ok(&["content", "verify"]);
        client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    }

    // Another repository is not written over, and the repository is not its own copy.
    let other = json!({"KOPIA_REPOSITORY": "filesystem:///mnt/other"});
    succeed(&container, "backup", &other);
    let foreign = json!({"KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/other"});
    let ended = look(&container, "replicate", &foreign);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(ended.log.contains("another repository is there"), "{}", ended.log);
    let itself = json!({"KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/repo"});
    let ended = look(&container, "replicate", &itself);
    assert!(ended.log.contains("is the repository itself"), "{}", ended.log);
    let ended = look(&container, "replicate", &json!({}));
    assert!(ended.log.contains("ERROR: replicate needs a target"), "{}", ended.log);
}

#[test]
fn a_copy_that_was_stopped_goes_on() {
    let container = saved();
    let slow = json!({
        "KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/copy",
        "KOPIA_UPLOAD_SPEED": "2000",
        "KOPIA_PARALLELISM": "1",
        "KOPIST_PROGRESS_INTERVAL": "50ms",
        "DIRECTION": null,
        "KOPIA_PASSWORD": PASSWORD,
    });
    let mut running = container.start(&["replicate".to_owned()], &env("maintenance", &slow));
    running.wait_for("INFO: replication: ");
    running.terminate();
    let ended = running.end();
    assert_eq!(ended.code(), 143, "{}", ended.log);
    let target = json!({"KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/copy"});
    fine(&container, "replicate", &target);
    succeed(&container, "restore", &json!({"KOPIA_REPOSITORY": "filesystem:///mnt/copy"}));
    same(&container);
}

#[test]
fn what_follows_maintenance() {
    let container = saved();
    let settings = json!({
        "KOPIST_AFTER_MAINTENANCE": "verify,replicate",
        "KOPIST_TARGET_KOPIA_REPOSITORY": "filesystem:///mnt/copy",
        "KOPIA_MAINTENANCE_CONTENT_VERIFY_PERCENTAGE": "100",
    });
    let log = succeed(&container, "maintenance", &settings);
    assert!(log.contains("after maintenance: verify"), "{log}");
    assert!(log.contains("2 snapshots verified"), "{log}");
    assert!(log.contains("the copy in directory /mnt/copy is complete"), "{log}");
    assert!(log.contains("MAINTENANCE_STATUS: SUCCESS"), "{log}");

    // One that fails makes the run fail and does not keep the others from it.
    damage(&container, "/mnt/repo", "p");
    let mut all = settings.clone();
    all["KOPIST_VERIFY_PERCENT"] = json!("100");
    let ended = run(&container, "maintenance", &all);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(ended.log.contains("maintenance is done, but: verify: "), "{}", ended.log);
    assert!(ended.log.contains("after maintenance: replicate"), "{}", ended.log);
}

#[test]
fn maintenance_checks_the_index_where_that_is_asked_for() {
    let container = saved();
    let asked = json!({"KOPIA_MAINTENANCE_CONTENT_VERIFY_PERCENTAGE": "100"});
    succeed(&container, "maintenance", &asked);
    let pack = walkdir::WalkDir::new(container.path("/mnt/repo"))
        .into_iter()
        .flatten()
        .find(|entry| {
            let root = container.path("/mnt/repo");
            let path = entry.path().strip_prefix(root).unwrap();
            entry.file_type().is_file() && path.to_string_lossy().starts_with('p')
        })
        .unwrap();
    std::fs::remove_file(pack.path()).unwrap();
    let ended = run(&container, "maintenance", &asked);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    assert!(ended.log.contains("the index does not fit the packs"), "{}", ended.log);
    let wrong = json!({"KOPIA_MAINTENANCE_CONTENT_VERIFY_PERCENTAGE": "much"});
    let log = run(&container, "maintenance", &wrong).log;
    assert!(log.contains("is no number from 0 to 100; nothing is checked"), "{log}");
}
