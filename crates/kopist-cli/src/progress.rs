//! Progress of long commands on the terminal, and what failed on the way.
//!
//! Without `--progress` only failures are shown. Programs that drive kopia read these lines.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use kopist_snapshot::{
    restore::{RestoreError, RestoreProgress, RestoreStats},
    upload::{UploadEvent, UploadProgress},
};

use crate::{
    app::{App, now},
    output::{duration, speed},
};

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Lets something pass once in a while.
struct Throttle {
    interval: Duration,
    /// Milliseconds since 1970 of the last pass.
    last: AtomicI64,
}

impl Throttle {
    fn new(app: &App) -> Self {
        let nanos = u64::try_from(app.globals.progress_interval).unwrap_or(0);
        Self { interval: Duration::from_nanos(nanos), last: AtomicI64::new(0) }
    }

    fn passes(&self) -> bool {
        let now = now().as_millisecond();
        let last = self.last.load(Ordering::Relaxed);
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(last) >= interval
            && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A line that tells how something goes, for commands that have no form of their own.
pub(crate) struct StatusLine<'a> {
    app: &'a App,
    throttle: Throttle,
    started: i64,
    shown: AtomicBool,
}

impl<'a> StatusLine<'a> {
    /// A line; its clock starts now.
    pub(crate) fn new(app: &'a App) -> Self {
        let started = now().as_millisecond();
        Self { app, throttle: Throttle::new(app), started, shown: AtomicBool::new(false) }
    }

    /// Shows a text if the last one has stood for a while.
    pub(crate) fn show(&self, text: impl FnOnce() -> String) {
        if self.app.globals.progress && self.throttle.passes() {
            self.app.console.progress_line(&text());
            self.shown.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes per second so far.
    pub(crate) fn rate(&self, done: u64) -> f64 {
        let elapsed = (now().as_millisecond() - self.started).max(1);
        done as f64 * 1000.0 / elapsed as f64
    }

    /// How long the rest will take.
    pub(crate) fn remaining(&self, done: u64, all: u64) -> String {
        if done == 0 {
            return "unknown".to_owned();
        }
        let seconds = all.saturating_sub(done) as f64 / self.rate(done);
        duration((seconds as i64).saturating_mul(1_000_000_000))
    }

    /// Ends the line.
    pub(crate) fn finish(&self) {
        if self.shown.swap(false, Ordering::Relaxed) {
            self.app.console.end_progress();
        }
    }
}

/// Shows how a backup goes.
pub(crate) struct UploadLine<'a> {
    app: &'a App,
    /// Bytes that have reached the storage.
    uploaded: &'a (dyn Fn() -> u64 + Sync),
    throttle: Throttle,
    turn: AtomicUsize,
    hashing: AtomicU64,
    hashed: AtomicU64,
    hashed_bytes: AtomicU64,
    cached: AtomicU64,
    cached_bytes: AtomicU64,
    fatal: AtomicU64,
    ignored: AtomicU64,
    /// Bytes of the whole source; 0 while nobody knows.
    estimated: AtomicU64,
    started: i64,
}

impl<'a> UploadLine<'a> {
    /// A line for the backup of one source.
    pub(crate) fn new(app: &'a App, uploaded: &'a (dyn Fn() -> u64 + Sync)) -> Self {
        Self {
            app,
            uploaded,
            throttle: Throttle::new(app),
            turn: AtomicUsize::new(0),
            hashing: AtomicU64::new(0),
            hashed: AtomicU64::new(0),
            hashed_bytes: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            cached_bytes: AtomicU64::new(0),
            fatal: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            estimated: AtomicU64::new(0),
            started: now().as_millisecond(),
        }
    }

    /// The bytes of the whole source are known now, about.
    pub(crate) fn estimated(&self, bytes: u64) {
        self.estimated.store(bytes, Ordering::Relaxed);
    }

    fn text(&self, spin: char) -> String {
        let size = |bytes: u64| self.app.size(bytes);
        let mut text = format!(
            " {spin} {} hashing, {} hashed ({}), {} cached ({}), uploaded {}",
            get(&self.hashing),
            get(&self.hashed),
            size(get(&self.hashed_bytes)),
            get(&self.cached),
            size(get(&self.cached_bytes)),
            size((self.uploaded)()),
        );
        if get(&self.fatal) > 0 {
            let _ = write!(text, " ({} fatal errors)", get(&self.fatal));
        }
        if get(&self.ignored) > 0 {
            let _ = write!(text, " ({} errors ignored)", get(&self.ignored));
        }
        let elapsed = now().as_millisecond() - self.started;
        let done = get(&self.hashed_bytes) + get(&self.cached_bytes);
        text.push_str(&outlook(done, get(&self.estimated), elapsed, size));
        text
    }

    fn show(&self) {
        if self.app.globals.progress && self.throttle.passes() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let spin = ['|', '/', '-', '\\'].get(turn % 4).copied().unwrap_or('|');
            self.app.console.progress_line(&self.text(spin));
        }
    }

