//! The direction of the arrows between the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of our crates a crate may use, besides in its tests. Arrows point down only, and
/// `kopist-cloud` is reached only where a storage configuration becomes a store.
const ALLOWED: &[(&str, &[&str])] = &[
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
    ("kopist-testkit", &[]),
    ("xtask", &["kopist-testkit"]),
];

/// Packages that the pure crate must not pull in: runtimes, networks, files. (It has `memmap2` for
/// memory of its own; to map files with it is forbidden by a lint, as all of `std::fs`.)
const IMPURE: &[&str] = &["tokio", "async-std", "reqwest", "hyper", "rustix", "tempfile"];

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(ours, allowed.keys().copied().collect(), "a crate is missing from the list above");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            if dependency["kind"] == "dev" {
                continue;
            }
            if ours.contains(target) {
                assert!(allowed[name].contains(target), "{name} must not use {target}");
            }
            if name == "kopist-format" {
                assert!(!IMPURE.contains(&target), "kopist-format is pure, {target} is not");
            }
        }
    }
}

#[test]
fn test_support_stays_out_of_what_is_published() {
    for package in metadata()["packages"].as_array().unwrap() {
        let published = package["publish"].is_null();
        for dependency in package["dependencies"].as_array().unwrap() {
            let support = dependency["name"] == "kopist-testkit" && dependency["kind"] != "dev";
            assert!(!(published && support), "{} uses kopist-testkit", package["name"]);
        }
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(kopist_testkit::checkout())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
