//! Input that is wrong, and an error that says so.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kopist_testkit::oracle::{self, Client, Outcome};
use kopist_testkit::servers::Sftp;
use kopist_testkit::tree::{self, Comparison, RandomTree, TreeShape};

use crate::pair::{
    PASSWORD, Pair, blob_file, blobs, create, id, restores_to, root, snapshot, snapshots, verify,
};
use crate::place::Place;
use crate::program::program;

/// A repository with one snapshot, written and read by kopist alone.
struct Own {
    folder: tempfile::TempDir,
    repository: PathBuf,
    client: Client,
}

impl Own {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("bad-").tempdir().unwrap();
        let repository = folder.path().join("repository");
        fs::create_dir(&repository).unwrap();
        let client = Client::new(&program(), &folder.path().join("client"), PASSWORD);
        create(&client, &repository, &[]);
        Self { folder, repository, client }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn connect_with(&self, client: &Client) -> Outcome {
        let path = self.repository.to_str().unwrap();
        client.run(&["repository", "connect", "filesystem", "--path", path])
    }
}

#[test]
fn a_wrong_password_is_called_so_and_leaves_the_connection_alone() {
    let own = Own::new();
    let mut stranger = own.client.clone();
    stranger.set("KOPIA_PASSWORD", "something else");
    let outcome = own.connect_with(&stranger).expect_failure();
    assert!(outcome.stderr.contains("invalid repository password"), "{outcome}");
    // The connection that was there still works.
    own.client.ok(&["repository", "status"]);
}

#[test]
fn an_empty_directory_is_not_a_repository() {
    let own = Own::new();
    let empty = own.path("empty");
    fs::create_dir(&empty).unwrap();
    let connect = ["repository", "connect", "filesystem", "--path", empty.to_str().unwrap()];
    let outcome = own.client.run(&connect).expect_failure();
    assert!(outcome.stderr.contains("repository not initialized"), "{outcome}");
    assert!(fs::read_dir(&empty).unwrap().next().is_none(), "something was written");
}

#[test]
fn a_repository_is_not_created_over_another() {
    let own = Own::new();
    let before = blobs(&own.repository);
    let again = ["repository", "create", "filesystem", "--path", own.repository.to_str().unwrap()];
    own.client.run(&again).expect_failure();
    assert_eq!(blobs(&own.repository), before);
}

#[test]
fn names_that_are_not_utf8_are_backed_up_as_kopia_does() {
    let test = "names_that_are_not_utf8_are_backed_up_as_kopia_does";
    let Some(pair) = Pair::created_by_kopist(test, &[]) else { return };
    let source = pair.folder.path().join("source");
    fs::create_dir(&source).unwrap();
    for name in [&b"latin1-\xe9"[..], b"cut-\xf0\x9f\x98", b"lone-\xff\xfe-bytes", b"fine"] {
        fs::write(source.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let ours = snapshot(&pair.kopist, &source);
    pair.kopia.ok(&["repository", "set-client", "--username=other"]);
    let theirs = snapshot(&pair.kopia, &source);
    assert_eq!(ours["rootEntry"]["obj"], theirs["rootEntry"]["obj"]);
    verify(&pair.kopia);
    verify(&pair.kopist);
}

#[test]
fn an_unreadable_file_fails_the_backup_but_not_the_rest_of_it() {
    let own = Own::new();
    let source = own.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("readable"), b"yes").unwrap();
    fs::write(source.join("secret"), b"no").unwrap();
    fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command =
        own.client.command(&["snapshot", "create", source.to_str().unwrap(), "--json"]);
    as_somebody(&mut command, own.folder.path());

    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);

    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("secret"), "the file is not named: {told}");
    // The snapshot is saved with what could be read, and says what could not.
    let listed = snapshots(&own.client);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["rootEntry"]["summ"]["numFailed"], 1);
    let target = own.path("restored");
    own.client.ok(&["snapshot", "restore", id(&listed[0]), target.to_str().unwrap()]);
    assert_eq!(fs::read(target.join("readable")).unwrap(), b"yes");
    assert!(!target.join("secret").exists());
}

#[test]
fn a_file_is_backed_up_out_of_a_directory_that_may_only_be_entered() {
    let own = Own::new();
    let closed = own.path("closed");
    fs::create_dir(&closed).unwrap();
    let file = closed.join("file");
    fs::write(&file, b"yes").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o100)).unwrap();
    let back_up = |path: &Path| {
        let mut command = own.client.command(&["snapshot", "create", path.to_str().unwrap()]);
        as_somebody(&mut command, own.folder.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };

    let (status, told) = back_up(&file);
    assert_eq!(status, Some(0), "{told}");
    let listed = snapshots(&own.client);
    assert_eq!(own.client.run(&["show", root(&listed[0])]).stdout, "yes");

    // The directory itself cannot be, and that is what is said of it.
    let (status, told) = back_up(&closed);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("permission denied") && !told.contains("lstat"), "{told}");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

/// root may read everything, so a test of permissions runs the program as nobody.
fn as_somebody(command: &mut Command, folder: &Path) {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for entry in walkdir::WalkDir::new(folder) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    command.uid(NOBODY).gid(NOBODY);
}

#[test]
fn a_full_disk_fails_the_backup_and_leaves_the_repository_whole() {
    let folder = tempfile::Builder::new().prefix("full-").tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "24m") else { return };
    let client = Client::new(&program(), &folder.path().join("client"), PASSWORD);
    let repository = disk.0.join("repository");
    fs::create_dir(&repository).unwrap();
    create(&client, &repository, &[]);
    backs_up_until_it_is_full(&client, folder.path(), "no space left on device");
}