    /// Shows the final state.
    pub(crate) fn finish(&self) {
        if self.app.globals.progress {
            self.app.console.progress_line(&self.text('*'));
            self.app.console.end_progress();
        }
    }
}

/// How many bytes there are to do, and how long that takes at the speed of the `elapsed`
/// milliseconds so far.
fn outlook(done: u64, all: u64, elapsed: i64, size: impl Fn(u64) -> String) -> String {
    if elapsed <= 1000 || all == 0 || done == 0 {
        return ", estimating...".to_owned();
    }
    let share = done as f64 / all as f64;
    let total = elapsed as f64 / share.min(1.0);
    let left = ((total - elapsed as f64) / 1000.0) as i64;
    let left = duration(left.saturating_mul(1_000_000_000));
    format!(", estimated {} ({:.1}%) {left} left", size(all), 100.0 * share)
}

impl UploadProgress for UploadLine<'_> {
    fn event(&self, event: &UploadEvent<'_>) {
        match event {
            UploadEvent::HashingFile { .. } => add(&self.hashing, 1),
            UploadEvent::HashedBytes { bytes } => add(&self.hashed_bytes, *bytes),
            UploadEvent::HashedFile { .. } => {
                // Links are hashed without an announcement.
                let less = |n: u64| Some(n.saturating_sub(1));
                let _ = self.hashing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                add(&self.hashed, 1);
            }
            UploadEvent::CachedFile { size, .. } => {
                add(&self.cached, 1);
                add(&self.cached_bytes, size.unsigned_abs());
            }
            UploadEvent::Failed { path, error, ignored } => {
                let path = String::from_utf8_lossy(path);
                if *ignored {
                    add(&self.ignored, 1);
                    let text = format!("Ignored error when processing \"{path}\": {error}");
                    self.app.warn(text);
                } else {
                    add(&self.fatal, 1);
                    self.app.error(format!("Error when processing \"{path}\": {error}"));
                }
            }
            UploadEvent::Info { message } => self.app.info(message),
            UploadEvent::Warning { message } => self.app.warn(message),
            _ => {}
        }
        self.show();
    }
}

/// Shows how a restore goes.
pub(crate) struct RestoreLine<'a> {
    app: &'a App,
    throttle: Throttle,
    started: i64,
}

impl<'a> RestoreLine<'a> {
    /// A line for one restore.
    pub(crate) fn new(app: &'a App) -> Self {
        Self { app, throttle: Throttle::new(app), started: now().as_millisecond() }
    }

    fn text(&self, stats: &RestoreStats) -> String {
        let size = |bytes: u64| self.app.size(bytes);
        let done = stats.files + stats.directories + stats.symlinks;
        let all = stats.enqueued_files + stats.enqueued_directories + stats.enqueued_symlinks;
        let (bytes, all_bytes) = (stats.bytes, stats.enqueued_bytes);
        let mut text = format!("Processed {done} ({}) of {all} ({})", size(bytes), size(all_bytes));
        if stats.skipped > 0 {
            let _ = write!(text, ", skipped {} ({})", stats.skipped, size(stats.skipped_bytes));
        }
        if stats.ignored_errors > 0 {
            let _ = write!(text, ", ignored {} errors", stats.ignored_errors);
        }
        let elapsed = (now().as_millisecond() - self.started).max(1);
        if bytes > 0 && all_bytes > 0 {
            let rate = bytes as f64 * 1000.0 / elapsed as f64;
            let percent = 100.0 * bytes as f64 / all_bytes as f64;
            let seconds = (all_bytes.saturating_sub(bytes) as f64 / rate) as i64;
            let left = duration(seconds.saturating_mul(1_000_000_000));
            let _ = write!(text, " {} ({percent:.1}%) remaining {left}", speed(rate));
        }
        text.push('.');
        text
    }

    /// Ends the line.
    pub(crate) fn finish(&self, stats: &RestoreStats) {
        if self.app.globals.progress {
            self.app.console.progress_line(&self.text(stats));
            self.app.console.end_progress();
        }
    }
}

impl RestoreProgress for RestoreLine<'_> {
    fn progress(&self, stats: &RestoreStats) {
        if self.app.globals.progress && self.throttle.passes() {
            self.app.console.progress_line(&self.text(stats));
        }
    }

    fn ignored(&self, error: &RestoreError) {
        self.app.error(format!("ignored error {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_the_speed_so_far() {
        let text = |done, all, elapsed| outlook(done, all, elapsed, |bytes| format!("{bytes} B"));
        assert_eq!(text(25, 100, 2000), ", estimated 100 B (25.0%) 6s left");
        // More than was estimated: it cannot be long.
        assert_eq!(text(150, 100, 2000), ", estimated 100 B (150.0%) 0s left");
        for (done, all, elapsed) in [(25, 100, 1000), (0, 100, 2000), (25, 0, 2000)] {
            assert_eq!(text(done, all, elapsed), ", estimating...");
        }
    }
}
