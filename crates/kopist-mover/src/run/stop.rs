//! Being told to stop.
//!
//! The kubelet sends SIGTERM (eviction, preemption, a paused resource) and kills half
//! a minute later. The first signal raises a flag that the work looks at: reading
//! stops, what is in flight is finished, a checkpoint is stored. Should that take
//! longer than the time given, the process ends as it is: whatever is stored by then
//! is consistent, because nothing refers to what is not. A second signal ends at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use kopist_blob::pace::SystemTimer;
use kopist_snapshot::upload::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit status of a run that was told to stop: 128 and SIGTERM.
pub const INTERRUPTED: u8 = 143;

/// How long the work may take to come to an end once it is told to.
const GRACE: Duration = Duration::from_secs(10);

/// The flag, shared by everything that works.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: Arc<AtomicBool>,
    upload: Cancel,
    timer: SystemTimer,
}

impl Stop {
    /// Asks everything to come to an end.
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
        self.upload.cancel();
        self.timer.stop();
    }

    /// Whether that was asked.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// The same request, as an upload understands it.
    pub fn upload(&self) -> &Cancel {
        &self.upload
    }

    /// The timer of all waits for the store; stopping ends them.
    pub fn timer(&self) -> &SystemTimer {
        &self.timer
    }
}

/// Why a run is ended as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impatience {
    /// A second signal: at once.
    Again,
    /// The grace is over.
    Late,
}

impl Impatience {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Again => "told to stop a second time",
            Self::Late => "the work did not come to an end in time",
        }
    }
}

/// Told when the run is over, so that the deadline does not fire.
#[derive(Clone, Default)]
pub struct Finished(Arc<(Mutex<bool>, Condvar)>);

impl Finished {
    /// The run is over.
    pub fn announce(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits for the end of the run; `false` if it did not come in time.
    fn wait(&self, limit: Duration) -> bool {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (finished, _) = self
            .0
            .1
            .wait_timeout_while(guard, limit, |finished| !*finished)
            .unwrap_or_else(PoisonError::into_inner);
        *finished
    }
}

/// Listens for signals on a thread of its own. `on_first` is called once; `give_up`
/// when a second signal arrives or the grace is over, and should end the process.
pub fn listen(
    stop: Stop,
    finished: Finished,
    on_first: impl Fn() + Send + 'static,
    give_up: impl Fn(Impatience) + Send + Sync + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let give_up = Arc::new(give_up);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if stop.requested() {
                give_up(Impatience::Again);
                continue;
            }
            stop.request();
            on_first();
            let (finished, give_up) = (finished.clone(), Arc::clone(&give_up));
            let deadline = std::thread::Builder::new().name("deadline".to_owned());
            // Without the thread only the deadline is missing; the kubelet has its own.
            let _ = deadline.spawn(move || {
                if !finished.wait(GRACE) {
                    give_up(Impatience::Late);
                }
            });
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_shared() {
        let stop = Stop::default();
        let other = stop.clone();
        assert!(!other.requested());
        stop.request();
        assert!(other.requested() && other.upload().is_canceled());
    }

    #[test]
    fn waiting_ends_with_the_announcement() {
        let finished = Finished::default();
        assert!(!finished.wait(Duration::ZERO));
        let other = finished.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_mins(1)));
        finished.announce();
        assert!(waiting.join().unwrap());
    }
}
