//! Shallow restores: placeholders instead of what is deep in the tree.
//!
//! A file `x` becomes `x.kopia-entry`, a directory `x` becomes `x.kopia-entry/.kopia-entry`, and
//! what they hold is the entry as JSON. A backup of such a tree stores the entries themselves;
//! [`expand`] puts what a placeholder stands for in its place. Facts:
//! `kopia:fs/localfs/shallow_fs.go`, `kopia:snapshot/restore/shallow_fs_output.go`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kopist_format::directory::{DirEntry, EntryType, Permissions, write_entry};
use kopist_repo::Repository;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Dir;
use super::file::{temporary_name, write_at};
use super::run::Run;
use super::{
    RestoreError, RestoreOptions, RestoreProgress, RestoreStats, attributes, count, extra,
};
use crate::fs::handle::DirHandle;

/// What the name of a placeholder ends in, and the name of the file in the one of a directory.
pub const SUFFIX: &str = ".kopia-entry";

/// The longest name on a disk.
const MAX_NAME: usize = 255;

/// The path that a placeholder stands for, if this is the path of one.
#[must_use]
pub fn real_path(path: &Path) -> Option<PathBuf> {
    let real = path.as_os_str().as_bytes().strip_suffix(SUFFIX.as_bytes())?;
    (!real.is_empty() && !real.ends_with(b"/")).then(|| PathBuf::from(OsStr::from_bytes(real)))
}

/// Reads the entry in a placeholder, which is a file or a directory.
pub fn read(path: &Path) -> Result<DirEntry, RestoreError> {
    let invalid =
        |reason: String| RestoreError::Placeholder { path: path.display().to_string(), reason };
    let is_dir = path.symlink_metadata().map_err(|error| invalid(error.to_string()))?.is_dir();
    let file = if is_dir { path.join(SUFFIX) } else { path.to_owned() };
    let json = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
    let mut values = serde_json::Deserializer::from_slice(&json).into_iter::<DirEntry>();
    match values.next() {
        Some(Ok(entry)) => Ok(entry),
        Some(Err(error)) => Err(invalid(error.to_string())),
        None => Err(invalid("it is empty".to_owned())),
    }
}

/// Restores what a placeholder stands for in its place, and removes it when that is complete.
/// Unless the options say otherwise one level is restored, and the next one as placeholders.
pub fn expand(
    repo: &Repository,
    path: &Path,
    options: &RestoreOptions,
    progress: &dyn RestoreProgress,
) -> Result<RestoreStats, RestoreError> {
    let target = real_path(path).ok_or_else(|| RestoreError::Placeholder {
        path: path.display().to_string(),
        reason: format!("its name does not end in {SUFFIX}"),
    })?;
    let entry = read(path)?;
    let depth = options.shallow.unwrap_or(0);
    let options = RestoreOptions { shallow: Some(depth), ..options.clone() };
    super::restore(repo, &entry, &target, &options, progress)
}

/// Whether an entry at this depth becomes a placeholder.
pub(super) fn is_wanted(options: &RestoreOptions, entry: &DirEntry, depth: u32) -> bool {
    let deep = options.shallow.is_some_and(|limit| depth > limit);
    deep && entry.name.len() + SUFFIX.len() <= MAX_NAME
        && match entry.kind {
            EntryType::Directory => true,
            EntryType::File => u64::try_from(entry.size).unwrap_or(0) >= options.shallow_min_size,
            _ => false,
        }
}

/// The name of a placeholder.
pub(super) fn name_of(name: &[u8]) -> Vec<u8> {
    [name, SUFFIX.as_bytes()].concat()
}

/// Remembers the placeholders in a directory that is restored to; they go when what they stand
/// for is there. What the snapshot itself calls so is none.
pub(super) fn find(dir: &Dir, fd: &OwnedFd, entries: &[DirEntry]) -> Result<(), RestoreError> {
    let mut found = HashSet::new();
    extra::list(fd, &mut |name, _| {
        if name.len() > SUFFIX.len() && name.ends_with(SUFFIX.as_bytes()) {
            found.insert(name.to_vec());
        }
        true
    })
    .map_err(|error| dir.io("list", b"", error))?;
    if found.is_empty() {
        return Ok(());
    }
    for entry in entries {
        found.remove(&*entry.name);
    }
    for name in found {
        dir.has_placeholder(name.strip_suffix(SUFFIX.as_bytes()).unwrap_or(&name));
    }
    Ok(())
}

/// The placeholder beside the target of a restore.
pub(super) struct Beside {
    directory: DirHandle,
    name: Vec<u8>,
}

/// Finds the placeholder of a directory that is the target, if there is one.
pub(super) fn beside(target: &Path) -> Result<Option<Beside>, RestoreError> {
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Ok(None);
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let name = name_of(name.as_bytes());
    let placeholder = parent.join(OsStr::from_bytes(&name));
    if placeholder.symlink_metadata().is_err() {
        return Ok(None);
    }
    let directory = DirHandle::open(parent).map_err(|source| RestoreError::Io {
        what: "open the directory of",
        path: placeholder.display().to_string(),
        source,
    })?;
    Ok(Some(Beside { directory, name }))
}

