//! The golden repositories, all of them: kopist reads what kopia wrote.
//!
//! One test runs over the index of the folder (see `testdata/golden/README.md` for where it is),
//! each repository in a directory of its own, with the program's own command lines. What is
//! expected stands in the repository's description and nowhere in this code.
//!
//! - [`intact`]: the described snapshots are listed, everything verifies, and each tree restores
//!   to the described one, byte, mode, time, owner and link;
//! - [`refused`]: repositories that must not be opened are not, with the reason;
//! - [`broken`]: damage is detected by the commands that should, the error names the blob or the
//!   content, and everything that is still whole is restored.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed precondition is a failed test

mod broken;
mod intact;
#[path = "../program.rs"]
mod program;
mod refused;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopist_testkit::golden::{self, GoldenRepository};
use kopist_testkit::oracle::Client;

#[test]
fn every_golden_repository() {
    let repositories = golden::all();
    let only = std::env::var("KOPIST_GOLDEN_ONLY").unwrap_or_default();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(golden) = repositories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !golden.name().contains(&only) {
                        continue;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(golden))) {
                        let message = (panic.downcast_ref::<String>().cloned())
                            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                            .unwrap_or_else(|| "panicked".to_owned());
                        failures.lock().unwrap().push(format!("{}: {message}", golden.name()));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} golden repositories failed:\n{}",
        failures.len(),
        repositories.len(),
        failures.join("\n\n")
    );
}

fn check(golden: &GoldenRepository) {
    let case = Case::new(golden);
    match golden.description.group.as_str() {
        "broken" => broken::check(&case),
        "format" | "upgrade" if !golden.description.expected.is_empty() => refused::check(&case),
        "compression" | "concurrency" | "ecc" | "encryption" | "format" | "hash" | "kdf"
        | "legacy" | "maintenance" | "manifest" | "object" | "policy" | "retention"
        | "snapshot" | "splitter" | "storage" | "tree" | "upgrade" => intact::check(&case),
        group => panic!("no test knows what to expect of the group {group:?}"),
    }
}

/// An unpacked repository and a client of it.
struct Case<'a> {
    golden: &'a GoldenRepository,
    folder: tempfile::TempDir,
    repository: PathBuf,
    client: Client,
}

impl<'a> Case<'a> {
    fn new(golden: &'a GoldenRepository) -> Self {
        let folder = tempfile::Builder::new().prefix("golden-").tempdir().unwrap();
        let repository = golden.unpack(folder.path());
        let client = Client::new(
            &program::program(),
            &folder.path().join("client"),
            &golden.description.password,
        );
        Self { golden, folder, repository, client }
    }

    /// The arguments of a described command, which names directories as `REPO` and `TMP`.
    fn arguments(&self, command: &str) -> Vec<String> {
        command
            .replace("REPO", self.repository.to_str().unwrap())
            .replace("TMP", self.folder.path().to_str().unwrap())
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    fn connect_read_only(&self) {
        let description = &self.golden.description;
        self.client.ok(&[
            "repository",
            "connect",
            "filesystem",
            "--path",
            self.repository.to_str().unwrap(),
            "--readonly",
            "--override-username",
            &description.username,
            "--override-hostname",
            &description.hostname,
        ]);
    }

    /// A path for one restored tree.
    fn target(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("restored-{name}"))
    }
}

/// Removes a restored tree, whatever its modes are.
fn remove(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}
