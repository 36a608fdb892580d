//! Actions that nobody waits for.

use std::process::Child;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::process::{Ended, Limits, Stream, describe_exit, watch};

/// The asynchronous actions that run. Clones share them.
///
/// They run to their end whatever becomes of the snapshot, and also when this process ends before
/// them; kopia kills them at once. While this process lives, their time is limited as that of
/// others. Where the end of this process is their end, as in a container,
/// [`wait`](Self::wait) before leaving.
#[derive(Clone, Debug, Default)]
pub struct Background(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Background {
    /// Waits until all have ended, or their time is over.
    pub fn wait(&self) {
        loop {
            let Some(thread) = self.0.lock().pop() else { return };
            // A panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// How many there may be.
    #[must_use]
    pub fn running(&self) -> usize {
        let mut threads = self.0.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.len()
    }

    /// Watches over a child until it ends. Its working directory lives as long.
    pub(super) fn adopt(
        &self,
        mut child: Child,
        name: String,
        timeout: Duration,
        work: Arc<TempDir>,
        mut line: impl FnMut(Stream, &[u8]) + Send + 'static,
    ) {
        let watched = std::thread::Builder::new().name("action".to_owned()).spawn(move || {
            let limits = Limits { timeout, stop: &|| false };
            match watch(&mut child, limits, &mut line) {
                Ok(Ended::Exited(status)) if status.success() => {}
                Ok(Ended::Exited(status)) => {
                    let status = describe_exit(status);
                    tracing::warn!(action = name, status, "asynchronous action failed");
                }
                Ok(Ended::TimedOut | Ended::Stopped) => {
                    let seconds = timeout.as_secs();
                    tracing::warn!(action = name, seconds, "asynchronous action took too long");
                }
                Err(error) => tracing::warn!(action = name, %error, "action cannot be watched"),
            }
            drop(work);
        });
        match watched {
            Ok(thread) => self.0.lock().push(thread),
            // The child goes on without anybody who limits its time.
            Err(error) => tracing::warn!(%error, "cannot start a thread for an action"),
        }
    }
}
