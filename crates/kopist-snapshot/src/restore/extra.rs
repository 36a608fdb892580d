//! Deleting what a snapshot does not have.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use kopist_format::directory::DirEntry;
use rustix::fs::{AtFlags, FileType, RawDir};

use super::{Counters, count};
use crate::fs::handle::DirHandle;

/// Shows the entries of a directory with their types; `visit` returns false to stop.
pub(super) fn list(fd: &OwnedFd, visit: &mut dyn FnMut(&[u8], FileType) -> bool) -> io::Result<()> {
    rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(0))?;
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        if !visit(name.to_bytes(), kind) {
            break;
        }
    }
    Ok(())
}

/// Deletes entries that the snapshot does not have, or has as something else: a directory
/// instead of a file, or the other way round. An error names the entry.
pub(super) fn delete(
    directory: &DirHandle,
    entries: &[DirEntry],
    counters: &Counters,
) -> Result<(), (Vec<u8>, io::Error)> {
    let wanted: HashMap<&[u8], bool> =
        entries.iter().map(|entry| (&*entry.name, entry.is_dir())).collect();
    let in_directory = |error| (Vec::new(), error);
    let mut extra = Vec::new();
    let fd = directory.fd().map_err(in_directory)?;
    list(&fd, &mut |name, kind| {
        if wanted.get(name) != Some(&(kind == FileType::Directory)) {
            extra.push((name.to_vec(), kind));
        }
        true
    })
    .map_err(in_directory)?;
    for (name, kind) in extra {
        remove(directory, &name, kind, counters).map_err(|error| (name, error))?;
    }
    Ok(())
}

/// Removes an entry and everything below it without counting; nothing there is fine.
pub(super) fn remove_named(directory: &DirHandle, name: &[u8]) -> io::Result<()> {
    let kind = match rustix::fs::statat(&*directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    remove(directory, name, kind, &Counters::default())
}

/// A directory that is being emptied.
struct Emptied {
    handle: DirHandle,
    name: Vec<u8>,
    inside: Vec<(Vec<u8>, FileType)>,
}

impl Emptied {
    fn enter(parent: &DirHandle, name: Vec<u8>) -> io::Result<Self> {
        let handle = parent.child(&name)?;
        let mut inside = Vec::new();
        list(&*handle.fd()?, &mut |name, kind| {
            inside.push((name.to_vec(), kind));
            true
        })?;
        Ok(Self { handle, name, inside })
    }
}

/// Removes an entry and everything below it, following no links. However deep it is, it takes
/// neither many descriptors nor stack.
fn remove(top: &DirHandle, name: &[u8], kind: FileType, counters: &Counters) -> io::Result<()> {
    if kind != FileType::Directory {
        return remove_file(top, name, kind, counters);
    }
    let mut open = vec![Emptied::enter(top, name.to_vec())?];
    while let Some(current) = open.last_mut() {
        match current.inside.pop() {
            Some((name, FileType::Directory)) => {
                let below = Emptied::enter(&current.handle, name)?;
                open.push(below);
            }
            Some((name, kind)) => remove_file(&current.handle, &name, kind, counters)?,
            None => {
                let Some(Emptied { name, .. }) = open.pop() else { break };
                let parent = open.last().map_or(top, |outer| &outer.handle);
                rustix::fs::unlinkat(&*parent.fd()?, name, AtFlags::REMOVEDIR)?;
                count(&counters.deleted_directories, 1);
            }
        }
    }
    Ok(())
}

fn remove_file(
    directory: &DirHandle,
    name: &[u8],
    kind: FileType,
    counters: &Counters,
) -> io::Result<()> {
    rustix::fs::unlinkat(&*directory.fd()?, name, AtFlags::empty())?;
    let is_link = kind == FileType::Symlink;
    count(if is_link { &counters.deleted_symlinks } else { &counters.deleted_files }, 1);
    Ok(())
}
