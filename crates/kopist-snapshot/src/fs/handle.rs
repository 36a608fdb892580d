//! Directories by file descriptor.
//!
//! A directory is reached from its parent's descriptor by name and never by path, so one that is
//! replaced by a symbolic link meanwhile leads to an error, not elsewhere. Descriptors are
//! limited: when many are open, the ones of outer directories are closed and opened again when
//! they are needed, with a check that they are still the same directories.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit};

/// A directory. Cheap to clone.
#[derive(Clone)]
pub(crate) struct DirHandle(Arc<Node>);

struct Node {
    parent: Option<DirHandle>,
    /// Base name; for the top the whole path.
    name: Box<[u8]>,
    identity: (u64, u64),
    fd: Mutex<Option<Arc<OwnedFd>>>,
    open: Arc<OpenCount>,
}

/// How many directories of one tree are open, and how many should be.
struct OpenCount {
    now: AtomicUsize,
    most: usize,
}

impl DirHandle {
    /// Opens the top directory of a tree; a symbolic link to it is followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // A third of what the process may open; the rest is for files and connections.
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(limit / 3).unwrap_or(usize::MAX).clamp(16, 2000);
        Self::open_with(path, most)
    }

    pub(crate) fn open_with(path: &Path, most: usize) -> io::Result<Self> {
        let fd = rustix::fs::open(path, flags() - OFlags::NOFOLLOW, Mode::empty())?;
        let open = Arc::new(OpenCount { now: AtomicUsize::new(0), most });
        Self::new(fd, None, path.as_os_str().as_bytes(), &open)
    }

    fn new(
        fd: OwnedFd,
        parent: Option<DirHandle>,
        name: &[u8],
        open: &Arc<OpenCount>,
    ) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&fd)?;
        open.now.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::new(Node {
            parent,
            name: name.into(),
            identity: (stat.st_dev, stat.st_ino),
            fd: Mutex::new(Some(Arc::new(fd))),
            open: open.clone(),
        })))
    }

    /// A directory in this one; a symbolic link is an error.
    pub(crate) fn child(&self, name: &[u8]) -> io::Result<Self> {
        let fd = rustix::fs::openat(&*self.fd()?, name, flags(), Mode::empty())?;
        let child = Self::new(fd, Some(self.clone()), name, &self.0.open)?;
        self.close_if_many();
        Ok(child)
    }

    /// The descriptor, opened again if it had been closed.
    pub(crate) fn fd(&self) -> io::Result<Arc<OwnedFd>> {
        let mut slot = self.0.fd.lock();
        if let Some(fd) = &*slot {
            return Ok(fd.clone());
        }
        let fd = match &self.0.parent {
            Some(parent) => {
                let name = &*self.0.name;
                let fd = rustix::fs::openat(&*parent.fd()?, name, flags(), Mode::empty())?;
                parent.close_if_many();
                fd
            }
            None => rustix::fs::open(&*self.0.name, flags(), Mode::empty())?,
        };
        let stat = rustix::fs::fstat(&fd)?;
        if (stat.st_dev, stat.st_ino) != self.0.identity {
            return Err(io::Error::other("the directory was replaced meanwhile"));
        }
        let fd = Arc::new(fd);
        self.0.open.now.fetch_add(1, Ordering::Relaxed);
        *slot = Some(fd.clone());
        Ok(fd)
    }

    /// Closes the descriptor until it is needed again, if there are many.
    pub(crate) fn close_if_many(&self) {
        let open = &self.0.open;
        if self.0.parent.is_some()
            && open.now.load(Ordering::Relaxed) > open.most
            && self.0.fd.lock().take().is_some()
        {
            open.now.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The path, for messages only.
    pub(crate) fn path(&self) -> PathBuf {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut handle = Some(self);
        while let Some(current) = handle {
            names.push(&current.0.name);
            handle = current.0.parent.as_ref();
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            if !path.is_empty() && path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        PathBuf::from(OsString::from_vec(path))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.fd.get_mut().is_some() {
            self.open.now.fetch_sub(1, Ordering::Relaxed);
        }
        // A deep chain would otherwise be dropped by recursion.
        let mut parent = self.parent.take();
        while let Some(mut node) = parent.and_then(|handle| Arc::into_inner(handle.0)) {
            parent = node.parent.take();
        }
    }
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_that_was_closed_is_opened_again_or_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        let top = DirHandle::open_with(temp.path(), 0).unwrap();
        let a = top.child(b"a").unwrap();
        a.close_if_many();
        assert!(a.0.fd.lock().is_none());
        assert!(a.fd().is_ok());
        a.close_if_many();
        std::fs::rename(temp.path().join("a"), temp.path().join("b")).unwrap();
        symlink("b", temp.path().join("a")).unwrap();
        assert!(a.fd().is_err());
        std::fs::remove_file(temp.path().join("a")).unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        assert!(a.fd().unwrap_err().to_string().contains("replaced"));
        assert!(top.child(b"missing").is_err());
    }

    #[test]
    fn deep_trees_need_few_descriptors() {
        let temp = tempfile::tempdir().unwrap();
        let depth = 300;
        let path: PathBuf = std::iter::repeat_n("d", depth).collect();
        std::fs::create_dir_all(temp.path().join(&path)).unwrap();
        let top = DirHandle::open_with(temp.path(), 20).unwrap();
        let open = top.0.open.clone();
        let mut chain = vec![top];
        for _ in 0..depth {
            chain.push(chain[chain.len() - 1].child(b"d").unwrap());
        }
        assert!(open.now.load(Ordering::Relaxed) <= 22);
        for handle in &chain {
            assert!(handle.fd().is_ok());
            handle.close_if_many();
        }
        assert!(open.now.load(Ordering::Relaxed) <= 22);
        assert_eq!(chain[depth].path(), temp.path().join(path));
        drop(chain);
        assert_eq!(open.now.load(Ordering::Relaxed), 0);
    }
}
