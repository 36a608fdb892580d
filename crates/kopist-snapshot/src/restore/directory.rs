//! Directories while they are restored.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kopist_format::directory::{DirEntry, EntryType};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::file::Job;
use super::run::{Run, Task};
use super::{RestoreError, attributes, count, extra, placeholder};
use crate::browse;
use crate::fs::handle::DirHandle;

/// A directory in progress.
pub(super) struct Dir {
    parent: Option<Arc<Dir>>,
    pub(super) handle: DirHandle,
    /// What it is to become; nothing for the directory that a single file is put into.
    entry: Option<DirEntry>,
    /// Depth of what is in it; the root of the restore is at 0.
    depth: u32,
    /// Names of which a placeholder was found here, without the suffix.
    placeholders: Mutex<HashSet<Box<[u8]>>>,
    /// Whether something below could not be restored.
    incomplete: AtomicBool,
    /// Tasks that are not done, and one while the directory is listed.
    pending: AtomicUsize,
}

impl Dir {
    /// The top of the tree.
    pub(super) fn top(handle: DirHandle, entry: DirEntry) -> Arc<Self> {
        Self::new(None, handle, Some(entry), 1)
    }

    /// A directory that keeps its attributes.
    pub(super) fn bystander(handle: DirHandle) -> Arc<Self> {
        Self::new(None, handle, None, 0)
    }

    fn new(
        parent: Option<Arc<Dir>>,
        handle: DirHandle,
        entry: Option<DirEntry>,
        depth: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent,
            handle,
            entry,
            depth,
            placeholders: Mutex::default(),
            incomplete: AtomicBool::new(false),
            pending: AtomicUsize::new(1),
        })
    }

    /// Remembers that there is a placeholder of a name.
    pub(super) fn has_placeholder(&self, name: &[u8]) {
        self.placeholders.lock().insert(name.into());
    }

    /// Something in it could not be restored.
    pub(super) fn lacks_something(&self) {
        self.incomplete.store(true, Ordering::Relaxed);
    }

    /// Whether everything below was restored. Known when it is done.
    pub(super) fn is_complete(&self) -> bool {
        !self.incomplete.load(Ordering::Relaxed)
    }

    /// Removes the placeholder of what has taken its place, if there is one.
    pub(super) fn remove_placeholder(&self, name: &[u8]) -> Result<(), RestoreError> {
        if !self.placeholders.lock().remove(name) {
            return Ok(());
        }
        let name = placeholder::name_of(name);
        extra::remove_named(&self.handle, &name)
            .map_err(|error| self.io("remove the placeholder", &name, error))
    }

    /// Path of an entry, for messages.
    pub(super) fn display(&self, name: &[u8]) -> String {
        let name = std::os::unix::ffi::OsStrExt::from_bytes(name);
        self.handle.path().join::<&std::ffi::OsStr>(name).to_string_lossy().into_owned()
    }

    pub(super) fn io(
        &self,
        what: &'static str,
        name: &[u8],
        source: std::io::Error,
    ) -> RestoreError {
        RestoreError::Io { what, path: self.display(name), source }
    }
}

