//! Directories on disk, one file descriptor each.
//!
//! A directory is reached from its parent's descriptor by name and never by path, so a directory
//! that is replaced by a symbolic link while the walk goes on leads to an error, not elsewhere.
//! Descriptors are limited: in a deep tree the ones of outer directories are closed and opened
//! again when they are needed, with a check that they are still the same directories.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopist_format::directory::{Permissions, UtcNanos};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::{FileData, Folder, Found, Kind, Metadata};

/// From this many open directories on, those that are not listed right now are closed.
const OPEN_DIRECTORIES: usize = 200;
/// Room for a batch of names.
const LISTING_BUFFER: usize = 32 << 10;

/// A path that is backed up, found and looked at.
pub struct LocalSource {
    /// The path without symbolic links.
    pub path: PathBuf,
    /// Its last part, `/` for the root directory.
    pub name: Vec<u8>,
    /// Its attributes.
    pub metadata: Metadata,
    /// The directory itself; for a file, the one that it is in.
    pub folder: Arc<dyn Folder>,
}

impl LocalSource {
    /// Finds a source. A symbolic link is resolved first.
    pub fn open(path: &Path) -> io::Result<Self> {
        let resolved = std::fs::canonicalize(path)?;
        let stat = rustix::fs::stat(&resolved)?;
        let metadata = metadata(&stat);
        let name = resolved.file_name().unwrap_or(OsStr::new("/")).as_bytes().to_vec();
        let folder = match metadata.kind {
            Kind::Directory => resolved.as_path(),
            _ => resolved.parent().unwrap_or(&resolved),
        };
        let folder = Arc::new(LocalFolder::open(folder)?);
        Ok(Self { path: resolved, name, metadata, folder })
    }
}

/// A directory on disk. Cheap to clone.
#[derive(Clone)]
pub struct LocalFolder(Arc<Node>);

struct Node {
    parent: Option<LocalFolder>,
    /// Base name; for the top the whole path.
    name: Box<[u8]>,
    identity: (u64, u64),
    fd: Mutex<Option<Arc<OwnedFd>>>,
    open: Arc<AtomicUsize>,
}

