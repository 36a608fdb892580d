//! Contents that are stored while their writer goes on.
//!
//! One stream (a large file, a disk image) is read and split by one thread; the chunks that it
//! yields are hashed, compressed and encrypted by others, as long as there are processors that
//! nobody uses. When all are busy, because many files are written at once, the caller's thread
//! does the work itself: the number of chunks in memory stays that of the processors.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};
use parking_lot::Mutex;

use super::RepositoryWriter;
use crate::error::{RepoError, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Threads for chunks, started when first needed.
#[derive(Debug)]
pub(super) struct Ahead {
    limit: usize,
    /// Threads that write contents now, ours and our callers'.
    busy: AtomicUsize,
    /// Jobs that are queued or running.
    jobs: AtomicUsize,
    /// Large objects that are being written.
    streams: AtomicUsize,
    queue: Mutex<Option<Sender<Job>>>,
}

/// A result that is on its way.
pub(crate) struct Promise<T>(Receiver<Result<T>>);

impl<T> Promise<T> {
    /// Waits for the result.
    pub(crate) fn wait(&self) -> Result<T> {
        self.0.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// The result, if it is there.
    pub(crate) fn poll(&self) -> Option<Result<T>> {
        match self.0.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(lost())),
        }
    }
}

/// The thread that had to deliver a result panicked.
fn lost() -> RepoError {
    RepoError::format("chunk of an object", "the thread that stored it has stopped")
}

/// Counts a thread as busy while it exists.
pub(super) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a large object while it is written.
pub(crate) struct Stream(Arc<Ahead>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ahead {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            busy: AtomicUsize::new(0),
            jobs: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    pub(super) fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.busy)
    }

    /// Whether a processor is free. Each stream has a thread of its own and a chunk in memory.
    fn reserve(&self) -> bool {
        let busy = self.busy.load(Ordering::Relaxed);
        let streams = self.streams.load(Ordering::Relaxed);
        let reserved = self.jobs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |jobs| {
            let free = busy.max(jobs) < self.limit && jobs + streams < self.limit.max(2);
            free.then_some(jobs + 1)
        });
        reserved.is_ok()
    }

    fn queue(&self) -> Option<Sender<Job>> {
        let mut queue = self.queue.lock();
        if let Some(queue) = &*queue {
            return Some(queue.clone());
        }
        let (sender, receiver): (Sender<Job>, Receiver<Job>) = unbounded();
        let mut started = 0;
        for number in 0..self.limit {
            let receiver = receiver.clone();
            let run = move || receiver.iter().for_each(|job| job());
            let name = format!("chunk-{number}");
            match std::thread::Builder::new().name(name).spawn(run) {
                // The threads end by themselves when the queue is dropped with its writer.
                Ok(_) => started += 1,
                Err(error) => tracing::warn!(%error, "cannot start a thread"),
            }
        }
        if started == 0 {
            return None;
        }
        Some(queue.insert(sender).clone())
    }
}

impl RepositoryWriter {
    /// Runs `work` on another thread if one is free; gives its argument back if not.
    pub(crate) fn ahead<T, A, W>(&self, argument: A, work: W) -> Result<Promise<T>, A>
    where
        T: Send + 'static,
        A: Send + 'static,
        W: FnOnce(&Self, A) -> Result<T> + Send + 'static,
    {
        let ahead = Arc::clone(&self.ahead);
        if !ahead.reserve() {
            return Err(argument);
        }
        let Some(queue) = ahead.queue() else {
            ahead.jobs.fetch_sub(1, Ordering::Relaxed);
            return Err(argument);
        };
        let (sender, receiver) = bounded(1);
        let writer = self.clone();
        let job = move || {
            let result = work(&writer, argument);
            ahead.jobs.fetch_sub(1, Ordering::Relaxed);
            drop(writer);
            // Nobody waits any more if the object was given up.
            let _ = sender.send(result);
        };
        // The threads hold the other end as long as the queue exists.
        let _ = queue.send(Box::new(job));
        Ok(Promise(receiver))
    }

    /// A large object begins.
    pub(crate) fn stream(&self) -> Stream {
        self.ahead.streams.fetch_add(1, Ordering::Relaxed);
        Stream(Arc::clone(&self.ahead))
    }

    /// An empty buffer for a chunk.
    pub(crate) fn take_buffer(&self) -> Vec<u8> {
        self.shared.scratch.take()
    }
}
