use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::list::{Follow, open_directory};
use super::{Durability, FilesystemConfig, read};
use crate::PutOptions;

/// Between the name of a file and the random part of its temporary name.
pub(super) const TEMPORARY_INFIX: &str = ".tmp.";

/// How often directories that vanish during a write are made again.
const ATTEMPTS_TO_MAKE_DIRECTORIES: u32 = 3;

#[derive(Debug)]
pub(super) enum WriteError {
    /// The file system can neither rename without replacing nor make hard links.
    NoExclusiveCreate,
    /// The root of the store is gone, for example unmounted. It is never made again.
    RootMissing(io::Error),
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for WriteError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Writes files below the root of a store, whole or not at all.
pub(super) struct Writer<'a> {
    config: &'a FilesystemConfig,
    durability: Durability,
}

impl<'a> Writer<'a> {
    pub(super) fn new(config: &'a FilesystemConfig, durability: Durability) -> Self {
        Self { config, durability }
    }

    /// Writes the file `path` below the root, making the directories it needs.
    pub(super) fn write(
        &self,
        path: &str,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<Stat, WriteError> {
        let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let written = self
                .open_or_make(directories)
                .and_then(|directory| self.write_in(&directory, name, data, options));
            match written {
                // Somebody removed the directory between two of our steps.
                Err(WriteError::Io(error))
                    if error.kind() == io::ErrorKind::NotFound
                        && attempts < ATTEMPTS_TO_MAKE_DIRECTORIES => {}
                other => return other,
            }
        }
    }

    fn open_or_make(&self, directories: &str) -> Result<OwnedFd, WriteError> {
        let full = self.config.path.join(directories);
        match open_directory(CWD, &full, Follow::Links) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return Ok(other?),
        }
        let mut directory = open_directory(CWD, &self.config.path, Follow::Links)
            .map_err(WriteError::RootMissing)?;
        let mode = Mode::from_raw_mode(self.config.effective_dir_mode());
        for name in directories.split('/').filter(|name| !name.is_empty()) {
            match rustix::fs::mkdirat(&directory, name, mode) {
                // If another writer made it, it may not have come to syncing it.
                Ok(()) | Err(Errno::EXIST) => self.sync_directory(&directory)?,
                Err(errno) => return Err(errno.into()),
            }
            directory = open_directory(&directory, name, Follow::Links)?;
        }
        Ok(directory)
    }

    fn write_in(
        &self,
        directory: &OwnedFd,
        name: &str,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<Stat, WriteError> {
        let mode = Mode::from_raw_mode(self.config.effective_file_mode());
        let mut temporary = Temporary::create(directory, name, mode)?;
        write_all(&mut temporary.file, data)?;
        self.set_owner(&temporary.file);
        if let Some(time) = options.set_mod_time {
            set_times(&temporary.file, time)?;
        }
        if self.durability == Durability::PowerCut {
            temporary.file.sync_all()?;
        }
        // Renaming keeps the time of modification.
        let stat = rustix::fs::fstat(&temporary.file)?;
        temporary.publish(name, options.do_not_recreate)?;
        self.sync_directory(directory)?;
        Ok(stat)
    }

    /// As kopia: only root can give files away, both ids must be set, and a failure is no
    /// reason to lose the blob.
    fn set_owner(&self, file: &File) {
        let (Some(uid), Some(gid)) = (self.config.uid, self.config.gid) else { return };
        if rustix::process::geteuid().is_root()
            && let Err(error) = fchown(file, Some(uid), Some(gid))
        {
            tracing::warn!(%uid, %gid, %error, "cannot change the owner of a blob's file");
        }
    }

    fn sync_directory(&self, directory: &OwnedFd) -> Result<(), WriteError> {
        if self.durability == Durability::Cache {
            return Ok(());
        }
        match rustix::fs::fsync(directory) {
            // Some network file systems cannot sync directories; they do not need it.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// A file under its temporary name. It is removed again unless it is published.
struct Temporary<'a> {
    directory: &'a OwnedFd,
    name: String,
    file: File,
    present: bool,
}

impl<'a> Temporary<'a> {
    fn create(directory: &'a OwnedFd, final_name: &str, mode: Mode) -> Result<Self, WriteError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::from)?;
        let name = format!("{final_name}{TEMPORARY_INFIX}{:016x}", u64::from_be_bytes(random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(directory, &name, flags, mode)?);
        Ok(Self { directory, name, file, present: true })
    }

    /// Gives the file its final name.
    fn publish(&mut self, name: &str, exclusively: bool) -> Result<(), WriteError> {
        if !exclusively {
            rustix::fs::renameat(self.directory, &self.name, self.directory, name)?;
            self.present = false;
            return Ok(());
        }
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(self.directory, &self.name, self.directory, name, flags) {
            Ok(()) => {
                self.present = false;
                Ok(())
            }
            // Network file systems do not know the flag, but most know hard links.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.publish_by_link(name),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A link never replaces; dropping `self` removes the temporary name.
    fn publish_by_link(&self, name: &str) -> Result<(), WriteError> {
        match rustix::fs::linkat(self.directory, &self.name, self.directory, name, AtFlags::empty())
        {
            Ok(()) => Ok(()),
            Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => Err(WriteError::NoExclusiveCreate),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.present
            && let Err(error) = rustix::fs::unlinkat(self.directory, &self.name, AtFlags::empty())
        {
            tracing::warn!(file = %self.name, %error, "cannot remove a temporary file");
        }
    }
}

fn write_all(file: &mut File, data: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> =
        data.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn set_times(file: impl AsFd, time: Timestamp) -> io::Result<()> {
    let nanoseconds = time.as_nanosecond();
    let time = Timespec {
        tv_sec: nanoseconds.div_euclid(1_000_000_000) as _,
        tv_nsec: nanoseconds.rem_euclid(1_000_000_000) as _,
    };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// See [`FilesystemStore::touch`](super::FilesystemStore::touch).
pub(super) fn touch(path: &Path, threshold: Duration, now: Timestamp) -> io::Result<Timestamp> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let time = read::mtime(&rustix::fs::fstat(&file)?);
    if now.duration_since(time) < jiff::SignedDuration::try_from(threshold).unwrap_or_default() {
        return Ok(time);
    }
    set_times(&file, now)?;
    Ok(now)
}

/// Makes the root directory of a new store and its missing parents, durably.
pub(super) fn make_root(root: &Path, mode: u32) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = root
        .ancestors()
        .take_while(|directory| !directory.as_os_str().is_empty() && !directory.exists())
        .map(Path::to_owned)
        .collect();
    while let Some(directory) = missing.pop() {
        match std::fs::DirBuilder::new().mode(mode).create(&directory) {
            Ok(()) => sync_parent(&directory)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn sync_parent(directory: &Path) -> io::Result<()> {
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A parent that may be written to but not read cannot be synced; that is no failure.
    match open_directory(CWD, parent, Follow::Links).map(rustix::fs::fsync) {
        Ok(Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS)) => Ok(()),
        Ok(Err(errno)) => Err(errno.into()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}
