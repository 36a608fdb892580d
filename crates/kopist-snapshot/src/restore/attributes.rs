//! Owner, permissions and times.

use std::os::fd::OwnedFd;

use kopist_format::directory::{DirEntry, UtcNanos};
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{Counters, RestoreError, RestoreOptions, count};

/// What is to be applied, and what counts if it may not be.
pub(super) struct Wish<'a> {
    pub(super) options: &'a RestoreOptions,
    pub(super) counters: &'a Counters,
}

/// An attribute that this process may not be allowed to set.
#[derive(Clone, Copy)]
enum Attribute {
    Owner,
    Permissions,
    Times,
}

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
    wish: &Wish<'_>,
    path: &dyn Fn() -> String,
) -> Result<(), RestoreError> {
    let options = wish.options;
    let mut stat = rustix::fs::fstat(fd).map_err(|error| io("look at", error, path))?;
    let owner = owner(entry, options);
    if !options.skip_owners && (stat.st_uid, stat.st_gid) != owner {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        wish.check(Attribute::Owner, rustix::fs::fchown(fd, Some(uid), Some(gid)), path)?;
        // That may have cleared bits.
        stat = rustix::fs::fstat(fd).map_err(|error| io("look at", error, path))?;
    }
    let mode = entry.mode.to_unix();
    if !options.skip_permissions && stat.st_mode & 0o7777 != mode {
        let mode = Mode::from_raw_mode(mode);
        wish.check(Attribute::Permissions, rustix::fs::fchmod(fd, mode), path)?;
    }
    if !options.skip_times {
        wish.check(Attribute::Times, rustix::fs::futimens(fd, &times(entry)), path)?;
    }
    Ok(())
}

/// Applies owner and times to a symbolic link itself. It has no permissions.
pub(super) fn apply_to_link(
    dir: &OwnedFd,
    entry: &DirEntry,
    wish: &Wish<'_>,
    path: &dyn Fn() -> String,
) -> Result<(), RestoreError> {
    let options = wish.options;
    let stat = rustix::fs::statat(dir, &*entry.name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| io("look at", error, path))?;
    let owner = owner(entry, options);
    if !options.skip_owners && (stat.st_uid, stat.st_gid) != owner {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let result =
            rustix::fs::chownat(dir, &*entry.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        wish.check(Attribute::Owner, result, path)?;
    }
    if !options.skip_times {
        let result =
            rustix::fs::utimensat(dir, &*entry.name, &times(entry), AtFlags::SYMLINK_NOFOLLOW);
        wish.check(Attribute::Times, result, path)?;
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

impl Wish<'_> {
    fn check(
        &self,
        attribute: Attribute,
        result: Result<(), Errno>,
        path: &dyn Fn() -> String,
    ) -> Result<(), RestoreError> {
        let (what, counter) = match attribute {
            Attribute::Owner => ("change the owner of", &self.counters.unkept_owners),
            Attribute::Permissions => {
                ("change the permissions of", &self.counters.unkept_permissions)
            }
            Attribute::Times => ("change the times of", &self.counters.unkept_times),
        };
        match result {
            Err(Errno::PERM | Errno::ACCESS) if self.options.ignore_permission_errors => {
                count(counter, 1);
                Ok(())
            }
            Err(error) => Err(io(what, error, path)),
            Ok(()) => Ok(()),
        }
    }
}

fn io(what: &'static str, error: Errno, path: &dyn Fn() -> String) -> RestoreError {
    RestoreError::Io { what, path: path(), source: error.into() }
}
