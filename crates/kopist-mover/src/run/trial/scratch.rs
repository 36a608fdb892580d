//! Restoring to a scratch directory, and comparing what is there then.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kopist_format::directory::{DirEntry, EntryType};
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::Repository;
use kopist_snapshot::browse;
use kopist_snapshot::restore::{RestoreOptions, RestoreStats};
use kopist_snapshot::verify::FileVerifier;

use super::compare::{Kept, compare};
use super::{Trial, summary_of};
use crate::report::{Reason, bytes};
use crate::run::failure::Failure;
use crate::run::fill::{self, Watcher};
use crate::run::progress::Ticker;
use crate::run::{Context, remove};

/// The directory that is made in the scratch directory, and removed at the end.
const NAME: &str = "kopist-test-restore";

/// Restores a snapshot, or a part of its files, compares, and clears up.
pub(super) fn restore(
    manifest: &SnapshotManifest,
    percent: f64,
    context: &Context,
    repository: &Repository,
    scratch: &Path,
) -> Result<Trial, Failure> {
    let place = scratch.join(NAME);
    clear(&place)?;
    let no_root = || Failure::new(Reason::DataDamaged, "the snapshot has no root");
    let root = manifest.root_entry.as_ref().ok_or_else(no_root)?;
    let result = if percent >= 100.0 {
        room(manifest, scratch)?;
        whole(root, context, repository, &place)
    } else {
        sample(root, percent, context, repository, &place)
    };
    clear(&place)?;
    result
}

fn clear(place: &Path) -> Result<(), Failure> {
    if place.symlink_metadata().is_err() {
        return Ok(());
    }
    remove(place).map_err(|error| stuck(place, &error))
}

fn stuck(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Reason::TargetUnwritable, format!("{}: {error}", path.display()))
}

/// Whether the snapshot fits, before anything is fetched.
fn room(manifest: &SnapshotManifest, scratch: &Path) -> Result<(), Failure> {
    let needed = u64::try_from(summary_of(manifest).size).unwrap_or(0);
    let stat = rustix::fs::statvfs(scratch).map_err(|error| stuck(scratch, &error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if needed <= free {
        return Ok(());
    }
    let message = format!(
        "the scratch directory {} has room for {}, the snapshot holds {}: restore a part with \
         KOPIST_TEST_RESTORE_PERCENT, or to nowhere",
        scratch.display(),
        bytes(free),
        bytes(needed)
    );
    Err(Failure::new(Reason::TargetUnwritable, message))
}

fn options(context: &Context) -> RestoreOptions {
    RestoreOptions {
        parallel: fill::files_at_once(context.memory_limit),
        keep_damaged: false,
        cancel: context.stop.upload().clone(),
        ..RestoreOptions::default()
    }
}

fn whole(
    root: &DirEntry,
    context: &Context,
    repository: &Repository,
    place: &Path,
) -> Result<Trial, Failure> {
    let mut trial = Trial::default();
    let Some(stats) = write(root, context, repository, place, &mut trial)? else {
        return Ok(trial);
    };
    let kept = kept(&stats);
    let mut stack: Vec<(DirEntry, PathBuf)> = vec![(root.clone(), place.to_owned())];
    while let Some((entry, path)) = stack.pop() {
        if context.stop.requested() {
            break;
        }
        context.telemetry.pulse.beat();
        compare(repository, &entry, &path, kept, &mut trial);
        if !entry.is_dir() {
            continue;
        }
        match browse::children(repository, &entry) {
            Ok(children) => stack.extend(children.into_iter().map(|child| {
                let path = path.join(OsStr::from_bytes(&child.name));
                (child, path)
            })),
            Err(error) => trial.differs(error.to_string()),
        }
    }
    Ok(trial)
}

fn kept(stats: &RestoreStats) -> Kept {
    Kept { permissions: stats.unkept_permissions == 0, times: stats.unkept_times == 0 }
}

/// Restores an entry. What the snapshot cannot give back is a difference, what the disk does not
/// take is a failure.
fn write(
    entry: &DirEntry,
    context: &Context,
    repository: &Repository,
    place: &Path,
    trial: &mut Trial,
) -> Result<Option<RestoreStats>, Failure> {
    let watcher = Arc::new(Watcher::of(context, entry));
    let shown = Arc::clone(&watcher);
    let _ticker = Ticker::start(context, move |elapsed| shown.line(elapsed));
    let options = options(context);
    match fill::write(repository, entry, place, &options, &watcher) {
        Ok(stats) => Ok(Some(stats)),
        Err(failure) if failure.reason == Reason::DataDamaged => {
            trial.differs(failure.message);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Restores some of the files, one after the other, so that the room of one is enough.
fn sample(
    root: &DirEntry,
    percent: f64,
    context: &Context,
    repository: &Repository,
    place: &Path,
) -> Result<Trial, Failure> {
    let mut trial = Trial::default();
    let files = FileVerifier::new(repository, percent)?;
    std::fs::create_dir(place).map_err(|error| stuck(place, &error))?;
    let target = place.join("file");
    let mut stack = vec![root.clone()];
    while let Some(entry) = stack.pop() {
        if context.stop.requested() {
            break;
        }
        context.telemetry.pulse.beat();
        if entry.is_dir() {
            match browse::children(repository, &entry) {
                Ok(children) => stack.extend(children),
                Err(error) => trial.differs(error.to_string()),
            }
            continue;
        }
        let chosen = entry.kind == EntryType::File
            && entry.object.is_some_and(|object| files.is_chosen(&object));
        if !chosen {
            continue;
        }
        let before = trial.differences.len();
        if let Some(stats) = write(&entry, context, repository, &target, &mut trial)? {
            compare(repository, &entry, &target, kept(&stats), &mut trial);
        }
        for difference in trial.differences.iter_mut().skip(before) {
            *difference = format!("{}: {difference}", entry.name_text());
        }
        clear(&target)?;
    }
    Ok(trial)
}
