//! The direction of the arrows between the crates, held by a test: who may depend on whom is the
//! table below and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate with what it may depend on, lowest first.
const ARROWS: &[(&str, &[&str])] = &[
    ("kopist-format", &[]),
    ("kopist-blob", &[]),
    ("kopist-cloud", &["kopist-blob"]),
    ("kopist-repo", &["kopist-blob", "kopist-format"]),
    ("kopist-snapshot", &["kopist-blob", "kopist-format", "kopist-repo"]),
    (
        "kopist-cli",
        &["kopist-blob", "kopist-cloud", "kopist-format", "kopist-repo", "kopist-snapshot"],
    ),
    (
        "kopist-mover",
        &["kopist-blob", "kopist-cloud", "kopist-format", "kopist-repo", "kopist-snapshot"],
    ),
    (
        "kopist",
        &[
            "kopist-blob",
            "kopist-cli",
            "kopist-cloud",
            "kopist-format",
            "kopist-mover",
            "kopist-repo",
            "kopist-snapshot",
        ],
    ),
];

/// The dependencies of each published crate on the others, tests left out.
fn found() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(kopist_testkit::checkout())
        .output()
        .expect("cargo metadata starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut found = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let arrows = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|dependency| ours.contains(dependency))
            .map(str::to_owned)
            .collect();
        found.insert(name.to_owned(), arrows);
    }
    found.remove("xtask");
    found.remove("kopist-testkit");
    found
}

#[test]
fn crates_depend_downwards_only() {
    let found = found();
    for (name, arrows) in &found {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("{name} is a new crate: say in ARROWS where it stands"));
        for arrow in arrows {
            assert!(
                allowed.contains(&arrow.as_str()),
                "{name} depends on {arrow}, which is not below it: see docs/architecture.md"
            );
        }
    }
    assert_eq!(found.len(), ARROWS.len(), "a crate of ARROWS is gone");
}
