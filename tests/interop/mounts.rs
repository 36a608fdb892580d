//! A mounted snapshot is what a restore of it would be.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kopist_testkit::golden::{self, GoldenRepository};
use kopist_testkit::oracle::{Client, skipped};
use kopist_testkit::tree::{self, Comparison};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::program;

/// Whether this machine lets us mount.
fn can_mount(test: &str) -> bool {
    let device = File::options().read(true).write(true).open("/dev/fuse");
    let helper = ["fusermount3", "fusermount"]
        .iter()
        .any(|name| Command::new(name).arg("-V").stdout(Stdio::null()).status().is_ok());
    let why = match device {
        Err(error) => format!("/dev/fuse: {error}"),
        Ok(_) if !helper && !rustix::process::geteuid().is_root() => "no fusermount3".to_owned(),
        Ok(_) => return true,
    };
    skipped(test, &why);
    false
}

/// A program that has mounted a directory, until it ends.
struct Mount(Child);

impl Mount {
    /// Starts and waits until the directory is another file system.
    fn new(client: &Client, what: &str, directory: &Path) -> Self {
        std::fs::create_dir(directory).unwrap();
        let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev());
        let before = device(directory).unwrap();
        let arguments = ["mount", what, directory.to_str().unwrap()];
        let mut child = client.command(&arguments).spawn().unwrap();
        while device(directory).is_ok_and(|now| now == before) {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("mounting {what} ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }

    fn end(&mut self, signal: Signal) {
        let process = Pid::from_child(&self.0);
        kill_process(process, signal).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // After a failed assertion the directory must not stay mounted.
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

fn connect(golden: &GoldenRepository, folder: &Path) -> Client {
    let repository = golden.unpack(folder);
    let client = Client::new(&program(), &folder.join("client"), &golden.description.password);
    let path = repository.to_str().unwrap();
    client.ok(&["repository", "connect", "filesystem", "--path", path, "--readonly"]);
    client
}

#[test]
fn a_mounted_snapshot_is_the_restored_one() {
    if !can_mount("a_mounted_snapshot_is_the_restored_one") {
        return;
    }
    for name in ["special-files", "names", "bigdir"] {
        let golden = golden::get(name);
        let folder = tempfile::Builder::new().prefix("mount-").tempdir().unwrap();
        let client = connect(&golden, folder.path());
        let snapshot = &golden.description.snapshots[0];
        let point = folder.path().join("mounted");
        let mut mount = Mount::new(&client, &snapshot.id, &point);
        let expected = &golden.description.trees[&snapshot.root];
        let found = tree::compare(expected, &tree::list(&point), Comparison::restored());
        assert!(found.is_empty(), "{name} is mounted with differences:\n{found}");
        assert!(File::create(point.join("new")).is_err(), "{name}: can be written to");
        mount.end(Signal::INT);
        assert_eq!(std::fs::read_dir(&point).unwrap().count(), 0, "{name} is still mounted");
    }
}

#[test]
fn everything_is_mounted_by_source_and_time() {
    if !can_mount("everything_is_mounted_by_source_and_time") {
        return;
    }
    let golden = golden::get("snap-misc");
    let folder = tempfile::Builder::new().prefix("mount-").tempdir().unwrap();
    let client = connect(&golden, folder.path());
    let point = folder.path().join("mounted");
    let mut mount = Mount::new(&client, "all", &point);
    let tiny = point.join("golden@goldenhost/mnt_src_tiny/20210203-040506");
    let file = tiny.join("random-30k.bin");
    let whole = std::fs::read(&file).unwrap();
    assert_eq!(whole.len(), 30_000);
    // From the middle, and beyond the end.
    let mut part = [0; 1000];
    let opened = File::open(&file).unwrap();
    opened.read_exact_at(&mut part, 12_345).unwrap();
    assert_eq!(part, whole[12_345..13_345]);
    assert_eq!(opened.read_at(&mut part, whole.len() as u64).unwrap(), 0);
    drop(opened);
    assert_eq!(std::fs::read_dir(&point).unwrap().count(), 2, "two users");
    // Somebody else unmounts it.
    assert!(Command::new("umount").arg(&point).status().unwrap().success());
    assert!(mount.0.wait().unwrap().success());
}