impl Beside {
    /// Removes the placeholder: its target has taken its place.
    pub(super) fn remove(&self) -> Result<(), RestoreError> {
        extra::remove_named(&self.directory, &self.name).map_err(|source| RestoreError::Io {
            what: "remove the placeholder",
            path: self.directory.path().join(OsStr::from_bytes(&self.name)).display().to_string(),
            source,
        })
    }
}

impl Run<'_> {
    /// Writes a placeholder for a file or a directory. It counts as what it stands for.
    pub(super) fn add_placeholder(
        &self,
        dir: &Arc<Dir>,
        entry: &DirEntry,
    ) -> Result<(), RestoreError> {
        let size = entry.size.unsigned_abs();
        let is_dir = entry.is_dir();
        if is_dir {
            count(&self.counters.enqueued_directories, 1);
        } else {
            count(&self.counters.enqueued_files, 1);
            count(&self.counters.enqueued_bytes, size);
            if self.options.skip_existing && !self.is_needed(dir, entry)? {
                count(&self.counters.skipped, 1);
                count(&self.counters.skipped_bytes, size);
                return Ok(());
            }
        }
        self.write_placeholder(dir, entry)?;
        if is_dir {
            count(&self.counters.directories, 1);
        } else {
            count(&self.counters.files, 1);
            count(&self.counters.bytes, size);
        }
        Ok(())
    }

    fn write_placeholder(&self, dir: &Arc<Dir>, entry: &DirEntry) -> Result<(), RestoreError> {
        let name = name_of(&entry.name);
        let failed = |what, error: Errno| dir.io(what, &name, error.into());
        let fd = dir.handle.fd().map_err(|error| dir.io("open", b"", error))?;
        if rustix::fs::statat(&*fd, &*entry.name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(RestoreError::Exists {
                path: dir.display(&entry.name),
                reason: "exists, and a placeholder beside it would make the tree unusable; \
                         remove one of them",
            });
        }
        let mut json = Vec::new();
        write_entry(&mut json, entry);
        json.push(b'\n');
        if !entry.is_dir() {
            return self.write_placeholder_file(dir, &fd, &name, &json, entry);
        }
        match rustix::fs::mkdirat(&*fd, &*name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("create", error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = rustix::fs::openat(&*fd, &*name, flags, Mode::empty())
            .map_err(|error| failed("open", error))?;
        self.write_placeholder_file(dir, &inner, SUFFIX.as_bytes(), &json, entry)
    }

    /// Writes the file under another name and gives it its own one when it is complete.
    fn write_placeholder_file(
        &self,
        dir: &Dir,
        into: &OwnedFd,
        name: &[u8],
        json: &[u8],
        entry: &DirEntry,
    ) -> Result<(), RestoreError> {
        let path = || dir.display(&name_of(&entry.name));
        let failed = |what, error: std::io::Error| dir.io(what, &name_of(&entry.name), error);
        let temporary = temporary_name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(into, &*temporary, flags, mode)
            .map_err(|error| failed("create", error.into()))?;
        let attributes = DirEntry { mode: read_only(entry.mode), ..entry.clone() };
        let written = write_at(&file, 0, json)
            .map_err(|error| failed("write", error))
            .and_then(|()| attributes::apply(&file, &attributes, &self.wish(), &path))
            .and_then(|()| {
                rustix::fs::renameat(into, &*temporary, into, name)
                    .map_err(|error| failed("rename a complete file to", error.into()))
            });
        if written.is_err() {
            // The first error is the one to tell.
            let _ = rustix::fs::unlinkat(into, &*temporary, AtFlags::empty());
        }
        written
    }
}

/// The mode of a placeholder: nobody may write it. The one of a file that is 0400 keeps the 0600
/// that it was made with, as in kopia.
fn read_only(mode: Permissions) -> Permissions {
    Permissions::from_unix(match mode.to_unix() {
        0o400 => 0o600,
        mode => mode & !0o222,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_placeholders() {
        assert_eq!(real_path(Path::new("/a/b.kopia-entry")), Some(PathBuf::from("/a/b")));
        for other in ["/a/b", "/a/.kopia-entry", ".kopia-entry", "/a/b.kopia-entry/x"] {
            assert_eq!(real_path(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn what_becomes_a_placeholder() {
        let options =
            RestoreOptions { shallow: Some(1), shallow_min_size: 10, ..RestoreOptions::default() };
        let entry = |kind, size, name: &str| DirEntry {
            kind,
            size,
            name: name.as_bytes().into(),
            ..DirEntry::default()
        };
        assert!(is_wanted(&options, &entry(EntryType::File, 10, "a"), 2));
        assert!(is_wanted(&options, &entry(EntryType::Directory, 0, "a"), 2));
        assert!(!is_wanted(&options, &entry(EntryType::File, 9, "a"), 2));
        assert!(!is_wanted(&options, &entry(EntryType::File, 10, "a"), 1));
        assert!(!is_wanted(&options, &entry(EntryType::Symlink, 10, "a"), 2));
        assert!(!is_wanted(&options, &entry(EntryType::Directory, 0, &"n".repeat(250)), 2));
        assert!(!is_wanted(&RestoreOptions::default(), &entry(EntryType::File, 10, "a"), 99));
    }
}
