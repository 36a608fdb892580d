//! A writer that is killed without warning: what it was told to be written is there, and what
//! is there is whole.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_blob::{BlobStore, ByteRange, PutOptions, list_all};

/// Names the directory to write to; set only for the writer.
const ROLE: &str = "KOPIST_TEST_WRITE_TO";

fn contents(id: &str) -> Vec<u8> {
    id.repeat(3000).into_bytes()
}

/// Not a test by itself: the process that is killed runs it.
#[test]
fn writer() {
    let Some(root) = std::env::var_os(ROLE) else { return };
    let store = FilesystemStore::create(FilesystemConfig::new(root)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 0.. {
                    // Every other blob replaces one that is there.
                    let id = format!("p{thread}{:02}-blob-of-the-killed-writer", n / 2 % 100);
                    let data = contents(&id);
                    store.put(&id.as_str().into(), &[&data], &PutOptions::default()).unwrap();
                    let mut out = std::io::stderr().lock();
                    writeln!(out, "written {id}").unwrap();
                }
            });
        }
    });
}

fn kill_after(root: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["killed::writer", "--exact", "--nocapture"])
        .env(ROLE, root)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        if let Some(id) = line.unwrap().strip_prefix("written ") {
            acknowledged.push(id.to_owned());
        }
        if acknowledged.len() == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    acknowledged
}

#[test]
fn what_was_acknowledged_is_there_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    for lines in [1, 7, 50, 120] {
        let acknowledged = kill_after(dir.path(), lines);
        assert!(acknowledged.len() >= lines);
        let store = FilesystemStore::open(FilesystemConfig::new(dir.path())).unwrap();
        for blob in list_all(&store, "").unwrap() {
            let data = store.get(&blob.id, ByteRange::Full).unwrap();
            assert!(data == contents(blob.id.as_str()), "{} is torn", blob.id);
        }
        for id in acknowledged {
            store.metadata(&id.as_str().into()).unwrap();
        }
    }
}
