//! `repository sync-to`: a copy of the repository elsewhere, blob by blob.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Feature, PutOptions, in_parallel, list_all,
};
use kopist_cloud::ConnectOptions;
use kopist_format::format_blob::{FORMAT_BLOB, FormatBlob};

use crate::commands::providers::for_each_storage;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::storage::{self, Purpose},
    error::{CommandError, Context as _},
    grammar::Matches,
    output::speed,
    progress::StatusLine,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("update", "Overwrite blobs that are older at the destination.").default("true"),
    Flag::switch("delete", "Delete blobs that are not at the source."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("must-exist", "Fail if the destination is not initialised."),
    Flag::switch("times", "Copy modification times."),
];

/// `repository sync-to`
pub(super) static COMMAND: Command =
    Command::new("sync-to", "Copy the repository to another place.")
        .flags(&[FLAGS])
        .commands(for_each_storage!("Copy the repository to storage", |command| command.run(run)));

fn run(app: &App, matches: &Matches) -> Outcome {
    let chosen = storage::from_flags(app, matches, Purpose::Connect);
    let chosen = chosen.context("can't connect to storage")?;
    let destination = storage::open(&chosen.storage, &ConnectOptions::default(), Purpose::Connect)
        .context("can't connect to storage")?;
    session::read(app, |session| {
        let sync = Sync {
            app,
            source: session.repo.store().as_ref(),
            destination: destination.as_ref(),
            with_times: AtomicBool::new(matches.flag("times")),
        };
        sync.run(matches)
    })
}

struct Sync<'a> {
    app: &'a App,
    source: &'a dyn BlobStore,
    destination: &'a dyn BlobStore,
    /// Whether the destination takes modification times; known after the first put.
    with_times: AtomicBool,
}

/// What refers to other blobs: it is listed before them and copied after them, so that the copy
/// never names what it does not have, whoever writes to the source meanwhile or stops us.
const REFERRING: [&str; 5] = ["x", "n", "m", "l", "kopia."];

fn refers(id: &BlobId) -> bool {
    REFERRING.iter().any(|prefix| id.starts_with(prefix))
}

/// Blobs and their bytes.
#[derive(Default)]
struct Tally {
    blobs: Vec<BlobMeta>,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, blob: BlobMeta) {
        self.bytes += blob.length;
        self.blobs.push(blob);
    }
}