impl LocalFolder {
    /// Opens the top directory of a tree.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, directory_flags() - OFlags::NOFOLLOW, Mode::empty())?;
        Self::new(fd, None, path.as_os_str().as_bytes(), &Arc::default())
    }

    fn new(
        fd: OwnedFd,
        parent: Option<LocalFolder>,
        name: &[u8],
        open: &Arc<AtomicUsize>,
    ) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&fd)?;
        open.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::new(Node {
            parent,
            name: name.into(),
            identity: (stat.st_dev, stat.st_ino),
            fd: Mutex::new(Some(Arc::new(fd))),
            open: open.clone(),
        })))
    }

    /// The descriptor, opened again if it had been closed.
    fn fd(&self) -> io::Result<Arc<OwnedFd>> {
        let mut slot = self.0.fd.lock();
        if let Some(fd) = &*slot {
            return Ok(fd.clone());
        }
        let fd = match &self.0.parent {
            Some(parent) => {
                let fd = rustix::fs::openat(
                    &*parent.fd()?,
                    &*self.0.name,
                    directory_flags(),
                    Mode::empty(),
                )?;
                parent.close_if_many();
                fd
            }
            None => rustix::fs::open(&*self.0.name, directory_flags(), Mode::empty())?,
        };
        let stat = rustix::fs::fstat(&fd)?;
        if (stat.st_dev, stat.st_ino) != self.0.identity {
            return Err(io::Error::other("the directory was replaced while it was read"));
        }
        let fd = Arc::new(fd);
        self.0.open.fetch_add(1, Ordering::Relaxed);
        *slot = Some(fd.clone());
        Ok(fd)
    }

    /// Closes the descriptor until it is needed again.
    fn close(&self) {
        if self.0.fd.lock().take().is_some() {
            self.0.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn close_if_many(&self) {
        if self.0.open.load(Ordering::Relaxed) > OPEN_DIRECTORIES && self.0.parent.is_some() {
            self.close();
        }
    }

    /// The path, for messages only.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut folder = Some(self);
        while let Some(current) = folder {
            names.push(&current.0.name);
            folder = current.0.parent.as_ref();
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            if !path.is_empty() && path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        PathBuf::from(std::ffi::OsString::from_vec(path))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.fd.get_mut().is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        // A deep chain would otherwise be dropped by recursion.
        let mut parent = self.parent.take();
        while let Some(mut node) = parent.and_then(|folder| Arc::into_inner(folder.0)) {
            parent = node.parent.take();
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

impl Folder for LocalFolder {
    fn list(&self, visit: &mut dyn FnMut(&[u8], Found) -> bool) -> io::Result<()> {
        let fd = self.fd()?;
        rustix::fs::seek(&*fd, rustix::fs::SeekFrom::Start(0))?;
        let mut buffer = Vec::with_capacity(LISTING_BUFFER);
        let mut entries = RawDir::new(&*fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = match stat_at(&fd, name) {
                Ok(stat) => Found::Entry(metadata(&stat)),
                Err(Errno::NOENT) => continue,
                Err(error @ (Errno::ACCESS | Errno::PERM)) => Found::Denied {
                    is_dir: entry.file_type() == FileType::Directory,
                    error: error.into(),
                },
                Err(error) => return Err(error.into()),
            };
            if !visit(name.to_bytes(), found) {
                break;
            }
        }
        Ok(())
    }

    fn folder(&self, name: &[u8]) -> io::Result<Arc<dyn Folder>> {
        let fd = rustix::fs::openat(&*self.fd()?, name, directory_flags(), Mode::empty())?;
        let child = Self::new(fd, Some(self.clone()), name, &self.0.open)?;
        self.close_if_many();
        Ok(Arc::new(child))
    }

    fn open(&self, name: &[u8]) -> io::Result<Box<dyn FileData>> {
        // Without NONBLOCK a pipe that took the place of a file would block forever.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&*self.fd()?, name, flags, Mode::empty())?;
        Ok(Box::new(LocalFile { fd }))
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&*self.fd()?, name, Vec::new())?.into_bytes())
    }

    fn read_small(&self, name: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let dir = self.fd()?;
        let fd = match rustix::fs::openat(&*dir, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(error) => {
                let link = rustix::fs::statat(&*dir, name, AtFlags::SYMLINK_NOFOLLOW);
                return match link {
                    Err(_) => Ok(None),
                    Ok(_) => Err(error.into()),
                };
            }
        };
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut content = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(std::fs::File::from(fd), limit as u64),
            &mut content,
        )?;
        Ok(Some(content))
    }

    fn metadata(&self, name: &[u8]) -> io::Result<Option<Metadata>> {
        match rustix::fs::statat(&*self.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(metadata(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn display(&self, name: &[u8]) -> String {
        let path = self.path();
        let path = if name.is_empty() { path } else { path.join(OsStr::from_bytes(name)) };
        path.to_string_lossy().into_owned()
    }
}

fn stat_at(fd: &OwnedFd, name: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn metadata(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    Metadata {
        kind,
        mode: Permissions::from_unix(stat.st_mode),
        size: if kind == Kind::Directory { 0 } else { stat.st_size },
        mtime: UtcNanos::from_unix(stat.st_mtime, stat.st_mtime_nsec as i64),
        uid: stat.st_uid,
        gid: stat.st_gid,
        device: stat.st_dev,
        inode: stat.st_ino,
    }
}

struct LocalFile {
    fd: OwnedFd,
}

impl FileData for LocalFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(&self.fd, &mut *buffer) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(offset))?;
        Ok(())
    }

    fn metadata(&self) -> io::Result<Option<Metadata>> {
        Ok(Some(metadata(&rustix::fs::fstat(&self.fd)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &dyn Folder) -> BTreeMap<Vec<u8>, Metadata> {
        let mut names = BTreeMap::new();
        folder
            .list(&mut |name, found| {
                if let Found::Entry(metadata) = found {
                    names.insert(name.to_vec(), metadata);
                }
                true
            })
            .unwrap();
        names
    }

    #[test]
    fn lists_raw_names_twice() {
        let temp = tempfile::tempdir().unwrap();
        let odd = OsStr::from_bytes(b"a\xff\n");
        std::fs::write(temp.path().join(odd), "123").unwrap();
        std::fs::create_dir(temp.path().join("d")).unwrap();
        symlink("nowhere", temp.path().join("l")).unwrap();
        let folder = LocalFolder::open(temp.path()).unwrap();
        for _ in 0..2 {
            let names = names(&folder);
            assert_eq!(names.len(), 3);
            assert_eq!((names[&b"a\xff\n"[..]].kind, names[&b"a\xff\n"[..]].size), (Kind::File, 3));
            assert_eq!((names[&b"d"[..]].kind, names[&b"d"[..]].size), (Kind::Directory, 0));
            assert_eq!((names[&b"l"[..]].kind, names[&b"l"[..]].size), (Kind::Symlink, 7));
        }
        assert_eq!(folder.read_link(b"l").unwrap(), b"nowhere");
        assert_eq!(folder.display(b"d"), temp.path().join("d").to_string_lossy());
    }

    #[test]
    fn links_are_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("real")).unwrap();
        std::fs::write(temp.path().join("file"), "x").unwrap();
        symlink("real", temp.path().join("dir-link")).unwrap();
        symlink("file", temp.path().join("file-link")).unwrap();
        let folder = LocalFolder::open(temp.path()).unwrap();
        assert!(folder.folder(b"dir-link").is_err());
        assert!(folder.open(b"file-link").is_err());
        // Except where a small file is asked for, as dot-ignore files are.
        assert_eq!(folder.read_small(b"file-link", 10).unwrap().unwrap(), b"x");
        assert!(folder.read_small(b"missing", 10).unwrap().is_none());
        assert!(folder.read_small(b"real", 10).unwrap().is_none());
        symlink("missing", temp.path().join("dangling")).unwrap();
        assert!(folder.read_small(b"dangling", 10).is_err());
    }

    #[test]
    fn a_folder_that_was_closed_is_opened_again_or_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        std::fs::write(temp.path().join("a/f"), "x").unwrap();
        let top = LocalFolder::open(temp.path()).unwrap();
        let fd = rustix::fs::openat(&*top.fd().unwrap(), "a", directory_flags(), Mode::empty());
        let folder = LocalFolder::new(fd.unwrap(), Some(top.clone()), b"a", &top.0.open).unwrap();
        folder.close();
        assert_eq!(names(&folder).len(), 1);
        folder.close();
        std::fs::rename(temp.path().join("a"), temp.path().join("b")).unwrap();
        symlink("b", temp.path().join("a")).unwrap();
        assert!(folder.list(&mut |_, _| true).is_err());
        std::fs::remove_file(temp.path().join("a")).unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        assert!(folder.list(&mut |_, _| true).unwrap_err().to_string().contains("replaced"));
    }

    #[test]
    fn deep_trees_need_few_descriptors() {
        let temp = tempfile::tempdir().unwrap();
        let depth = 600;
        let mut path = temp.path().to_path_buf();
        for _ in 0..depth {
            path.push("d");
        }
        std::fs::create_dir_all(&path).unwrap();
        let mut folder: Arc<dyn Folder> = Arc::new(LocalFolder::open(temp.path()).unwrap());
        let top = LocalFolder::open(temp.path()).unwrap();
        let counter = top.0.open.clone();
        folder = {
            drop(folder);
            Arc::new(top)
        };
        let mut chain = vec![folder.clone()];
        for _ in 0..depth {
            folder = folder.folder(b"d").unwrap();
            chain.push(folder.clone());
        }
        assert!(counter.load(Ordering::Relaxed) <= OPEN_DIRECTORIES + 2);
        for folder in &chain[..depth] {
            assert_eq!(names(&**folder).len(), 1);
        }
        drop(folder);
        drop(chain);
        assert_eq!(counter.load(Ordering::Relaxed), 0);
    }
}
