//! Repositories with damage.

use std::collections::BTreeSet;

use kopist_testkit::golden::{ExpectedCommand, ExpectedRestore};
use kopist_testkit::oracle::Outcome;
use kopist_testkit::tree::{self, Comparison};

use crate::{Case, remove};

/// Reasons that name no blob, because there is none to name.
const REASONS: &[&str] =
    &["invalid repository password", "repository not initialized in the provided storage"];

pub(crate) fn check(case: &Case<'_>) {
    let description = &case.golden.description;
    assert!(!description.expected.is_empty(), "no command is described");
    for expected in &description.expected {
        let arguments = case.arguments(&expected.cmd);
        let outcome = case.client.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        outcome_is_as_expected(expected, &outcome);
        if expected.cmd.starts_with("snapshot list") && expected.succeeded() {
            visible_snapshots_are_listed(case, &outcome);
        }
        if expected.cmd.starts_with("snapshot restore") {
            whole_files_are_restored(case, expected, &outcome);
        }
    }
}

/// Success or failure as kopia, and an error that names one of the things that kopia names.
fn outcome_is_as_expected(expected: &ExpectedCommand, outcome: &Outcome) {
    assert!(!outcome.output().contains("panicked"), "{outcome}");
    assert_eq!(expected.rc, outcome.code, "another exit code than kopia's: {outcome}");
    if expected.succeeded() {
        return;
    }
    let told = expected.stderr.join("\n");
    let named = identifiers(&told);
    let names_one = named.iter().any(|name| outcome.stderr.contains(name));
    let gives_reason =
        REASONS.iter().any(|reason| told.contains(reason) && outcome.stderr.contains(reason));
    assert!(names_one || gives_reason, "the error names none of {named:?}: {outcome}");
}

/// Names of blobs, contents and objects: words of 32 or more hex digits, with what is joined on.
fn identifiers(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .filter(|word| {
            word.split(['_', '-']).any(|part| {
                part.len() >= 32 && part.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
            })
        })
        .map(str::to_owned)
        .collect()
}

fn visible_snapshots_are_listed(case: &Case<'_>, outcome: &Outcome) {
    let listed = outcome.json();
    let ids = |ids: &mut dyn Iterator<Item = String>| -> BTreeSet<String> { ids.collect() };
    let actual = ids(&mut (listed.as_array().expect("a list").iter())
        .map(|snapshot| snapshot["id"].as_str().expect("an ID").to_owned()));
    let expected = ids(&mut case
        .golden
        .description
        .visible_snapshots
        .iter()
        .map(|snapshot| snapshot.id.clone()));
    assert_eq!(actual, expected, "other snapshots are visible");
}

/// Everything but the described damage is there as it was backed up, and what is damaged is
/// either absent or told of.
fn whole_files_are_restored(case: &Case<'_>, command: &ExpectedCommand, outcome: &Outcome) {
    let description = &case.golden.description;
    let restore = description
        .expected_restore
        .iter()
        .find(|restore| command.cmd.contains(&restore.snapshot))
        .expect("a described restore");
    let target = case.folder.path().join("restored");
    let intact = &description.trees_intact[&restore.root];
    let found = tree::compare(intact, &tree::list(&target), Comparison::full());
    let damaged = damaged(restore);
    for path in found.missing.iter().chain(found.different.iter().map(|(path, _)| path)) {
        assert!(damaged.contains(path.as_str()), "{path} is whole but not restored:\n{found}");
        assert!(outcome.stderr.contains(path), "nothing is said about {path}: {outcome}");
    }
    assert_eq!(found.unexpected, [""; 0], "files appeared that were not backed up");
    remove(&target);
}

fn damaged(restore: &ExpectedRestore) -> BTreeSet<&str> {
    restore.missing.iter().chain(&restore.different).map(String::as_str).collect()
}
