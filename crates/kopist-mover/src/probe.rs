//! What planning may look at besides the environment: mounted files and the pod's
//! limits. Reading only; nothing is created, opened for writing or resolved by name
//! services that may hang.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::root::ContainerRoot;

/// The surroundings that a plan depends on. Paths are container paths.
pub trait Probe {
    /// Whether `path` is a directory (following links).
    fn is_dir(&self, path: &Path) -> bool;
    /// Whether `path` is a regular file (following links).
    fn is_file(&self, path: &Path) -> bool;
    /// Whether this process may create entries in the directory `path`.
    fn may_write(&self, path: &Path) -> bool;
    /// The file's content; longer files give [`ReadError::TooLarge`].
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError>;
    /// Directories directly under `path`, sorted; empty when there is no such directory.
    fn subdirectories(&self, path: &Path) -> Vec<PathBuf>;
    /// Size in bytes of the file system that holds `path`, if it can be told.
    fn volume_bytes(&self, path: &Path) -> Option<u64>;
    /// Name of the process's user in the passwd file, if it has an entry.
    fn user_name(&self) -> Option<String>;
    /// Host name as the kernel has it.
    fn host_name(&self) -> String;
    /// Memory limit of the container in bytes, if there is one.
    fn memory_limit(&self) -> Option<u64>;
    /// CPUs that this process may use: quota rounded up, at least 1.
    fn cpus(&self) -> usize;
}

/// Why a mounted file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("no such file")]
    Absent,
    /// The file is longer than the limit.
    #[error("{bytes} bytes is too large")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
    },
    /// Any other failure.
    #[error(transparent)]
    Io(io::Error),
}

/// The machine that this process runs on.
#[derive(Clone, Debug)]
pub struct HostProbe {
    root: ContainerRoot,
    host_name: Option<String>,
}

impl HostProbe {
    /// Looks at the machine, with container paths resolved under `root`.
    pub fn new(root: ContainerRoot) -> Self {
        Self { root, host_name: None }
    }

    /// Reports `name` instead of the kernel's host name.
    #[must_use]
    pub fn with_host_name(mut self, name: impl Into<String>) -> Self {
        self.host_name = Some(name.into());
        self
    }
}

impl Probe for HostProbe {
    fn is_dir(&self, path: &Path) -> bool {
        self.root.resolve(path).is_dir()
    }

    fn is_file(&self, path: &Path) -> bool {
        self.root.resolve(path).is_file()
    }

    fn may_write(&self, path: &Path) -> bool {
        use rustix::fs::{Access, access};
        access(self.root.resolve(path), Access::WRITE_OK | Access::EXEC_OK).is_ok()
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
        let file = fs::File::open(self.root.resolve(path)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                ReadError::Absent
            } else {
                ReadError::Io(error)
            }
        })?;
        let bytes = file.metadata().map_err(ReadError::Io)?.len();
        if bytes > limit {
            return Err(ReadError::TooLarge { bytes });
        }
        // The size above is only a hint for files that change while being read.
        let mut content = Vec::new();
        file.take(limit + 1).read_to_end(&mut content).map_err(ReadError::Io)?;
        if content.len() as u64 > limit {
            return Err(ReadError::TooLarge { bytes: content.len() as u64 });
        }
        Ok(content)
    }

    fn subdirectories(&self, path: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.root.resolve(path)) else {
            return Vec::new();
        };
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| path.join(entry.file_name()))
            .collect();
        found.sort();
        found
    }

    fn volume_bytes(&self, path: &Path) -> Option<u64> {
        let stat = rustix::fs::statvfs(self.root.resolve(path)).ok()?;
        stat.f_blocks.checked_mul(stat.f_frsize)
    }

    fn user_name(&self) -> Option<String> {
        // Read directly: the name service may need libraries and networks that a
        // minimal image does not have.
        let passwd = fs::read_to_string("/etc/passwd").ok()?;
        user_in_passwd(&passwd, rustix::process::getuid().as_raw())
    }

    fn host_name(&self) -> String {
        self.host_name
            .clone()
            .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
    }

    fn memory_limit(&self) -> Option<u64> {
        let read = |path: &Path| fs::read_to_string(self.root.resolve(path)).ok();
        let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
        let limits = memory_files(&groups).into_iter();
        limits.filter_map(|file| memory_limit_of(&read(&file)?)).min()
    }

    fn cpus(&self) -> usize {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let quota = fs::read_to_string(self.root.resolve("/sys/fs/cgroup/cpu.max"))
            .ok()
            .and_then(|text| cpu_quota_of(&text));
        quota.map_or(available, |quota| quota.min(available)).max(1)
    }
}