#[test]
fn a_full_disk_behind_sftp_does_the_same() {
    const ROOM: u64 = 24 << 20;
    let Some(server) = Sftp::start_on_small_disk("a full disk behind sftp", ROOM) else { return };
    let folder = tempfile::Builder::new().prefix("full-").tempdir().unwrap();
    let client = Client::new(&program(), &folder.path().join("client"), PASSWORD);
    Place::by_token("sftp", &server.config("r")).run(&client, "create");
    backs_up_until_it_is_full(&client, folder.path(), "no space left on the storage");
}

/// Backs up what there is room for, and then what there is none for.
fn backs_up_until_it_is_full(client: &Client, folder: &Path, message: &str) {
    let source = folder.join("source");
    let tree = RandomTree::create(&source, 8, TreeShape::default());
    let small = snapshot(client, tree.root());
    let listing = tree::list(&source);
    let large = folder.join("large");
    fs::create_dir(&large).unwrap();
    let mut rng = tree::Rng::new(9);
    for number in 0..10 {
        fs::write(large.join(number.to_string()), rng.bytes(6_000_000)).unwrap();
    }

    let outcome = client.run(&["snapshot", "create", large.to_str().unwrap()]).expect_failure();

    assert!(outcome.stderr.to_lowercase().contains(message), "{outcome}");
    assert_eq!(snapshots(client).len(), 1);
    verify(client);
    restores_to(client, id(&small), &listing);
}

/// A small file system of its own; unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            oracle::skipped("a full disk", "this user may not mount one");
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// What is done to a blob.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Truncated,
    Emptied,
    Flipped,
    Removed,
}

const DAMAGES: [Damage; 4] = [Damage::Truncated, Damage::Emptied, Damage::Flipped, Damage::Removed];

impl Damage {
    fn to(self, file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        match self {
            Damage::Truncated => bytes.truncate(bytes.len() / 2),
            Damage::Emptied => bytes.clear(),
            Damage::Flipped => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            Damage::Removed => return fs::remove_file(file).unwrap(),
        }
        fs::write(file, bytes).unwrap();
    }
}

/// A blob of each kind is damaged in each way. Whatever kopist is asked then, it ends with a clear
/// error or with the right answer, and never panics; what it restores is right or missing; and
/// putting the blob back makes everything whole again.
#[test]
fn damage_to_any_kind_of_blob_is_an_error_and_never_wrong_data() {
    let own = Own::new();
    let source = own.path("source");
    RandomTree::create(&source, 11, TreeShape::default());
    let made = snapshot(&own.client, &source);
    let listing = tree::list(&source);
    let kinds: Vec<String> = ["p", "q", "xn", "kopia.repository", "kopia.blobcfg"]
        .iter()
        .map(|kind| {
            // The largest of a kind holds most; one index blob suffices.
            blobs(&own.repository)
                .into_iter()
                .filter(|(name, _)| name.starts_with(kind))
                .max_by_key(|(_, length)| *length)
                .unwrap_or_else(|| panic!("no blob of kind {kind}"))
                .0
        })
        .collect();
    for name in &kinds {
        let file = blob_file(&own.repository, name);
        let bytes = fs::read(&file).unwrap();
        for damage in DAMAGES {
            println!("{name} {damage:?}");
            damage.to(&file);
            damaged_repository_tells_the_truth(&own, name, id(&made), &listing);
            fs::write(&file, &bytes).unwrap();
        }
    }
    let fresh = Client::new(&program(), &own.path("fresh"), PASSWORD);
    own.connect_with(&fresh).expect_success();
    verify(&fresh);
    restores_to(&fresh, id(&made), &listing);
}

fn damaged_repository_tells_the_truth(
    own: &Own,
    name: &str,
    snapshot: &str,
    listing: &[tree::Entry],
) {
    // A client without a cache, so that the damage is seen.
    let folder = tempfile::Builder::new().prefix("client-").tempdir_in(&own.folder).unwrap();
    let client = Client::new(&program(), folder.path(), PASSWORD);
    let connected = own.connect_with(&client);
    let target = folder.path().join("restored");
    let mut outcomes = vec![connected];
    if outcomes[0].succeeded() {
        let (id, target) = (snapshot, target.to_str().unwrap());
        outcomes.push(client.run(&["snapshot", "restore", "--ignore-errors", id, target]));
        outcomes.push(client.run(&["snapshot", "verify", "--verify-files-percent=100"]));
        outcomes.push(client.run(&["content", "verify", "--full"]));
    }
    for outcome in &outcomes {
        assert!(outcome.code == 0 || outcome.code == 1, "{name}: {outcome}");
        assert!(!outcome.output().contains("panicked"), "{name}: {outcome}");
        assert!(outcome.succeeded() || !outcome.stderr.is_empty(), "{name}: {outcome}");
    }
    let needed = name.starts_with(['p', 'q', 'x']) || name == "kopia.repository";
    let noticed = outcomes.iter().any(|outcome| !outcome.succeeded());
    // Removed index blobs take their contents and snapshots out of sight, as if never written.
    let hidden = !blobs(&own.repository).contains_key(name) && name.starts_with('x');
    assert!(noticed || hidden || !needed, "{name}: nobody noticed");
    if target.exists() {
        let found = tree::compare(listing, &tree::list(&target), Comparison::contents());
        assert_eq!(found.different, [], "{name}: something was restored wrongly");
        assert_eq!(found.unexpected, [""; 0], "{name}");
    }
}
