//! A file that shows that a run is alive.
//!
//! Its time of modification is the last moment at which something moved: a call of the store
//! ended, a file was read, a task began. A probe compares it with the clock, so that a run that
//! hangs is told from one that is slow. Waiting for a command of the user counts as moving,
//! because it has a time limit of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use kopist_blob::Meter;
use serde_json::json;

use super::publish::replace;

/// How often the file is brought up to date, if anything moved.
const LOOK: Duration = Duration::from_secs(5);

/// A run whose file is older than this is taken for dead.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_mins(10);

/// Counts what moves besides the calls of the store.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: AtomicU64,
    waiting: AtomicU64,
}

impl Pulse {
    /// Something moved.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// The run waits for something that has a time limit of its own, until this is dropped.
    #[must_use]
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Everything that moved, as a number that grows.
    fn count(&self) -> u64 {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.beat();
        }
        self.beats.load(Ordering::Relaxed)
    }
}

/// A wait that is not a standstill.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Pulse);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the file up to date until it is dropped.
pub struct HealthFile {
    state: Arc<State>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct State {
    path: PathBuf,
    operation: &'static str,
    pulse: Arc<Pulse>,
    meter: Arc<Meter>,
    over: Mutex<bool>,
    changed: Condvar,
}

impl State {
    fn count(&self) -> u64 {
        self.pulse.count().wrapping_add(self.meter.total())
    }

    fn write(&self, state: &str) -> Result<(), String> {
        let content = json!({"operation": self.operation, "state": state}).to_string() + "\n";
        replace(&self.path, content.as_bytes())
    }

    /// Brings the file up to date if something moved since `before`; gives back the count.
    fn look(&self, before: u64) -> u64 {
        let now = self.count();
        if now != before && self.write("running").is_err() {
            return before; // tried again at the next look
        }
        now
    }
}

impl HealthFile {
    /// Writes the file and keeps it up to date; an error if it cannot be written.
    pub fn start(
        path: PathBuf,
        operation: &'static str,
        pulse: &Arc<Pulse>,
        meter: &Arc<Meter>,
    ) -> Result<Self, String> {
        let state = Arc::new(State {
            path,
            operation,
            pulse: Arc::clone(pulse),
            meter: Arc::clone(meter),
            over: Mutex::new(false),
            changed: Condvar::new(),
        });
        state.write("running")?;
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("health".to_owned()).spawn(move || {
            let mut before = shared.count();
            let mut over = shared.over.lock().unwrap_or_else(PoisonError::into_inner);
            while !*over {
                let waited = shared.changed.wait_timeout(over, LOOK);
                over = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !*over {
                    before = shared.look(before);
                }
            }
        });
        Ok(Self { state, thread: thread.ok() })
    }

    /// The run is over: the file says how it ended, and a probe has nothing to complain about.
    pub fn finish(mut self, result: &str) -> Result<(), String> {
        self.end();
        self.state.write(result)
    }

    fn end(&mut self) {
        *self.state.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.state.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for HealthFile {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a run is alive by its file, and why not.
pub fn is_healthy(path: &Path, max_age: Duration) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let content = std::fs::read_to_string(path).map_err(told)?;
    let state: serde_json::Value = serde_json::from_str(&content).unwrap_or_default();
    match state["state"].as_str() {
        Some("running") => {}
        Some(_) => return Ok(()),
        None => return Err(format!("{} was not written by this program", path.display())),
    }
    let modified = path.metadata().and_then(|metadata| metadata.modified()).map_err(told)?;
    #[allow(clippy::disallowed_methods)] // compared with a time that the file system set
    let age = SystemTime::now().duration_since(modified).unwrap_or_default();
    if age <= max_age {
        return Ok(());
    }
    Err(format!("nothing has moved for {} s", age.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn age(path: &Path, by: Duration) {
        #[allow(clippy::disallowed_methods)]
        let then = SystemTime::now() - by;
        std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn the_file_follows_what_moves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("health");
        let (pulse, meter) = (Arc::new(Pulse::default()), Arc::default());
        let health = HealthFile::start(path.clone(), "backup", &pulse, &meter).unwrap();
        let hour = Duration::from_hours(1);
        assert_eq!(is_healthy(&path, hour), Ok(()));

        let state = Arc::clone(&health.state);
        let before = state.count();
        age(&path, 2 * hour);
        let after = state.look(before);
        assert!(is_healthy(&path, hour).unwrap_err().contains("nothing has moved for 7"));
        pulse.beat();
        let after = state.look(after);
        assert_eq!(is_healthy(&path, hour), Ok(()));

        age(&path, 2 * hour);
        {
            let _waiting = pulse.wait();
            state.look(after);
            assert_eq!(is_healthy(&path, hour), Ok(()), "a wait is no standstill");
        }
        age(&path, 2 * hour);
        health.finish("success").unwrap();
        age(&path, 2 * hour);
        assert_eq!(is_healthy(&path, hour), Ok(()), "what is over cannot hang");
    }

    #[test]
    fn without_a_file_nobody_is_alive() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_healthy(&dir.path().join("none"), DEFAULT_MAX_AGE).is_err());
        let foreign = dir.path().join("foreign");
        std::fs::write(&foreign, "x").unwrap();
        assert!(is_healthy(&foreign, DEFAULT_MAX_AGE).is_err());
        let nowhere = dir.path().join("none/health");
        assert!(HealthFile::start(nowhere, "backup", &Arc::default(), &Arc::default()).is_err());
    }
}
