//! Two clients of one repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kopist_testkit::oracle::{self, Client};
use kopist_testkit::tree::{self, Comparison};
use serde_json::Value;

use crate::program::program;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A repository on disk, kopist as one client of it and kopia as another, both with the same
/// user and host name.
pub(crate) struct Pair {
    /// Everything of this test lies in here.
    pub(crate) folder: tempfile::TempDir,
    /// The repository's directory.
    pub(crate) repository: PathBuf,
    /// The program under test.
    pub(crate) kopist: Client,
    /// The reference.
    pub(crate) kopia: Client,
}

impl Pair {
    /// The clients, not connected yet; none without kopia, after saying so.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let reference = oracle::find_or_skip(test)?;
        let folder = tempfile::Builder::new().prefix("interop-").tempdir().unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        let kopist = Client::new(&program(), &folder.path().join("kopist"), PASSWORD);
        let kopia = Client::new(&reference, &folder.path().join("kopia"), PASSWORD);
        Some(Self { folder, repository, kopist, kopia })
    }

    /// A repository that kopist created.
    pub(crate) fn created_by_kopist(test: &str, flags: &[&str]) -> Option<Self> {
        let pair = Self::new(test)?;
        create(&pair.kopist, &pair.repository, flags);
        connect(&pair.kopia, &pair.repository);
        Some(pair)
    }

    /// A repository that kopia created.
    pub(crate) fn created_by_kopia(test: &str, flags: &[&str]) -> Option<Self> {
        let pair = Self::new(test)?;
        create(&pair.kopia, &pair.repository, flags);
        connect(&pair.kopist, &pair.repository);
        Some(pair)
    }

    /// Both list the same snapshots with the same JSON; returns the list.
    #[track_caller]
    pub(crate) fn same_snapshots(&self) -> Vec<Value> {
        let ours = snapshots(&self.kopist);
        assert_eq!(
            ours,
            snapshots(&self.kopia),
            "kopist (left) and kopia (right) list differently"
        );
        ours
    }
}

/// Creates a repository and connects to it.
#[track_caller]
pub(crate) fn create(client: &Client, repository: &Path, flags: &[&str]) {
    let mut arguments = vec!["repository", "create"];
    arguments.extend(flags);
    arguments.extend(["filesystem", "--path", repository.to_str().unwrap()]);
    arguments.extend(CONNECTION);
    client.ok(&arguments);
}

/// Connects to a repository.
#[track_caller]
pub(crate) fn connect(client: &Client, repository: &Path) {
    let mut arguments =
        vec!["repository", "connect", "filesystem", "--path", repository.to_str().unwrap()];
    arguments.extend(CONNECTION);
    client.ok(&arguments);
}

/// One user and host for both; and lists of index blobs are not remembered (kopia keeps them for
/// 30 seconds in repositories without epochs), so that each sees at once what the other wrote.
const CONNECTION: [&str; 5] = [
    "--override-username",
    "someone",
    "--override-hostname",
    "somewhere",
    "--max-list-cache-duration=0s",
];

/// Makes a snapshot and returns its manifest.
#[track_caller]
pub(crate) fn snapshot(client: &Client, source: &Path) -> Value {
    client.json(&[
        "snapshot",
        "create",
        source.to_str().unwrap(),
        "--json",
        "--no-auto-maintenance",
    ])
}

/// `snapshot list`, everything.
#[track_caller]
pub(crate) fn snapshots(client: &Client) -> Vec<Value> {
    let list = ["snapshot", "list", "--all", "--json", "--show-identical", "--incomplete"];
    client.json(&list).as_array().expect("a list").clone()
}

/// The ID of a snapshot manifest.
pub(crate) fn id(manifest: &Value) -> &str {
    manifest["id"].as_str().expect("a snapshot has an ID")
}

/// The root object of a snapshot manifest.
pub(crate) fn root(manifest: &Value) -> &str {
    manifest["rootEntry"]["obj"].as_str().expect("a snapshot has a root")
}

/// Both kinds of verification, reading every byte.
#[track_caller]
pub(crate) fn verify(client: &Client) {
    client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    client.ok(&["content", "verify", "--full"]);
}

/// Restores a snapshot with `client` and compares it with what was backed up.
#[track_caller]
pub(crate) fn restores_to(client: &Client, id: &str, expected: &[tree::Entry]) {
    let target = client.folder().join(format!("restored-{id}"));
    client.ok(&["snapshot", "restore", id, target.to_str().unwrap()]);
    let found = tree::compare(expected, &tree::list(&target), Comparison::restored());
    assert!(found.is_empty(), "snapshot {id} is restored with differences:\n{found}");
    std::fs::remove_dir_all(&target).unwrap();
}

/// Names and lengths of the blobs of a filesystem repository.
pub(crate) fn blobs(repository: &Path) -> BTreeMap<String, u64> {
    walkdir::WalkDir::new(repository)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let path = entry.path().strip_prefix(repository).unwrap();
            let name: String = path.iter().map(|part| part.to_str().unwrap()).collect();
            Some((name.strip_suffix(".f")?.to_owned(), entry.metadata().unwrap().len()))
        })
        .collect()
}

/// The path of a blob's file.
pub(crate) fn blob_file(repository: &Path, name: &str) -> PathBuf {
    walkdir::WalkDir::new(repository)
        .into_iter()
        .map(Result::unwrap)
        .find(|entry| {
            let path = entry.path().strip_prefix(repository).unwrap();
            let joined: String = path.iter().map(|part| part.to_str().unwrap()).collect();
            joined.strip_suffix(".f") == Some(name)
        })
        .unwrap_or_else(|| panic!("no blob {name}"))
        .into_path()
}
