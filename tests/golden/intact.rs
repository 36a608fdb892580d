//! Repositories without a fault.

use std::collections::BTreeMap;

use kopist_testkit::golden::ContentEntry;
use kopist_testkit::tree::{self, Comparison};
use serde_json::Value;

use crate::{Case, remove};

pub(crate) fn check(case: &Case<'_>) {
    case.connect_read_only();
    snapshots_are_listed(case);
    contents_are_listed(case);
    manifests_are_listed(case);
    everything_verifies(case);
    trees_are_restored(case);
}

fn snapshots_are_listed(case: &Case<'_>) {
    let list = ["snapshot", "list", "--all", "--json", "--show-identical", "--incomplete"];
    let listed = case.client.json(&list);
    let mut actual: Vec<Value> = listed.as_array().expect("a list").iter().map(essence).collect();
    let mut expected: Vec<Value> = (case.golden.description.snapshots.iter())
        .map(|snapshot| {
            essence(&serde_json::json!({
                "id": snapshot.id,
                "source": {
                    "host": snapshot.source.host,
                    "userName": snapshot.source.user_name,
                    "path": snapshot.source.path,
                },
                "startTime": snapshot.start_time,
                "endTime": snapshot.end_time,
                "rootEntry": { "obj": snapshot.root, "type": snapshot.root_type },
                "description": snapshot.description,
                "tags": snapshot.tags,
                "pins": snapshot.pins,
                "incomplete": snapshot.incomplete,
                "retentionReason": snapshot.retention_reason,
            }))
        })
        .collect();
    let by_id = |a: &Value, b: &Value| a["id"].as_str().cmp(&b["id"].as_str());
    actual.sort_by(by_id);
    expected.sort_by(by_id);
    assert_eq!(actual, expected, "the listed snapshots differ");
}

/// What the description tells of a snapshot, out of `snapshot list --json`.
fn essence(snapshot: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    serde_json::json!({
        "id": snapshot["id"],
        "source": snapshot["source"],
        "startTime": snapshot["startTime"],
        "endTime": snapshot["endTime"],
        "root": snapshot["rootEntry"]["obj"],
        "rootType": snapshot["rootEntry"]["type"],
        "description": text(&snapshot["description"]),
        "tags": snapshot["tags"].as_object().cloned().unwrap_or_default(),
        "pins": list(&snapshot["pins"]),
        "incomplete": text(&snapshot["incomplete"]),
        "retentionReason": list(&snapshot["retentionReason"]),
    })
}

fn contents_are_listed(case: &Case<'_>) {
    let Some(oracle) = &case.golden.description.oracle else { return };
    let listed = case.client.json(&["content", "list", "--json", "--deleted"]);
    let actual: Vec<ContentEntry> = serde_json::from_value(listed).expect("a list of contents");
    let by_id = |entries: &[ContentEntry]| -> BTreeMap<String, ContentEntry> {
        entries.iter().map(|entry| (entry.content_id.clone(), entry.clone())).collect()
    };
    let (mut actual, expected) = (by_id(&actual), by_id(&oracle.contents));
    for (id, expected) in expected {
        let actual = actual.remove(&id);
        assert_eq!(actual.as_ref(), Some(&expected), "the entry of content {id} differs");
    }
    assert!(actual.is_empty(), "contents are listed that should not be: {actual:?}");
}

fn manifests_are_listed(case: &Case<'_>) {
    let Some(oracle) = &case.golden.description.oracle else { return };
    let listed = case.client.json(&["manifest", "list", "--json"]);
    let by_id = |entries: &[Value]| -> BTreeMap<String, Value> {
        entries
            .iter()
            .map(|entry| {
                let mut entry = entry.clone();
                entry.as_object_mut().expect("a manifest").remove("data");
                (entry["id"].as_str().expect("an ID").to_owned(), entry)
            })
            .collect()
    };
    let actual = by_id(listed.as_array().expect("a list"));
    assert_eq!(actual, by_id(&oracle.manifests), "the listed manifests differ");
}

fn everything_verifies(case: &Case<'_>) {
    case.client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    case.client.ok(&["content", "verify", "--full"]);
}

fn trees_are_restored(case: &Case<'_>) {
    let description = &case.golden.description;
    for (root, expected) in &description.trees {
        let snapshot = (description.snapshots.iter())
            .find(|snapshot| snapshot.root == *root)
            .expect("a snapshot of every tree");
        let target = case.target(root);
        case.client.ok(&["snapshot", "restore", &snapshot.id, target.to_str().unwrap()]);
        let found = tree::compare(expected, &tree::list(&target), Comparison::full());
        assert!(
            found.is_empty(),
            "snapshot {} is restored with differences:\n{found}",
            snapshot.id
        );
        remove(&target);
    }
}
