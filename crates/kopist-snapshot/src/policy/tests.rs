//! kopia's own merges, and properties of ours.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::SourceInfo;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    defined: Vec<Defined>,
    query: String,
    hierarchy: Vec<String>,
    effective: Value,
    origin: BTreeMap<String, String>,
    #[serde(default)]
    tree: Vec<Probe>,
}

#[derive(Deserialize)]
struct Defined {
    target: String,
    policy: Policy,
}

#[derive(Deserialize)]
struct Probe {
    path: String,
    defined: bool,
    source: String,
}

fn source(text: &str) -> SourceInfo {
    SourceInfo::parse(text, "", "", "/").unwrap()
}

#[test]
fn every_merge_of_kopia() {
    let file: File = kopist_testkit::vectors::load("policy-merge");
    assert_eq!(file.cases.len(), 57);
    for case in file.cases {
        let name = &case.name;
        let stored = case.defined.into_iter().map(|defined| StoredPolicy {
            target: source(&defined.target),
            policy: defined.policy,
            ..Default::default()
        });
        let set = PolicySet::new(stored.collect());
        let query = source(&case.query);
        let found = set.effective(&query);
        let mut effective = serde_json::to_value(&found.policy).unwrap();
        let mut expected = case.effective;
        drop_empty_sections(&mut effective);
        drop_empty_sections(&mut expected);
        assert_eq!(effective, expected, "{name}");
        let hierarchy: Vec<_> = found.hierarchy.iter().map(ToString::to_string).collect();
        assert_eq!(hierarchy, case.hierarchy, "{name}");
        let origin: BTreeMap<_, _> = found
            .origins
            .into_iter()
            .map(|(field, source)| (field.to_owned(), source.to_string()))
            .collect();
        assert_eq!(origin, case.origin, "{name}");
        let tree = set.tree(&query);
        for probe in case.tree {
            let node = match probe.path.as_str() {
                "." => tree.clone(),
                path => {
                    path.split('/').fold(tree.clone(), |node, part| node.child(part.as_bytes()))
                }
            };
            let label = format!("{name}: {}", probe.path);
            assert_eq!(node.defined().is_some(), probe.defined, "{label}");
            assert_eq!(node.source().target.to_string(), probe.source, "{label}");
        }
    }
}

fn drop_empty_sections(policy: &mut Value) {
    if let Some(sections) = policy.as_object_mut() {
        sections.retain(|_, section| section.as_object().is_none_or(|map| !map.is_empty()));
    }
}

#[test]
fn unknown_fields_survive_at_every_level() {
    let mut json = serde_json::to_value(built_in()).unwrap();
    let sections: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(sections.len(), 11);
    for section in sections {
        json[&section]["future"] = serde_json::json!({"deep": [1, "<", null]});
    }
    json["osSnapshots"]["volumeShadowCopy"]["future"] = 1.into();
    json["logging"]["entries"]["future"] = "x".into();
    json["logging"]["directories"]["future"] = "x".into();
    json["actions"]["beforeFolder"] = serde_json::json!({"path": "/x", "future": true});
    json["brandNew"] = serde_json::json!([]);
    let policy: Policy = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&policy).unwrap(), json);
}

#[test]
fn the_text_is_the_one_kopia_writes() {
    assert_eq!(
        serde_json::to_string(&Policy::default()).unwrap(),
        r#"{"retention":{},"files":{},"errorHandling":{},"scheduling":{},"compression":{},"metadataCompression":{},"splitter":{},"actions":{},"osSnapshots":{"volumeShadowCopy":{}},"logging":{"directories":{},"entries":{}},"upload":{}}"#
    );
    let nulls = r#"{"retention":{"keepLatest":null},"files":{"ignore":null,"maxFileSize":null},"compression":{"compressorName":null}}"#;
    assert_eq!(serde_json::from_str::<Policy>(nulls).unwrap(), Policy::default());
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (
        any::<[Option<bool>; 3]>(),
        any::<[Option<u8>; 2]>(),
        any::<[u8; 2]>(),
        proptest::collection::vec("[a-c]", 0..3),
        any::<[bool; 4]>(),
        prop_oneof![Just(String::new()), Just("zstd".to_owned()), Just("none".to_owned())],
    )
        .prop_map(|(optional, counts, sizes, list, flags, name)| {
            let mut policy = Policy::default();
            policy.retention.keep_daily = counts[0].map(i64::from);
            policy.upload.parallel_upload_above_size = counts[1].map(i64::from);
            policy.files.one_file_system = optional[0];
            policy.error_handling.ignore_file_errors = optional[1];
            policy.scheduling.run_missed = optional[2];
            policy.files.max_file_size = sizes[0].into();
            policy.compression.min_size = sizes[1].into();
            policy.files.ignore.clone_from(&list);
            policy.compression.only_compress = list;
            policy.compression.no_parent_only_compress = flags[0];
            policy.scheduling.no_parent_times_of_day = flags[1];
            policy.scheduling.times_of_day =
                vec![TimeOfDay { hour: u32::from(sizes[0] % 24), minute: 0 }];
            policy.scheduling.manual = flags[2];
            policy.no_parent = flags[3] && sizes[0] > 200;
            policy.compression.compressor_name = name;
            policy
        })
}

proptest! {
    #[test]
    fn json_and_back(policy in any_policy()) {
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }

    /// A level that says nothing changes nothing, wherever it stands.
    #[test]
    fn an_empty_level_is_neutral(levels in proptest::collection::vec(any_policy(), 1..4), at in 1usize..4) {
        let named = |policies: &[Policy]| -> Vec<(SourceInfo, Policy)> {
            policies.iter().enumerate().map(|(i, p)| (SourceInfo::new("", format!("h{i}"), ""), p.clone())).collect()
        };
        let fold = |policies: &[(SourceInfo, Policy)]| {
            let levels: Vec<_> = policies.iter().map(|(s, p)| (s.clone(), p)).collect();
            merge(&levels).0
        };
        let plain = named(&levels);
        let mut padded = plain.clone();
        padded.insert(at.min(plain.len()), (SourceInfo::new("", "empty", ""), Policy::default()));
        prop_assert_eq!(fold(&plain), fold(&padded));
    }

    /// Merging the merged policy with nothing gives it back: it is complete.
    #[test]
    fn merging_is_idempotent(levels in proptest::collection::vec(any_policy(), 1..4)) {
        let source = SourceInfo::new("u", "h", "/p");
        let levels: Vec<_> = levels.iter().map(|policy| (source.clone(), policy)).collect();
        let (once, _) = merge(&levels);
        prop_assume!(levels.iter().all(|(_, policy)| !policy.no_parent));
        let (twice, _) = merge(&[(source, &once)]);
        prop_assert_eq!(once, twice);
    }
}
