//! Removing what writers left behind that were killed between creating and renaming a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::list::{Follow, open_directory};
use super::read::mtime;
use super::write::TEMPORARY_INFIX;
use crate::sharded::{BLOB_SUFFIX, PARAMETERS_FILE};
use crate::{BlobError, Leftovers, Operation};

/// How long a temporary file must have been untouched before it counts as left behind: no put
/// takes a day, and no clock is wrong by one.
pub const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// Whether only a writer of this format can have made a file of this name.
fn is_temporary(name: &str) -> bool {
    let Some((file, random)) = name.rsplit_once(TEMPORARY_INFIX) else { return false };
    (file.ends_with(BLOB_SUFFIX) || file == PARAMETERS_FILE)
        && random.len() == 16
        && random.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn sweep(path: &Path, root: &OwnedFd, now: Timestamp) -> Result<Leftovers, BlobError> {
    let mut removed = Leftovers::default();
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        let failed =
            |error: io::Error| BlobError::from_io(Operation::Sweep, path.join(&below), error);
        let opened = if below.as_os_str().is_empty() {
            Dir::read_from(root).map_err(io::Error::from)
        } else {
            open_directory(root, &below, Follow::Nothing).and_then(|fd| Ok(Dir::new(fd)?))
        };
        let mut directory = match opened {
            Ok(directory) => directory,
            // What we may not read we did not write, and what is gone needs no sweeping.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound
                ) =>
            {
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        while let Some(entry) = directory.read() {
            let entry = entry.map_err(|errno| failed(errno.into()))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let may_be_directory =
                matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if matches!(name, "." | "..") || !(may_be_directory || is_temporary(name)) {
                continue;
            }
            match remove_if_old(&directory, name, now).map_err(|errno| failed(errno.into()))? {
                Found::Directory => waiting.push(below.join(name)),
                Found::Removed(bytes) => {
                    removed.files += 1;
                    removed.bytes += bytes;
                }
                Found::Other => {}
            }
        }
    }
    Ok(removed)
}

enum Found {
    Directory,
    Removed(u64),
    Other,
}

fn remove_if_old(directory: &Dir, name: &str, now: Timestamp) -> Result<Found, Errno> {
    let fd = directory.fd()?;
    let stat = match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Found::Other),
        Err(errno) => return Err(errno),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(Found::Directory),
        FileType::RegularFile if is_temporary(name) => {
            let age = Duration::try_from(now.duration_since(mtime(&stat)));
            if age.is_ok_and(|age| age >= LEFTOVER_AGE) {
                match rustix::fs::unlinkat(fd, name, AtFlags::empty()) {
                    Ok(()) => return Ok(Found::Removed(stat.st_size as u64)),
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Ok(Found::Other)
        }
        _ => Ok(Found::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_writers_make_are_swept() {
        for name in ["kopia.repository.f.tmp.0123456789abcdef", ".shards.tmp.0123456789abcdef"] {
            assert!(is_temporary(name), "{name}");
        }
        for name in [
            "notes.tmp.0123456789abcdef",
            "p1.f.tmp.0123456789abcde",
            "p1.f.tmp.0123456789ABCDEF",
            "p1.f.tmp.0123456789abcdef.f",
            "p1.f",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }
}
