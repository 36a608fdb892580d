//! Walking the tree. A listing starts on the calling thread alone; only when many directories
//! are waiting do threads join, so that listing a few index blobs costs no thread at all while
//! listing a hundred thousand packs over a network file system does not wait for one answer
//! at a time.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::read::meta_of;
use crate::sharded::{blob_of_file, leads_to};
use crate::{BlobError, BlobId, BlobMeta, Operation};

/// Threads of a listing when the configuration does not say: mostly they wait for the disk or
/// the network.
const DEFAULT_PARALLELISM: usize = 8;

/// Waiting directories from which on threads are worth their start.
const DIRECTORIES_WORTH_THREADS: usize = 16;

/// Blobs handed from a thread to the caller at once.
const BATCH: usize = 256;

/// Whether the last part of a path may be a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Links,
    Nothing,
}

pub(super) fn open_directory(
    at: impl AsFd,
    path: impl AsRef<Path>,
    follow: Follow,
) -> io::Result<OwnedFd> {
    let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if follow == Follow::Nothing {
        flags |= OFlags::NOFOLLOW;
    }
    Ok(rustix::fs::openat(at, path.as_ref(), flags, Mode::empty())?)
}

/// A directory to read: its path below the root, and its names joined, which start the ids of
/// all blobs below it.
struct Pending {
    path: PathBuf,
    names: String,
}

/// One listing.
pub(super) struct Walk<'a> {
    root_path: &'a Path,
    root: OwnedFd,
    prefix: &'a str,
    parallelism: usize,
}

impl<'a> Walk<'a> {
    /// Lists blobs that start with `prefix`; `parallelism` 0 means the usual one.
    pub(super) fn new(
        root_path: &'a Path,
        root: OwnedFd,
        prefix: &'a str,
        parallelism: usize,
    ) -> Self {
        let parallelism = if parallelism == 0 { DEFAULT_PARALLELISM } else { parallelism };
        Self { root_path, root, prefix, parallelism }
    }

    pub(super) fn run(
        &self,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let mut waiting = vec![Pending { path: PathBuf::new(), names: String::new() }];
        while let Some(directory) = waiting.pop() {
            if self.read(&directory, &mut waiting, visit)?.is_break() {
                return Ok(());
            }
            if self.parallelism > 1 && waiting.len() >= DIRECTORIES_WORTH_THREADS {
                return self.run_in_parallel(waiting, visit);
            }
        }
        Ok(())
    }

    fn run_in_parallel(
        &self,
        waiting: Vec<Pending>,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let work = Work::new(waiting);
        let (sender, receiver) = bounded(2 * self.parallelism);
        std::thread::scope(|scope| {
            for _ in 0..self.parallelism {
                let (work, sender) = (&work, sender.clone());
                scope.spawn(move || self.work(work, &sender));
            }
            drop(sender);
            // Dropping the receiver makes the threads end.
            receive(receiver, visit)
        })
    }

    fn work(&self, work: &Work, sender: &Sender<Result<Vec<BlobMeta>, BlobError>>) {
        let mut batch = Vec::new();
        while let Some(directory) = work.take() {
            let mut found = Vec::new();
            let outcome = self.read(&directory, &mut found, &mut |meta| {
                batch.push(meta);
                if batch.len() >= BATCH && sender.send(Ok(std::mem::take(&mut batch))).is_err() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            let goes_on = match outcome {
                Ok(ControlFlow::Continue(())) => true,
                Ok(ControlFlow::Break(())) => false,
                Err(error) => {
                    // Nobody to tell means that the listing has ended anyway.
                    let _ = sender.send(Err(error));
                    false
                }
            };
            work.done(found, goes_on);
        }
        if !batch.is_empty() {
            let _ = sender.send(Ok(batch));
        }
    }

    /// Reads one directory: blobs go to `visit`, directories that may hold more to `found`.
    fn read(
        &self,
        directory: &Pending,
        found: &mut Vec<Pending>,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, BlobError> {
        let failed = |error: io::Error| {
            let path = self.root_path.join(&directory.path);
            BlobError::from_io(Operation::List, path, error)
        };
        let opened = if directory.path.as_os_str().is_empty() {
            Dir::read_from(&self.root).map_err(io::Error::from)
        } else {
            open_directory(&self.root, &directory.path, Follow::Nothing)
                .and_then(|fd| Ok(Dir::new(fd)?))
        };
        let mut entries = match opened {
            Ok(entries) => entries,
            // Removed since its parent was read: then there is nothing in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ControlFlow::Continue(()));
            }
            // The root of an ext4 volume has this directory, which only root may read.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && directory.path == Path::new("lost+found") =>
            {
                return Ok(ControlFlow::Continue(()));
            }
            Err(error) => return Err(failed(error)),
        };
        while let Some(entry) = entries.read() {
            let entry = entry.map_err(|errno| failed(errno.into()))?;
            // Ids are text; no blob can have another name.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            match self.kind_of(&entries, &entry).map_err(|errno| failed(errno.into()))? {
                Some(FileType::Directory) => {
                    let names = format!("{}{name}", directory.names);
                    if leads_to(&names, self.prefix) {
                        found.push(Pending { path: directory.path.join(name), names });
                    }
                }
                Some(FileType::RegularFile | FileType::Symlink) => {
                    let Some(id) = blob_of_file(&directory.names, name, self.prefix) else {
                        continue;
                    };
                    let meta = metadata(&entries, &entry, id).map_err(|e| failed(e.into()))?;
                    if let Some(meta) = meta
                        && visit(meta).is_break()
                    {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                _ => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The type of an entry; `None` if it vanished. Some file systems do not tell it unasked.
    #[allow(clippy::unused_self)] // reads best beside its caller
    fn kind_of(&self, entries: &Dir, entry: &DirEntry) -> Result<Option<FileType>, Errno> {
        if entry.file_type() != FileType::Unknown {
            return Ok(Some(entry.file_type()));
        }
        match rustix::fs::statat(entries.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Length and time of a blob's file; `None` if it vanished or leads to something else.
fn metadata(entries: &Dir, entry: &DirEntry, id: String) -> Result<Option<BlobMeta>, Errno> {
    match rustix::fs::statat(entries.fd()?, entry.file_name(), AtFlags::empty()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Some(meta_of(BlobId::from(id), &stat)))
        }
        Ok(_) | Err(Errno::NOENT | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn receive(
    receiver: Receiver<Result<Vec<BlobMeta>, BlobError>>,
    visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
) -> Result<(), BlobError> {
    for batch in receiver {
        for meta in batch? {
            if visit(meta).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The directories that wait, shared by the threads of one listing. The newest goes first,
/// which keeps their number small.
struct Work {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Vec<Pending>,
    /// Directories taken and not done, which may still yield more.
    busy: usize,
    stopped: bool,
}

impl Work {
    fn new(waiting: Vec<Pending>) -> Self {
        let state = State { waiting, busy: 0, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next directory; `None` when the listing is complete or has stopped.
    fn take(&self) -> Option<Pending> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(directory) = state.waiting.pop() {
                state.busy += 1;
                return Some(directory);
            }
            if state.busy == 0 {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    fn done(&self, found: Vec<Pending>, goes_on: bool) {
        let mut state = self.state.lock();
        state.waiting.extend(found);
        state.busy -= 1;
        state.stopped |= !goes_on;
        self.changed.notify_all();
    }
}
