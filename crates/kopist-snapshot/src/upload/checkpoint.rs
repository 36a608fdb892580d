//! Checkpoints: incomplete snapshots saved on the way.
//!
//! Contents that no manifest refers to look unused to garbage collection, and a killed run that
//! left nothing behind starts from nothing. So every 45 minutes at most, each directory in
//! progress is stored as it is, with what exists of its large files, and a manifest refers to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kopist_format::directory::{DirEntry, EntryType, UtcNanos};
use kopist_format::snapshot::SnapshotManifest;
use parking_lot::{Condvar, Mutex};

use super::directory::Dir;
use super::run::Run;
use super::{UploadError, UploadEvent};
use crate::{SourceInfo, expire, store};

/// How often the clock is looked at while nothing else happens.
const LOOK: Duration = Duration::from_secs(1);
/// How long a checkpoint waits for files in progress to show what exists of them. One that
/// does not answer, because it waits for its source, is left out.
const PATIENCE: Duration = Duration::from_secs(5);

/// When checkpoints are due, and how files in progress take part.
pub(super) struct Checkpoints {
    interval: SignedDuration,
    next: Mutex<Timestamp>,
    /// Held by whoever makes a checkpoint.
    turn: Mutex<()>,
    generation: AtomicU64,
    streams: Mutex<Streams>,
    changed: Condvar,
}

#[derive(Default)]
struct Streams {
    stopped: bool,
    open: usize,
    published: usize,
    generation: u64,
}

/// A file that is being copied.
pub(super) struct Stream<'a>(&'a Checkpoints);

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.0.streams.lock().open -= 1;
        self.0.changed.notify_all();
    }
}

impl Checkpoints {
    pub(super) fn new(now: Timestamp, interval: SignedDuration) -> Self {
        Self {
            interval,
            next: Mutex::new(after(now, interval)),
            turn: Mutex::default(),
            generation: AtomicU64::new(0),
            streams: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A file begins to be copied.
    pub(super) fn stream(&self) -> Stream<'_> {
        self.streams.lock().open += 1;
        Stream(self)
    }

    /// Changes when files in progress should show what exists of them.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// A file in progress has shown itself.
    pub(super) fn published(&self, generation: u64) {
        let mut streams = self.streams.lock();
        if streams.generation == generation {
            streams.published += 1;
        }
        drop(streams);
        self.changed.notify_all();
    }

    /// The upload is over.
    pub(super) fn stop(&self) {
        self.streams.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Asks files in progress to show what exists of them, and waits a little.
    fn gather(&self) {
        let mut streams = self.streams.lock();
        streams.generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        streams.published = 0;
        let deadline = std::time::Instant::now() + PATIENCE;
        while streams.published < streams.open && !streams.stopped {
            if self.changed.wait_until(&mut streams, deadline).timed_out() {
                break;
            }
        }
    }
}

fn after(now: Timestamp, interval: SignedDuration) -> Timestamp {
    now.saturating_add(interval).unwrap_or(Timestamp::MAX)
}

impl Run<'_> {
    /// Looks at the clock until the upload is over, for the case that all workers wait.
    pub(super) fn watch_checkpoints(&self, root: &Arc<Dir>) {
        loop {
            let mut streams = self.checkpoints.streams.lock();
            if !streams.stopped {
                self.checkpoints.changed.wait_for(&mut streams, LOOK);
            }
            if streams.stopped {
                return;
            }
            drop(streams);
            self.checkpoint_if_due(root);
        }
    }

    /// Makes a checkpoint if it is time and nobody else does.
    pub(super) fn checkpoint_if_due(&self, root: &Arc<Dir>) {
        let now = self.writer.repository().clock().now();
        if now < *self.checkpoints.next.lock() || self.stopping() {
            return;
        }
        let Some(_turn) = self.checkpoints.turn.try_lock() else { return };
        if now < *self.checkpoints.next.lock() {
            return;
        }
        if let Err(error) = self.checkpoint(root) {
            self.fail(UploadError::Checkpoint(error));
        }
        *self.checkpoints.next.lock() = after(now, self.checkpoints.interval);
    }

    fn checkpoint(&self, root: &Arc<Dir>) -> Result<(), String> {
        self.checkpoints.gather();
        let Some(entry) = self.checkpoint_directory(root)? else { return Ok(()) };
        let clock = self.writer.repository().clock();
        let manifest = SnapshotManifest {
            end_time: UtcNanos::from(clock.now()),
            incomplete: "checkpoint".to_owned(),
            root_entry: Some(entry),
            tags: self.options.checkpoint_tags.clone(),
            ..self.manifest.clone()
        };
        let id = store::save_snapshot(self.writer, &manifest).map_err(|error| error.to_string())?;
        let source = SourceInfo::from(&manifest.source);
        expire::apply_retention(self.writer, &source, &self.options.time_zone)
            .map_err(|error| error.to_string())?;
        self.writer.flush().map_err(|error| error.to_string())?;
        self.emit(UploadEvent::Checkpoint { manifest: id.as_str() });
        Ok(())
    }

    /// Stores a directory in progress as it is now.
    fn checkpoint_directory(&self, dir: &Arc<Dir>) -> Result<Option<DirEntry>, String> {
        let (mut builder, active) = {
            let state = dir.state.lock();
            if let Some(finished) = &state.finished {
                return Ok(Some(finished.clone()));
            }
            let mut builder = state.builder.clone();
            for (_, entry) in &state.partial {
                builder.add(entry.clone());
            }
            (builder, state.active.clone())
        };
        for child in &active {
            if let Some(entry) = self.checkpoint_directory(child)? {
                builder.add(entry);
            }
        }
        let mut buffer = Vec::new();
        if self.is_file {
            // What exists of the file is the root, or a directory of its parts.
            let mut parts = builder.entries();
            match (parts.next().cloned(), parts.next()) {
                (None, _) => return Ok(None),
                (Some(only), None) => return Ok(Some(only)),
                _ => {}
            }
        }
        self.write_directory(&mut buffer, dir, builder, "checkpoint")
            .map(|entry| Some(DirEntry { kind: EntryType::Directory, ..entry }))
            .map_err(|error| error.to_string())
    }
}
