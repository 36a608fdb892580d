//! Owner, permissions and times.

use std::os::fd::OwnedFd;

use kopist_format::directory::{DirEntry, UtcNanos};
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{RestoreError, RestoreOptions};

/// A file counts as restored when its time is this near.
const NEAR: i128 = 2_000_000_000;

/// Whether a file has the size and nearly the time of the snapshot's.
pub(super) fn looks_restored(stat: &Stat, entry: &DirEntry) -> bool {
    let on_disk = UtcNanos::from_unix(stat.st_mtime, stat.st_mtime_nsec as i64);
    let difference = i128::from(on_disk.0) - i128::from(entry.mtime.0);
    stat.st_size == entry.size && difference.abs() < NEAR
}

/// Applies the attributes of an entry to an open file or directory.
///
/// In this order, because a new owner clears special permission bits. Only what differs is
/// changed, so that a restore without privileges does not fail over what is right already.
pub(super) fn apply(
    fd: &OwnedFd,
    entry: &DirEntry,
    options: &RestoreOptions,
    path: &dyn Fn() -> String,
) -> Result<(), RestoreError> {
    let check = |what, result| check(what, result, options, path);
    let mut stat = rustix::fs::fstat(fd).map_err(|error| io("look at", error, path))?;
    let owner = owner(entry, options);
    if !options.skip_owners && (stat.st_uid, stat.st_gid) != owner {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        check("change the owner of", rustix::fs::fchown(fd, Some(uid), Some(gid)))?;
        // That may have cleared bits.
        stat = rustix::fs::fstat(fd).map_err(|error| io("look at", error, path))?;
    }
    let mode = entry.mode.to_unix();
    if !options.skip_permissions && stat.st_mode & 0o7777 != mode {
        let mode = Mode::from_raw_mode(mode);
        check("change the permissions of", rustix::fs::fchmod(fd, mode))?;
    }
    if !options.skip_times {
        check("change the times of", rustix::fs::futimens(fd, &times(entry)))?;
    }
    Ok(())
}

/// Applies owner and times to a symbolic link itself. It has no permissions.
pub(super) fn apply_to_link(
    dir: &OwnedFd,
    entry: &DirEntry,
    options: &RestoreOptions,
    path: &dyn Fn() -> String,
) -> Result<(), RestoreError> {
    let check = |what, result| check(what, result, options, path);
    let stat = rustix::fs::statat(dir, &*entry.name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| io("look at", error, path))?;
    let owner = owner(entry, options);
    if !options.skip_owners && (stat.st_uid, stat.st_gid) != owner {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let result =
            rustix::fs::chownat(dir, &*entry.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        check("change the owner of", result)?;
    }
    if !options.skip_times {
        let result =
            rustix::fs::utimensat(dir, &*entry.name, &times(entry), AtFlags::SYMLINK_NOFOLLOW);
        check("change the times of", result)?;
    }
    Ok(())
}

/// User and group that an entry is to have.
fn owner(entry: &DirEntry, options: &RestoreOptions) -> (u32, u32) {
    (options.owner.unwrap_or(entry.uid), options.group.unwrap_or(entry.gid))
}

fn times(entry: &DirEntry) -> Timestamps {
    let (seconds, nanoseconds) = entry.mtime.to_unix();
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn check(
    what: &'static str,
    result: Result<(), Errno>,
    options: &RestoreOptions,
    path: &dyn Fn() -> String,
) -> Result<(), RestoreError> {
    match result {
        Err(Errno::PERM | Errno::ACCESS) if options.ignore_permission_errors => Ok(()),
        Err(error) => Err(io(what, error, path)),
        Ok(()) => Ok(()),
    }
}

fn io(what: &'static str, error: Errno, path: &dyn Fn() -> String) -> RestoreError {
    RestoreError::Io { what, path: path(), source: error.into() }
}
