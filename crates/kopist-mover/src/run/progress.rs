//! What a long run tells while it works: one line now and then.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kopist_snapshot::upload::{UploadEvent, UploadProgress};

use super::Context;
use crate::report::{Report, bytes};
use crate::telemetry::Pulse;

/// How many failed entries are named.
const NAMED: usize = 10;

/// Counts what an upload does.
#[derive(Default)]
pub(super) struct UploadCounts {
    hashed_files: AtomicU64,
    hashed_bytes: AtomicU64,
    cached_files: AtomicU64,
    cached_bytes: AtomicU64,
    failures: Mutex<Vec<String>>,
    report: Option<Arc<Report>>,
    pulse: Arc<Pulse>,
    /// Bytes of the snapshot before, which this one is likely to resemble.
    expected: Option<u64>,
}

impl UploadCounts {
    /// Remarks of the upload go to the report of this run. `expected` is how many bytes the
    /// snapshot before had.
    pub(super) fn new(context: &Context, expected: Option<u64>) -> Self {
        Self {
            report: Some(Arc::clone(&context.report)),
            pulse: Arc::clone(&context.telemetry.pulse),
            expected,
            ..Self::default()
        }
    }

    /// Files taken over from the snapshot before.
    pub(super) fn cached_files(&self) -> u64 {
        self.cached_files.load(Ordering::Relaxed)
    }

    /// Bytes read.
    pub(super) fn hashed_bytes(&self) -> u64 {
        self.hashed_bytes.load(Ordering::Relaxed)
    }

    /// The first entries that could not be read, each with the reason.
    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn line(&self, elapsed: Duration) -> String {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let read = get(&self.hashed_bytes);
        let unchanged = get(&self.cached_bytes);
        format!(
            "backup: {} files read ({}), {} unchanged ({}), {}, {} s",
            get(&self.hashed_files),
            bytes(read),
            get(&self.cached_files),
            bytes(unchanged),
            pace(read + unchanged, read, self.expected, elapsed),
            elapsed.as_secs()
        )
    }
}

/// Rate and remaining time: `5.0 MiB/s, 40 %, about 3 min left`.
///
/// `done` is what is behind, `moved` the part of it that took the time. Without a total, or once
/// it is passed, nothing is foretold.
pub(super) fn pace(done: u64, moved: u64, total: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let mut text = format!("{}/s", bytes((moved as f64 / seconds) as u64));
    if let Some(total) = total.filter(|total| done < *total)
        && done > 0
    {
        let left = (total - done) as f64 / (done as f64 / seconds);
        let percent = (u128::from(done) * 100 / u128::from(total)).min(99);
        let _ = write!(text, ", {percent} %, about {} left", time(left));
    }
    text
}

/// A time for people, in the unit that suits it.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{} s", s.ceil().max(1.0)),
        s if s < 5400.0 => format!("{} min", (s / 60.0).ceil()),
        s if s < 1e9 => format!("{} h", (s / 3600.0).ceil()),
        _ => "ages".to_owned(),
    }
}

fn add(counter: &AtomicU64, amount: i64) {
    counter.fetch_add(u64::try_from(amount).unwrap_or(0), Ordering::Relaxed);
}

impl UploadProgress for UploadCounts {
    fn event(&self, event: &UploadEvent<'_>) {
        self.pulse.beat();
        match event {
            UploadEvent::HashedBytes { bytes } => {
                self.hashed_bytes.fetch_add(*bytes, Ordering::Relaxed);
            }
            UploadEvent::HashedFile { .. } => add(&self.hashed_files, 1),
            UploadEvent::CachedFile { size, .. } => {
                add(&self.cached_files, 1);
                add(&self.cached_bytes, *size);
            }
            UploadEvent::Failed { path, error, ignored } => {
                let path = String::from_utf8_lossy(path);
                let line = if *ignored {
                    format!("Ignored error when processing {path:?}: {error}")
                } else {
                    format!("Error when processing {path:?}: {error}")
                };
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                if failures.len() < NAMED {
                    failures.push(line);
                }
            }
            UploadEvent::Warning { message } => {
                if let Some(report) = &self.report {
                    report.warn(message);
                }
            }
            UploadEvent::Checkpoint { manifest } => {
                if let Some(report) = &self.report {
                    report.info(format!("checkpoint: incomplete snapshot {manifest} is stored"));
                }
            }
            _ => {}
        }
    }
}

/// Prints a line now and then until it is dropped.
pub(super) struct Ticker {
    done: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticker {
    /// Starts printing what `line` says, as often as the run is told to.
    pub(super) fn start(
        context: &Context,
        line: impl Fn(Duration) -> String + Send + 'static,
    ) -> Self {
        let done: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let Some(interval) = context.progress else { return Self { done, thread: None } };
        let (shared, report) = (Arc::clone(&done), Arc::clone(&context.report));
        let started = Instant::now();
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let (done, changed) = &*shared;
            let mut guard = done.lock().unwrap_or_else(PoisonError::into_inner);
            while !*guard {
                let (next, waited) =
                    changed.wait_timeout(guard, interval).unwrap_or_else(PoisonError::into_inner);
                guard = next;
                if waited.timed_out() && !*guard {
                    report.info(line(started.elapsed()));
                }
            }
        });
        // Without the thread only these lines are missing.
        Self { done, thread: thread.ok() }
    }

    /// Starts printing how an upload goes on.
    pub(super) fn of_upload(context: &Context, counts: &Arc<UploadCounts>) -> Self {
        let counts = Arc::clone(counts);
        Self::start(context, move |elapsed| counts.line(elapsed))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let (done, changed) = &*self.done;
        *done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_the_first_failures() {
        let counts = UploadCounts::default();
        counts.event(&UploadEvent::HashedFile { path: b"a", size: 5 });
        counts.event(&UploadEvent::HashedBytes { bytes: 5 });
        counts.event(&UploadEvent::CachedFile { path: b"b", size: 7 });
        for _ in 0..30 {
            let failed = UploadEvent::Failed { path: b"c", error: "denied", ignored: false };
            counts.event(&failed);
        }
        assert_eq!((counts.cached_files(), counts.hashed_bytes()), (1, 5));
        assert_eq!(counts.failures().len(), NAMED);
        assert_eq!(counts.failures()[0], "Error when processing \"c\": denied");
        let line = counts.line(Duration::from_secs(1));
        assert_eq!(line, "backup: 1 files read (5 B), 1 unchanged (7 B), 5 B/s, 1 s");
    }

    #[test]
    fn the_remaining_time_is_foretold_where_the_total_is_known() {
        let seconds = Duration::from_secs;
        let mib = |count: u64| count << 20;
        let text = pace(mib(40), mib(10), Some(mib(100)), seconds(10));
        assert_eq!(text, "1.0 MiB/s, 40 %, about 15 s left");
        assert_eq!(
            pace(mib(1), mib(1), Some(mib(601)), seconds(1)),
            "1.0 MiB/s, 0 %, about 10 min left"
        );
        assert_eq!(
            pace(mib(1), mib(1), Some(mib(9001)), seconds(1)),
            "1.0 MiB/s, 0 %, about 3 h left"
        );
        assert_eq!(pace(mib(2), mib(2), None, seconds(1)), "2.0 MiB/s");
        assert_eq!(pace(mib(2), mib(2), Some(mib(1)), seconds(1)), "2.0 MiB/s");
        assert_eq!(pace(0, 0, Some(mib(1)), seconds(1)), "0 B/s");
        assert!(pace(1, 1, Some(u64::MAX), seconds(1)).ends_with("about ages left"));
    }
}
