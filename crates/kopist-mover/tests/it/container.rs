//! A container without a container: a directory that stands for `/`, and the mover as a
//! process of its own with its own user, environment and signals.

use std::io::{PipeReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kopist_mover::root::ContainerRoot;

use crate::rooted::{HOST_NAME, RootFs};

/// Marks the process that is the mover instead of the tests.
const CHILD: &str = "KOPIST_TEST_CHILD";
/// The directory that stands for `/`, in that process.
const ROOT: &str = "KOPIST_TEST_ROOT";
/// Arguments of that process, one a line.
const ARGUMENTS: &str = "KOPIST_TEST_ARGUMENTS";

/// The user of the scenarios that name none.
pub(crate) const USUAL_UID: u32 = 1000;

/// Directories of the contract.
const DIRECTORIES: [&str; 9] = [
    "data",
    "cache",
    "restore/data",
    "kopia-config",
    "credentials",
    "customCA",
    "mnt",
    "tmp",
    "dev",
];

/// This test is the mover when the process is started for it, and nothing otherwise.
#[test]
fn the_mover_itself() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let arguments = std::env::var(ARGUMENTS).unwrap();
    let arguments = arguments.lines().map(Into::into).collect();
    let root = ContainerRoot::at(std::env::var_os(ROOT).unwrap());
    let env = std::env::vars_os().filter(|(name, _)| {
        !name.to_str().is_some_and(|name| [CHILD, ROOT, ARGUMENTS].contains(&name))
    });
    let code =
        kopist_mover::Mover::new(arguments, env).with_root(root).with_host_name(HOST_NAME).main();
    std::process::exit(i32::from(code));
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Ended {
    /// The exit status as a shell shows it.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }
}

/// The directories of one container.
pub(crate) struct Container {
    folder: tempfile::TempDir,
    pub(crate) uid: u32,
    gid: u32,
    root: bool,
    rootfs: Option<Arc<RootFs>>,
    /// Size of a volume for the cache, of which most is in use already.
    full_cache: Option<u64>,
}

/// Whether this process may become another user.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Container {
    /// Fresh directories that belong to `uid`, as far as this process may give them away.
    pub(crate) fn new(uid: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let container =
            Self { folder, uid, gid: uid, root: is_root(), rootfs: None, full_cache: None };
        std::fs::set_permissions(container.folder.path(), PermissionsExt::from_mode(0o755))
            .unwrap();
        for name in DIRECTORIES {
            let path = container.folder.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            container.own(&path);
        }
        container.own(&container.path("/restore"));
        let log = container.path("/dev/termination-log");
        std::fs::write(&log, "").unwrap();
        container.own(&log);
        container
    }

    /// With another group than the one of the user's number.
    pub(crate) fn with_group(mut self, gid: u32) -> Self {
        self.gid = gid;
        self
    }

    /// With a root file system of its own instead of a directory that stands for one.
    pub(crate) fn rooted(mut self, rootfs: &Arc<RootFs>) -> Self {
        self.rootfs = Some(Arc::clone(rootfs));
        self
    }

    /// With a cache on a volume of so many bytes, of which all but a few are in use already.
    pub(crate) fn with_full_cache(mut self, bytes: u64) -> Self {
        self.full_cache = Some(bytes);
        self
    }

    /// Whether container paths are real for the mover.
    pub(crate) fn is_rooted(&self) -> bool {
        self.rootfs.is_some()
    }

    /// User and group, as `chroot` reads them.
    pub(crate) fn user(&self) -> String {
        format!("+{}:+{}", self.uid, self.gid)
    }

    /// Where a container path lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// The directory that stands for `/`.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Gives a path to the container's user.
    pub(crate) fn own(&self, path: &Path) {
        self.give(path, self.uid);
    }

    /// Gives a path to a user.
    pub(crate) fn give(&self, path: &Path, uid: u32) {
        if self.root {
            std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
        }
    }

    /// Lets a command run as the container's user.
    pub(crate) fn as_user<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if self.root {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// A second container that shares data and repositories with this one, but not the cache.
    pub(crate) fn sibling(&self) -> Self {
        let mut sibling = Self::new(self.uid);
        sibling.rootfs.clone_from(&self.rootfs);
        for name in ["data", "mnt"] {
            std::fs::remove_dir_all(sibling.folder.path().join(name)).unwrap();
            std::os::unix::fs::symlink(self.path(name), sibling.folder.path().join(name)).unwrap();
        }
        sibling
    }

    /// Starts the mover.
    pub(crate) fn start(&self, arguments: &[String], env: &[(String, String)]) -> Running {
        let (output, writer) = std::io::pipe().unwrap();
        let mut command = match &self.rootfs {
            Some(rootfs) => rootfs.command(self, arguments),
            None => self.here(arguments),
        };
        command
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let child = command.spawn().unwrap();
        Running { child, output, log: Vec::new() }
    }

    /// This executable as the mover, with a directory that stands for `/`.
    fn here(&self, arguments: &[String]) -> Command {
        let mut command = match self.full_cache {
            None => Command::new("/proc/self/exe"),
            Some(bytes) => self.on_full_volume(bytes),
        };
        command
            .args(["--exact", "container::the_mover_itself", "--nocapture", "--test-threads=2"])
            .current_dir("/")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/")
            .env(CHILD, "1")
            .env(ROOT, self.root())
            .env(ARGUMENTS, arguments.join("\n"));
        self.as_user(&mut command);
        command
    }

    /// This executable, with a small volume mounted for the cache.
    fn on_full_volume(&self, bytes: u64) -> Command {
        const MOUNT: &str = r#"
            set -eu
            mount -t tmpfs -o "size=$2,mode=777" none "$1"
            head -c "$2" /dev/zero > "$1/filler" 2>/dev/null || true
            shift 2
            exec "$@"
        "#;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh"])
            .arg(self.path("/cache"))
            .arg(bytes.to_string())
            .arg(std::env::current_exe().unwrap());
        command
    }

    /// Runs the mover to its end.
    pub(crate) fn mover(&self, arguments: &[String], env: &[(String, String)]) -> Ended {
        self.start(arguments, env).end()
    }
}

/// A mover at work.
pub(crate) struct Running {
    child: std::process::Child,
    output: PipeReader,
    log: Vec<u8>,
}

impl Running {
    /// Reads until the text is in the log, or the process ends.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&self.log).contains(text) {
            assert!(started.elapsed() < Duration::from_mins(2), "never printed {text}");
            match self.output.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => self.log.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Reads until the text is in the log once more.
    pub(crate) fn wait_for_next(&mut self, text: &str) {
        let seen = self.log.len();
        let before = std::mem::take(&mut self.log);
        self.wait_for(text);
        let new = std::mem::replace(&mut self.log, before);
        self.log.extend(new);
        assert!(self.log.len() > seen, "the log ended");
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let _ = rustix::process::kill_process(id.unwrap(), rustix::process::Signal::TERM);
    }

    /// Reads to the end.
    pub(crate) fn end(mut self) -> Ended {
        let _ = self.output.read_to_end(&mut self.log);
        let status = self.child.wait().unwrap();
        Ended { status, log: String::from_utf8_lossy(&self.log).into_owned() }
    }
}
