//! Directories on disk.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kopist_format::directory::{Permissions, UtcNanos};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::errno::describe;
use super::handle::DirHandle;
use super::{FileData, Folder, Found, Kind, Metadata};

/// Room for a batch of names.
const LISTING_BUFFER: usize = 32 << 10;

/// Why a path cannot be backed up.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not there, or nobody may look at it.
    #[error("unable to determine entry type: {}", describe("lstat", &path.display().to_string(), source))]
    Unknown {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The directory itself, or the one that the file is in, cannot be opened.
    #[error("unable to read directory: {}", describe("open", &path.display().to_string(), source))]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A path that is backed up, found and looked at.
pub struct LocalSource {
    /// The path without symbolic links.
    pub path: PathBuf,
    /// Its last part, `/` for the root directory.
    pub name: Vec<u8>,
    /// Its attributes.
    pub metadata: Metadata,
    /// The directory itself; for a file, the one that it is in, which need not be readable.
    pub folder: Arc<dyn Folder>,
}

impl LocalSource {
    /// Finds a source. A symbolic link is resolved first.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let unknown = |source| SourceError::Unknown { path: path.to_owned(), source };
        let resolved = std::fs::canonicalize(path).map_err(unknown)?;
        let stat = rustix::fs::stat(&resolved).map_err(|error| unknown(error.into()))?;
        let metadata = metadata(&stat);
        let name = resolved.file_name().unwrap_or(OsStr::new("/")).as_bytes().to_vec();
        let handle = match metadata.kind {
            Kind::Directory => DirHandle::open(&resolved),
            _ => DirHandle::open_unlisted(resolved.parent().unwrap_or(&resolved)),
        };
        let handle =
            handle.map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self { path: resolved, name, metadata, folder: Arc::new(LocalFolder(handle)) })
    }
}

/// A directory on disk.
pub struct LocalFolder(DirHandle);

impl LocalFolder {
    /// Opens the top directory of a tree.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(DirHandle::open(path)?))
    }
}

impl Folder for LocalFolder {
    fn list(&self, visit: &mut dyn FnMut(&[u8], Found) -> bool) -> io::Result<()> {
        let fd = self.0.fd()?;
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
        Ok(Arc::new(Self(self.0.child(name)?)))
    }

    fn open(&self, name: &[u8]) -> io::Result<Box<dyn FileData>> {
        // Without NONBLOCK a pipe that took the place of a file would block forever.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&*self.0.fd()?, name, flags, Mode::empty())?;
        Ok(Box::new(LocalFile { fd }))
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&*self.0.fd()?, name, Vec::new())?.into_bytes())
    }

    fn read_small(&self, name: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let dir = self.0.fd()?;
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
        match rustix::fs::statat(&*self.0.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(metadata(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn display(&self, name: &[u8]) -> String {
        let path = self.0.path();
        let path = if name.is_empty() { path } else { path.join(OsStr::from_bytes(name)) };
        path.to_string_lossy().into_owned()
    }

    fn local_path(&self) -> Option<PathBuf> {
        Some(self.0.path())
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
}