fn user_in_passwd(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

/// Files that may limit the memory of this process, by the content of `/proc/self/cgroup`.
///
/// A container mostly sees its own group as the root. Where it sees the whole machine instead, its
/// group and each above it may have a limit, and the root has none.
fn memory_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (version_1, base, name) in [
        (false, "/sys/fs/cgroup", "memory.max"),
        (true, "/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ] {
        let path = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let is_it = controllers.split(',').any(|name| name == "memory");
            // A path out of what this container sees leads nowhere.
            (is_it == version_1 && (version_1 || controllers.is_empty()) && !path.contains("/.."))
                .then_some(path)
        });
        let path = Path::new(path.unwrap_or("/"));
        files.extend(path.ancestors().map(|group| {
            let below = group.strip_prefix("/").unwrap_or(group);
            Path::new(base).join(below).join(name)
        }));
    }
    files
}

/// How many things are in work at once under a memory limit of which each takes so much: one at
/// least.
pub(crate) fn fitting(limit: u64, each: u64) -> usize {
    usize::try_from(limit / each).unwrap_or(usize::MAX).max(1)
}

/// `max` and the huge numbers of cgroup v1 mean that there is no limit.
fn memory_limit_of(text: &str) -> Option<u64> {
    let bytes: u64 = text.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(bytes)
}

/// `<quota> <period>` in microseconds, rounded up to whole CPUs.
fn cpu_quota_of(text: &str) -> Option<usize> {
    let mut fields = text.split_whitespace();
    let quota: u64 = fields.next()?.parse().ok()?;
    let period: u64 = fields.next()?.parse().ok()?;
    if period == 0 {
        return None;
    }
    usize::try_from(quota.div_ceil(period)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_control_groups() {
        assert_eq!(memory_limit_of("268435456\n"), Some(268_435_456));
        assert_eq!(memory_limit_of("max\n"), None);
        assert_eq!(memory_limit_of("9223372036854771712\n"), None);
        assert_eq!(cpu_quota_of("150000 100000\n"), Some(2));
        assert_eq!(cpu_quota_of("max 100000\n"), None);
        assert_eq!(cpu_quota_of("100000 0\n"), None);
    }

    #[test]
    fn the_tightest_limit_counts() {
        let dir = tempfile::tempdir().unwrap();
        let probe = HostProbe::new(ContainerRoot::at(dir.path()));
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(probe.memory_limit(), None);
        // The container's group is the root of what it sees.
        put("sys/fs/cgroup/memory.max", "300\n");
        assert_eq!(probe.memory_limit(), Some(300));
        // It sees the whole machine.
        fs::remove_file(dir.path().join("sys/fs/cgroup/memory.max")).unwrap();
        put("proc/self/cgroup", "1:name=systemd:/x\n0::/kubepods/pod1/c1\n");
        put("sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max\n");
        put("sys/fs/cgroup/kubepods/pod1/memory.max", "200\n");
        put("sys/fs/cgroup/kubepods/memory.max", "900\n");
        assert_eq!(probe.memory_limit(), Some(200));
        // The groups of version 1.
        put("proc/self/cgroup", "4:cpu,memory:/docker/c2\n0::/../other\n");
        put("sys/fs/cgroup/memory/docker/c2/memory.limit_in_bytes", "100\n");
        put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(probe.memory_limit(), Some(100));
    }

    #[test]
    fn a_uid_without_entry_has_no_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\napp:x:1000:1000:::\n";
        assert_eq!(user_in_passwd(passwd, 1000).as_deref(), Some("app"));
        assert_eq!(user_in_passwd(passwd, 987_654), None);
    }

    #[test]
    fn files_are_read_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cfg")).unwrap();
        fs::write(dir.path().join("cfg/f"), b"12345").unwrap();
        let probe = HostProbe::new(ContainerRoot::at(dir.path()));
        assert_eq!(probe.read(Path::new("/cfg/f"), 5).unwrap(), b"12345");
        assert!(matches!(
            probe.read(Path::new("/cfg/f"), 4),
            Err(ReadError::TooLarge { bytes: 5 })
        ));
        assert!(matches!(probe.read(Path::new("/cfg/none"), 4), Err(ReadError::Absent)));
        assert_eq!(probe.subdirectories(Path::new("/")), [PathBuf::from("/cfg")]);
        assert!(probe.subdirectories(Path::new("/none")).is_empty());
    }
}