impl Run<'_> {
    /// Makes a directory, or accepts the one that is there, and lists it.
    pub(super) fn enter(&self, parent: &Arc<Dir>, entry: DirEntry) {
        let entered = if self.stopped() { Ok(None) } else { make(parent, entry).map(Some) };
        match entered {
            Ok(Some((dir, existed))) => {
                if let Err(error) = self.list(&dir, existed) {
                    self.report(&dir, error);
                }
                self.task_done(&dir);
            }
            Ok(None) => {
                self.listed();
                self.task_done(parent);
            }
            Err(error) => {
                self.report(parent, error);
                self.listed();
                self.task_done(parent);
            }
        }
    }

    /// Reads a directory of the snapshot and makes tasks of its entries. Counts as listed also
    /// when it fails.
    pub(super) fn list(&self, dir: &Arc<Dir>, existed: bool) -> Result<(), RestoreError> {
        let result = self.list_entries(dir, existed);
        self.listed();
        result
    }

    fn list_entries(&self, dir: &Arc<Dir>, existed: bool) -> Result<(), RestoreError> {
        let Some(own) = &dir.entry else { return Ok(()) };
        let fd = dir.handle.fd().map_err(|error| dir.io("open", b"", error))?;
        if existed && !self.options.overwrite_directories && !is_empty(&fd) {
            return Err(RestoreError::Exists {
                path: dir.display(b""),
                reason: "non-empty directory already exists, not overwriting it",
            });
        }
        let entries = browse::children(self.repo, own).map_err(|source| {
            RestoreError::Directory { path: dir.display(b""), source: Box::new(source) }
        })?;
        if self.options.delete_extra && existed {
            extra::delete(&dir.handle, &entries, &self.counters)
                .map_err(|(name, error)| dir.io("delete", &name, error))?;
        }
        if existed {
            placeholder::find(dir, &fd, &entries)?;
        }
        for entry in entries {
            if self.stopped() {
                break;
            }
            self.add(dir, entry);
        }
        Ok(())
    }

    /// Makes a task of an entry.
    pub(super) fn add(&self, dir: &Arc<Dir>, entry: DirEntry) {
        if !browse::is_safe_name(&entry.name) {
            let name = entry.name_text().into_owned();
            self.report(dir, RestoreError::UnsafeName { path: dir.display(b""), name });
            return;
        }
        if placeholder::is_wanted(self.options, &entry, dir.depth) {
            if let Err(error) = self.add_placeholder(dir, &entry) {
                self.report(dir, error);
            }
            return;
        }
        match entry.kind {
            EntryType::Directory => {
                count(&self.counters.enqueued_directories, 1);
                self.unlisted.fetch_add(1, Ordering::Relaxed);
                dir.pending.fetch_add(1, Ordering::Relaxed);
                self.queue.push([Task::Enter { parent: dir.clone(), entry }]);
            }
            EntryType::File | EntryType::Symlink => match self.is_needed(dir, &entry) {
                Ok(true) => {
                    let (counter, bytes) = if entry.kind == EntryType::File {
                        (&self.counters.enqueued_files, entry.size.unsigned_abs())
                    } else {
                        (&self.counters.enqueued_symlinks, 0)
                    };
                    count(counter, 1);
                    count(&self.counters.enqueued_bytes, bytes);
                    dir.pending.fetch_add(1, Ordering::Relaxed);
                    self.gather(Arc::new(Job::new(dir.clone(), entry)), bytes);
                }
                Ok(false) => {
                    count(&self.counters.skipped, 1);
                    if entry.kind == EntryType::File {
                        count(&self.counters.skipped_bytes, entry.size.unsigned_abs());
                    }
                }
                Err(error) => self.report(dir, error),
            },
            EntryType::Other(_) => {
                self.report(dir, RestoreError::UnknownType { path: dir.display(&entry.name) });
            }
        }
    }

    /// Whether a file or link must be written, given what is there.
    pub(super) fn is_needed(&self, dir: &Dir, entry: &DirEntry) -> Result<bool, RestoreError> {
        let options = self.options;
        if !options.skip_existing && options.overwrite_files && options.overwrite_symlinks {
            return Ok(true);
        }
        let fd = dir.handle.fd().map_err(|error| dir.io("open", b"", error))?;
        let stat = match rustix::fs::statat(&*fd, &*entry.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(true),
            Err(error) => return Err(dir.io("look at", &entry.name, error.into())),
        };
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        let exists = |reason| RestoreError::Exists { path: dir.display(&entry.name), reason };
        if entry.kind == EntryType::Symlink {
            if options.skip_existing && is_link {
                return Ok(false);
            }
            if !options.overwrite_symlinks {
                return Err(exists("will not overwrite existing symlink"));
            }
            return Ok(true);
        }
        if options.skip_existing
            && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && attributes::looks_restored(&stat, entry)
        {
            return Ok(false);
        }
        if !options.overwrite_files {
            return Err(exists("unable to create, it already exists"));
        }
        Ok(true)
    }

    /// A task of a directory is done. The last one applies the attributes, which is a task of
    /// its parent, and so on.
    pub(super) fn task_done(&self, dir: &Arc<Dir>) {
        let mut dir = dir.clone();
        while dir.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            if let Some(entry) = &dir.entry
                && !self.stopped()
            {
                let applied =
                    dir.handle.fd().map_err(|error| dir.io("open", b"", error)).and_then(|fd| {
                        attributes::apply(&fd, entry, &self.wish(), &|| dir.display(b""))
                    });
                if let Err(error) = applied {
                    self.report(&dir, error);
                }
                count(&self.counters.directories, 1);
            }
            let Some(parent) = &dir.parent else {
                self.queue.finish();
                return;
            };
            if !dir.is_complete() {
                parent.lacks_something();
            } else if let Some(entry) = &dir.entry
                && !self.stopped()
                && let Err(error) = parent.remove_placeholder(&entry.name)
            {
                self.report(parent, error);
            }
            dir = parent.clone();
        }
    }
}

/// Makes a directory, or accepts the one that is there; tells whether it was.
fn make(parent: &Arc<Dir>, entry: DirEntry) -> Result<(Arc<Dir>, bool), RestoreError> {
    let name = &*entry.name;
    let fd = parent.handle.fd().map_err(|error| parent.io("open", b"", error))?;
    let existed = match rustix::fs::mkdirat(&*fd, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => false,
        Err(Errno::EXIST) => true,
        Err(error) => return Err(parent.io("create", name, error.into())),
    };
    let handle = parent.handle.child(name).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOTDIR | Errno::LOOP) => RestoreError::Exists {
            path: parent.display(name),
            reason: "exists and is not a directory; remove it or allow to delete extra entries",
        },
        _ => parent.io("open", name, error),
    })?;
    let depth = parent.depth.saturating_add(1);
    Ok((Dir::new(Some(parent.clone()), handle, Some(entry), depth), existed))
}

fn is_empty(fd: &OwnedFd) -> bool {
    let mut any = false;
    let listed = extra::list(fd, &mut |_, _| {
        any = true;
        false
    });
    listed.is_ok() && !any
}
