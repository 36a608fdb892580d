//! The golden repositories are complete.

use std::collections::BTreeSet;

use kopist_testkit::{golden, testdata};
use sha2::{Digest, Sha256};

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
