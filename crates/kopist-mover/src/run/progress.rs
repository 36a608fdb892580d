//! What a long run tells while it works: one line now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kopist_snapshot::upload::{UploadEvent, UploadProgress};

use crate::report::{Report, bytes};

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(30);
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
}

impl UploadCounts {
    /// Remarks of the upload go to this report.
    pub(super) fn new(report: &Arc<Report>) -> Self {
        Self { report: Some(Arc::clone(report)), ..Self::default() }
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
        let rate = read as f64 / elapsed.as_secs_f64().max(0.001);
        format!(
            "backup: {} files read ({}), {} unchanged ({}), {}/s, {} s",
            get(&self.hashed_files),
            bytes(read),
            get(&self.cached_files),
            bytes(get(&self.cached_bytes)),
            bytes(rate as u64),
            elapsed.as_secs()
        )
    }
}

fn add(counter: &AtomicU64, amount: i64) {
    counter.fetch_add(u64::try_from(amount).unwrap_or(0), Ordering::Relaxed);
}

impl UploadProgress for UploadCounts {
    fn event(&self, event: &UploadEvent<'_>) {
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
    /// Starts printing what `line` says.
    pub(super) fn start(
        report: &Arc<Report>,
        line: impl Fn(Duration) -> String + Send + 'static,
    ) -> Self {
        let done: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let (shared, report) = (Arc::clone(&done), Arc::clone(report));
        let started = Instant::now();
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let (done, changed) = &*shared;
            let mut guard = done.lock().unwrap_or_else(PoisonError::into_inner);
            while !*guard {
                let (next, waited) =
                    changed.wait_timeout(guard, INTERVAL).unwrap_or_else(PoisonError::into_inner);
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
    pub(super) fn of_upload(report: &Arc<Report>, counts: &Arc<UploadCounts>) -> Self {
        let counts = Arc::clone(counts);
        Self::start(report, move |elapsed| counts.line(elapsed))
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
}
