//! Every vector and every golden repository is used by a test.

use std::collections::BTreeSet;

use kopist_testkit::{checkout, golden, testdata, vectors};
use sha2::{Digest, Sha256};

/// Vectors whose subject the program does not have yet, with that subject.
const NOT_YET: &[(&str, &str)] =
    &[("e2e-baseline", "running kopia's own end-to-end tests against kopist")];

#[test]
fn every_vector_is_used_by_a_test() {
    let code = rust_code();
    let waiting: BTreeSet<&str> = NOT_YET.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for name in vectors::names() {
        let (file, quoted) = (format!("{name}.json"), format!("\"{name}\""));
        let used = code.iter().any(|text| {
            text.contains("vectors") && (text.contains(&file) || text.contains(&quoted))
        });
        match (used, waiting.contains(name.as_str())) {
            (false, false) => wrong.push(format!("no test uses testdata/vectors/{name}.json")),
            (true, true) => wrong.push(format!("{name} is used: take it out of the list above")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The golden test runs over whole folders, so a repository is covered by being in the folder,
/// complete and unchanged, and of a group that the test knows.
#[test]
fn golden_repositories_are_complete_and_unchanged() {
    let folder = testdata().join("golden");
    let mut axes = BTreeSet::new();
    for repository in golden::all_in(&folder) {
        let archive = &repository.description.archive;
        let bytes = std::fs::read(folder.join(&archive.file)).unwrap();
        let digest = hex::encode(Sha256::digest(&bytes));
        assert_eq!(digest, archive.sha256, "{} is not the archive it was", repository.name());
        axes.insert(repository.description.group);
    }
    let known: BTreeSet<String> = AXES.iter().map(|axis| (*axis).to_owned()).collect();
    assert_eq!(axes, known, "an axis is not covered, or not in the list");
}

const AXES: &[&str] = &[
    "broken",
    "compression",
    "concurrency",
    "ecc",
    "encryption",
    "format",
    "hash",
    "kdf",
    "legacy",
    "maintenance",
    "manifest",
    "object",
    "policy",
    "snapshot",
    "splitter",
    "storage",
    "tree",
    "upgrade",
];

/// The text of all Rust files but this one.
fn rust_code() -> Vec<String> {
    let root = checkout();
    let own = root.join(file!());
    ["crates", "tests", "xtask", "benches"]
        .iter()
        .map(|folder| root.join(folder))
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap))
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .filter(|entry| entry.path() != own)
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .collect()
}
