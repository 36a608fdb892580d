//! Deleting what a snapshot does not have.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use kopist_format::directory::DirEntry;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use super::{Counters, count};

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
    fd: &OwnedFd,
    entries: &[DirEntry],
    counters: &Counters,
) -> Result<(), (Vec<u8>, io::Error)> {
    let wanted: HashMap<&[u8], bool> =
        entries.iter().map(|entry| (&*entry.name, entry.is_dir())).collect();
    let mut extra = Vec::new();
    list(fd, &mut |name, kind| {
        if wanted.get(name) != Some(&(kind == FileType::Directory)) {
            extra.push((name.to_vec(), kind));
        }
        true
    })
    .map_err(|error| (Vec::new(), error))?;
    for (name, kind) in extra {
        remove(fd, &name, kind, counters).map_err(|error| (name, error))?;
    }
    Ok(())
}

/// Removes an entry and everything below it, following no links.
fn remove(fd: &OwnedFd, name: &[u8], kind: FileType, counters: &Counters) -> io::Result<()> {
    if kind != FileType::Directory {
        rustix::fs::unlinkat(fd, name, AtFlags::empty())?;
        let is_link = kind == FileType::Symlink;
        count(if is_link { &counters.deleted_symlinks } else { &counters.deleted_files }, 1);
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(fd, name, flags, Mode::empty())?;
    let mut inside = Vec::new();
    list(&directory, &mut |name, kind| {
        inside.push((name.to_vec(), kind));
        true
    })?;
    for (name, kind) in inside {
        remove(&directory, &name, kind, counters)?;
    }
    rustix::fs::unlinkat(fd, name, AtFlags::REMOVEDIR)?;
    count(&counters.deleted_directories, 1);
    Ok(())
}
