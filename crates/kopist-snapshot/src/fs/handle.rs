//! Directories by file descriptor.
//!
//! A directory is reached from its parent's descriptor by name and never by path, so one that is
//! replaced by a symbolic link meanwhile leads to an error, not elsewhere. Descriptors are
//! limited: of all directories of a tree only the ones that were opened last stay open, so that
//! a tree of any width and depth needs few. The others are opened again when they are needed,
//! from the nearest one that is open, with a check that each on the way is still the same.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// A directory. Cheap to clone.
#[derive(Clone)]
pub(crate) struct DirHandle(Arc<Node>);

struct Node {
    parent: Option<DirHandle>,
    /// Base name; for the top the whole path.
    name: Box<[u8]>,
    identity: Identity,
    /// Always open at the top.
    fd: Mutex<Option<Arc<OwnedFd>>>,
    opened: Arc<Opened>,
}

/// Which directories of one tree are open below the top.
struct Opened {
    /// The one that was opened first is in front. Each open one is here once; of those that are
    /// dropped some are left until it is their turn.
    queue: Mutex<VecDeque<Weak<Node>>>,
    most: usize,
}

/// Device and number: what stays the same when a file is opened again.
pub(crate) type Identity = (u64, u64);

/// The identity of a file.
pub(crate) fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// How many descriptors one purpose may take: a quarter of what the process may open. Of the
/// other quarters one is for files, the rest for the repository and whatever else is open.
pub(crate) fn share_of_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 4).unwrap_or(usize::MAX).clamp(8, 1000)
}

impl DirHandle {
    /// Opens the top directory of a tree; a symbolic link to it is followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, share_of_descriptors())
    }

    /// Opens a directory only to reach by name what is in it: it need not be readable, and cannot
    /// be listed.
    pub(crate) fn open_unlisted(path: &Path) -> io::Result<Self> {
        Self::top(path, OFlags::PATH, share_of_descriptors())
    }

    pub(crate) fn open_with(path: &Path, most: usize) -> io::Result<Self> {
        Self::top(path, OFlags::empty(), most)
    }

    fn top(path: &Path, how: OFlags, most: usize) -> io::Result<Self> {
        let fd = rustix::fs::open(path, (flags() - OFlags::NOFOLLOW) | how, Mode::empty())?;
        let opened = Arc::new(Opened { queue: Mutex::default(), most });
        Self::new(fd, None, path.as_os_str().as_bytes(), &opened)
    }

    fn new(
        fd: OwnedFd,
        parent: Option<DirHandle>,
        name: &[u8],
        opened: &Arc<Opened>,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Node {
            parent,
            name: name.into(),
            identity: identity(&rustix::fs::fstat(&fd)?),
            fd: Mutex::new(Some(Arc::new(fd))),
            opened: opened.clone(),
        })))
    }

    /// A directory in this one; a symbolic link is an error.
    pub(crate) fn child(&self, name: &[u8]) -> io::Result<Self> {
        let fd = rustix::fs::openat(&*self.fd()?, name, flags(), Mode::empty())?;
        let child = Self::new(fd, Some(self.clone()), name, &self.0.opened)?;
        child.was_opened();
        Ok(child)
    }

    /// The descriptor, opened again if it had been closed.
    pub(crate) fn fd(&self) -> io::Result<Arc<OwnedFd>> {
        let mut closed = Vec::new();
        let mut at = self;
        let mut fd = loop {
            if let Some(fd) = &*at.0.fd.lock() {
                break fd.clone();
            }
            closed.push(at);
            at = at.0.parent.as_ref().ok_or(Errno::BADF)?;
        };
        for handle in closed.into_iter().rev() {
            let again = rustix::fs::openat(&*fd, &*handle.0.name, flags(), Mode::empty())?;
            if identity(&rustix::fs::fstat(&again)?) != handle.0.identity {
                return Err(io::Error::other("the directory was replaced meanwhile"));
            }
            fd = handle.keep(again);
        }
        Ok(fd)
    }

    /// Keeps a descriptor, unless another thread was faster: then that one's.
    fn keep(&self, fd: OwnedFd) -> Arc<OwnedFd> {
        let mut slot = self.0.fd.lock();
        if let Some(other) = &*slot {
            return other.clone();
        }
        let fd = Arc::new(fd);
        *slot = Some(fd.clone());
        drop(slot);
        self.was_opened();
        fd
    }

    /// Closes the directory that is open for the longest time, if there are many. Who uses it
    /// right now has its descriptor.
    fn was_opened(&self) {
        let opened = &self.0.opened;
        let mut queue = opened.queue.lock();
        queue.push_back(Arc::downgrade(&self.0));
        let oldest = if queue.len() > opened.most { queue.pop_front() } else { None };
        drop(queue);
        if let Some(node) = oldest.and_then(|node| node.upgrade()) {
            node.fd.lock().take();
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

    fn open_now(handles: &[DirHandle]) -> usize {
        handles.iter().filter(|handle| handle.0.fd.lock().is_some()).count()
    }

    #[test]
    fn a_directory_that_was_closed_is_opened_again_or_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("a/inner")).unwrap();
        let top = DirHandle::open_with(temp.path(), 0).unwrap();
        let a = top.child(b"a").unwrap();
        let inner = a.child(b"inner").unwrap();
        assert!(a.0.fd.lock().is_none() && inner.0.fd.lock().is_none());
        assert!(a.fd().is_ok() && inner.fd().is_ok());
        std::fs::rename(temp.path().join("a"), temp.path().join("b")).unwrap();
        symlink("b", temp.path().join("a")).unwrap();
        assert!(a.fd().is_err() && inner.fd().is_err());
        std::fs::remove_file(temp.path().join("a")).unwrap();
        // The directory on the way is another one, also where what is wanted has its name.
        std::fs::create_dir_all(temp.path().join("a/inner")).unwrap();
        assert!(a.fd().unwrap_err().to_string().contains("replaced"));
        assert!(inner.fd().unwrap_err().to_string().contains("replaced"));
        assert!(top.child(b"missing").is_err());
    }

    #[test]
    fn trees_of_any_shape_need_few_descriptors() {
        let temp = tempfile::tempdir().unwrap();
        let depth = 300;
        let path: PathBuf = std::iter::repeat_n("d", depth).collect();
        std::fs::create_dir_all(temp.path().join(&path)).unwrap();
        let mut chain = vec![DirHandle::open_with(temp.path(), 20).unwrap()];
        for _ in 0..depth {
            chain.push(chain[chain.len() - 1].child(b"d").unwrap());
        }
        assert_eq!(open_now(&chain), 21);
        for handle in &chain {
            assert!(handle.fd().is_ok());
            assert!(open_now(&chain) <= 21);
        }
        assert_eq!(chain[depth].path(), temp.path().join(path));

        let mut wide = vec![DirHandle::open_with(temp.path(), 20).unwrap()];
        for number in 0..100 {
            let name = format!("w{number}");
            std::fs::create_dir(temp.path().join(&name)).unwrap();
            wide.push(wide[0].child(name.as_bytes()).unwrap());
        }
        assert_eq!(open_now(&wide), 21);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| wide.iter().for_each(|handle| assert!(handle.fd().is_ok())));
            }
        });
        assert!(open_now(&wide) <= 21);
    }
}
