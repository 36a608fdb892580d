//! The work that waits: a stack, so that the walk goes deep before it goes wide.
//!
//! Depth first keeps the number of directories in progress near the depth of the tree times the
//! number of workers, whatever the tree's size.

use parking_lot::{Condvar, Mutex};

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    tasks: Vec<T>,
    finished: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = Mutex::new(State { tasks: Vec::new(), finished: false });
        Self { state, ready: Condvar::new() }
    }

    /// Adds tasks; the last one is taken first.
    pub(crate) fn push(&self, tasks: impl IntoIterator<Item = T>) {
        let mut state = self.state.lock();
        let before = state.tasks.len();
        state.tasks.extend(tasks);
        let added = state.tasks.len() - before;
        drop(state);
        for _ in 0..added.min(64) {
            if !self.ready.notify_one() {
                break;
            }
        }
    }

    /// The next task; waits for one. `None` when everything is done.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.tasks.pop() {
                return Some(task);
            }
            if state.finished {
                return None;
            }
            self.ready.wait(&mut state);
        }
    }

    /// There will be no more tasks.
    pub(crate) fn finish(&self) {
        self.state.lock().finished = true;
        self.ready.notify_all();
    }
}
