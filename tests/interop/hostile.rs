//! Repositories that somebody prepared so that a restore writes where it should not.
//!
//! kopia joins the names it finds in a directory object to the target path and follows what is
//! there; kopist must refuse both.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kopist_blob::BlobStore;
use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_format::id::{IdPrefix, ObjectId};
use kopist_repo::{
    ClientIdentity, CreateOptions, ObjectOptions, OpenOptions, Repository, RepositoryWriter,
    WriterOptions,
};
use kopist_testkit::oracle::{Client, Outcome};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::pair::{PASSWORD, connect};
use crate::program::program;

/// A repository with one snapshot whose directories are what the test says, a client of it, and
/// a file outside of the restored directory that must stay as it is.
struct Trap {
    folder: tempfile::TempDir,
    client: Client,
    snapshot: String,
}

impl Trap {
    fn new(entries: impl FnOnce(&Writer) -> Vec<Value>) -> Self {
        let folder = tempfile::Builder::new().prefix("hostile-").tempdir().unwrap();
        let path = folder.path().join("repository");
        fs::create_dir(&path).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/mine"), "untouched").unwrap();
        let snapshot = write(&path, entries);
        let client = Client::new(&program(), &folder.path().join("client"), PASSWORD);
        connect(&client, &path);
        Self { folder, client, snapshot }
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("restored")
    }

    fn restore(&self, more: &[&str]) -> Outcome {
        let target = self.target();
        let arguments = [&["restore", &self.snapshot, target.to_str().unwrap()], more].concat();
        let outcome = self.client.run(&arguments);
        assert!(!outcome.output().contains("panicked"), "{outcome}");
        outcome
    }

    /// Nothing but what was there lies outside of the target.
    fn nothing_escaped(&self) {
        let names = |folder: &Path| {
            let mut names: Vec<String> = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(fs::read(self.outside().join("mine")).unwrap(), b"untouched");
        assert_eq!(names(&self.outside()), ["mine"]);
        let mut allowed = vec!["client", "outside", "repository"];
        if self.target().exists() {
            allowed.push("restored");
        }
        allowed.sort_unstable();
        assert_eq!(names(self.folder.path()), allowed);
    }
}

/// Writes files and directories into the repository.
struct Writer(RepositoryWriter);

impl Writer {
    fn file(&self, name: &str, text: &str) -> Value {
        let object = self.0.write_object(text.as_bytes(), ObjectOptions::default()).unwrap();
        entry(name, "f", text.len(), object)
    }

    fn link(&self, name: &str, target: &Path) -> Value {
        let target = target.to_str().unwrap();
        let object = self.0.write_object(target.as_bytes(), ObjectOptions::default()).unwrap();
        entry(name, "s", target.len(), object)
    }

    fn directory(&self, name: &str, entries: &[Value]) -> Value {
        let summary = json!({
            "size": 0, "files": 1, "symlinks": 0, "dirs": 1,
            "maxTime": "2024-01-01T00:00:00Z", "numFailed": 0,
        });
        let object = json!({ "stream": "kopia:directory", "entries": entries, "summary": summary });
        let options =
            ObjectOptions { prefix: Some(IdPrefix::DIRECTORY), ..ObjectOptions::default() };
        let id = self.0.write_object(object.to_string().as_bytes(), options).unwrap();
        let mut entry = entry(name, "d", 0, id);
        entry["summ"] = summary;
        entry
    }
}

fn entry(name: &str, kind: &str, size: usize, object: ObjectId) -> Value {
    json!({
        "name": name, "type": kind, "mode": "0755", "size": size,
        "mtime": "2024-01-01T00:00:00Z", "obj": object.to_string(),
    })
}

/// Makes a repository with one snapshot and returns the snapshot's ID.
fn write(path: &Path, entries: impl FnOnce(&Writer) -> Vec<Value>) -> String {
    let store: Arc<dyn BlobStore> =
        Arc::new(FilesystemStore::create(FilesystemConfig::new(path)).unwrap());
    let password = SecretString::from(PASSWORD);
    kopist_repo::create(store.as_ref(), &password, &CreateOptions::default()).unwrap();
    let options = OpenOptions {
        identity: ClientIdentity::new("someone", "somewhere"),
        ..OpenOptions::default()
    };
    let repository = Repository::open(store, &password, options).unwrap();
    let writer = Writer(repository.writer(WriterOptions::default()).unwrap());
    let entries = entries(&writer);
    let root = writer.directory("root", &entries);
    let labels = [
        ("type", "snapshot"),
        ("hostname", "somewhere"),
        ("username", "someone"),
        ("path", "/trap"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let manifest = json!({
        "source": { "host": "somewhere", "userName": "someone", "path": "/trap" },
        "description": "",
        "startTime": "2024-01-01T00:00:00Z",
        "endTime": "2024-01-01T00:00:01Z",
        "rootEntry": root,
    });
    let id = writer.0.put_manifest(&labels, &manifest).unwrap();
    writer.0.flush().unwrap();
    id.as_str().to_owned()
}

#[test]
fn names_that_lead_out_of_the_directory_are_refused() {
    for name in ["../outside/evil", "..", ".", "", "sub/evil", "/etc/evil", "nul\0evil"] {
        let trap = Trap::new(|writer| vec![writer.file(name, "evil"), writer.file("good", "good")]);
        let outcome = trap.restore(&[]).expect_failure();
        trap.nothing_escaped();
        assert!(!outcome.stderr.is_empty(), "{name:?}: nothing is said");
        // Who wants the rest anyway gets it, and nothing else.
        trap.restore(&["--ignore-errors"]);
        trap.nothing_escaped();
        assert_eq!(fs::read(trap.target().join("good")).unwrap(), b"good", "{name:?}");
    }
}

#[test]
fn a_directory_named_like_a_path_is_refused() {
    let trap = Trap::new(|writer| {
        let evil = writer.file("evil", "evil");
        vec![writer.directory("../outside", &[evil])]
    });
    trap.restore(&[]).expect_failure();
    trap.nothing_escaped();
}

/// Two entries of one name: first a link that leads out, then a directory to be written into.
#[test]
fn a_link_of_the_snapshot_is_not_followed() {
    for order in [[0, 1], [1, 0]] {
        let trap = Trap::new(|writer| {
            let outside = PathBuf::from("../outside");
            let evil = [writer.file("evil", "evil"), writer.file("mine", "evil")];
            let both = [writer.link("x", &outside), writer.directory("x", &evil)];
            order.map(|index| both[index].clone()).to_vec()
        });
        trap.restore(&[]);
        trap.nothing_escaped();
    }
}

/// A link that lies where the snapshot has a directory or a file.
#[test]
fn a_link_in_the_target_is_not_followed() {
    let trap = Trap::new(|writer| {
        let mine = writer.file("mine", "evil");
        vec![writer.directory("sub", &[mine]), writer.file("file", "evil")]
    });
    fs::create_dir(trap.target()).unwrap();
    symlink(trap.outside(), trap.target().join("sub")).unwrap();
    symlink(trap.outside().join("mine"), trap.target().join("file")).unwrap();
    trap.restore(&[]);
    trap.nothing_escaped();
}