impl Sync<'_> {
    fn run(&self, matches: &Matches) -> Outcome {
        let app = self.app;
        let deleting = matches.flag("delete");
        app.info("Synchronizing repositories:");
        app.info(format!("  Source:      {}", self.source.display_name()));
        app.info(format!("  Destination: {}", self.destination.display_name()));
        if !deleting {
            app.info("NOTE: By default no BLOBs are deleted, pass --delete to allow it.");
        }
        self.check_destination(matches.flag("must-exist"), matches.flag("dry-run"))?;

        app.info("Looking for BLOBs to synchronize...");
        let line = StatusLine::new(app);
        let mut there = self.list_destination(&line)?;
        let (mut copy, mut in_sync, mut total) = (Tally::default(), Tally::default(), (0, 0));
        let mut indexes = HashSet::new();
        for prefix in REFERRING {
            let listed = list_all(self.source, prefix).context("error listing blobs")?;
            indexes.extend(listed.into_iter().map(|blob| blob.id));
        }
        let updating = matches.flag("update");
        let mut visit = |blob: BlobMeta| {
            total = (total.0 + 1, total.1 + blob.length);
            match there.remove(&blob.id) {
                Some(copied) if !updating || copied.timestamp >= blob.timestamp => {
                    in_sync.add(blob);
                }
                // Its packs may have come after ours were listed: next time.
                _ if refers(&blob.id) && !indexes.contains(&blob.id) => {}
                _ => copy.add(blob),
            }
            line.show(|| {
                let (blobs, size) = (total.0, app.size(total.1));
                let (count, bytes) = (copy.blobs.len(), app.size(copy.bytes));
                format!(
                    "  Found {blobs} BLOBs ({size}) in the source repository, \
                     {count} ({bytes}) to copy"
                )
            });
            ControlFlow::Continue(())
        };
        self.source.list("", &mut visit).context("error listing blobs")?;
        line.finish();
        let mut delete = Tally::default();
        if deleting {
            for blob in there.into_values() {
                delete.add(blob);
            }
        }
        let (doomed, doomed_size) = (delete.blobs.len(), app.size(delete.bytes));
        let (same, same_size) = (in_sync.blobs.len(), app.size(in_sync.bytes));
        app.info(format!(
            "  Found {doomed} BLOBs to delete ({doomed_size}), {same} in sync ({same_size})"
        ));
        if matches.flag("dry-run") {
            return Ok(());
        }
        app.info("Copying...");
        let parallel = matches.count("parallel").unwrap_or(1).max(1);
        copy.blobs.sort_by_key(|blob| refers(&blob.id));
        self.copy(&copy, parallel).context("error copying blobs")?;
        let mut ids: Vec<BlobId> = delete.blobs.into_iter().map(|blob| blob.id).collect();
        ids.sort_by_key(|id| !refers(id));
        let referring = ids.partition_point(refers);
        for part in [ids.get(..referring), ids.get(referring..)].into_iter().flatten() {
            kopist_blob::delete_all(self.destination, part, parallel)
                .context("error deleting blob")
                .context("error copying blobs")?;
        }
        Ok(())
    }

    /// The destination must be empty, or a copy of the same repository.
    fn check_destination(&self, must_exist: bool, dry_run: bool) -> Outcome {
        let id = BlobId::from(FORMAT_BLOB);
        let ours = self.source.get(&id, ByteRange::Full).context("error reading format blob")?;
        let theirs = match self.destination.get(&id, ByteRange::Full) {
            Err(error) if error.is_not_found() => {
                if must_exist {
                    return Err(CommandError::new(
                        "destination repository does not have a format blob",
                    ));
                }
                if !dry_run {
                    self.destination
                        .put(&id, &[&ours], &PutOptions::default())
                        .context("error saving format blob")?;
                }
                return Ok(());
            }
            result => result.context("error reading destination repository format blob")?,
        };
        let ours = FormatBlob::parse(&ours)
            .context("error parsing unique ID of source repository")?
            .unique_id;
        let theirs = FormatBlob::parse(&theirs)
            .context("error parsing unique ID of destination repository")?
            .unique_id;
        if ours == theirs {
            return Ok(());
        }
        Err(CommandError::new("destination repository contains incompatible data"))
    }

    fn list_destination(
        &self,
        line: &StatusLine<'_>,
    ) -> Result<HashMap<BlobId, BlobMeta>, CommandError> {
        let blobs = list_all(self.destination, "")
            .context("error listing BLOBs in destination repository")?;
        let bytes: u64 = blobs.iter().map(|blob| blob.length).sum();
        line.show(|| {
            let (count, size) = (blobs.len(), self.app.size(bytes));
            format!("  Found {count} BLOBs in the destination repository ({size})")
        });
        line.finish();
        Ok(blobs.into_iter().map(|blob| (blob.id.clone(), blob)).collect())
    }

    fn copy(&self, tally: &Tally, parallel: usize) -> Outcome {
        let line = StatusLine::new(self.app);
        let (copied, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let copy = |blob: &BlobMeta| {
            self.copy_blob(blob)?;
            let count = copied.fetch_add(1, Ordering::Relaxed) + 1;
            let done = bytes.fetch_add(blob.length, Ordering::Relaxed) + blob.length;
            line.show(|| {
                let rate = line.rate(done);
                let left = line.remaining(done, tally.bytes);
                let (size, rate) = (self.app.size(done), speed(rate));
                format!("  Copied {count} blobs ({size}), Speed: {rate}, ETA: {left}")
            });
            Ok(())
        };
        let (packs, referring) =
            tally.blobs.split_at(tally.blobs.partition_point(|blob| !refers(&blob.id)));
        let result = in_parallel(packs, parallel, copy)
            .and_then(|()| in_parallel(referring, parallel, copy));
        line.finish();
        Ok(result?)
    }

    fn copy_blob(&self, blob: &BlobMeta) -> Result<(), BlobError> {
        let body = match self.source.get(&blob.id, ByteRange::Full) {
            Err(error) if error.is_not_found() => {
                self.app.info(format!("ignoring BLOB not found: {}", blob.id));
                return Ok(());
            }
            result => result?,
        };
        if self.with_times.load(Ordering::Relaxed) {
            let options = PutOptions::with_mod_time(blob.timestamp);
            match self.destination.put(&blob.id, &[&body], &options) {
                Err(BlobError::Unsupported { feature: Feature::SetModTime, .. }) => {
                    if self.with_times.swap(false, Ordering::Relaxed) {
                        self.app.warn(
                            "destination repository does not support preserving modification times",
                        );
                    }
                }
                result => return result.map(|_| ()),
            }
        }
        self.destination.put(&blob.id, &[&body], &PutOptions::default()).map(|_| ())
    }
}
