use parking_lot::{Condvar, Mutex};

/// Lets a limited number of calls in at the same time.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Zero means any number.
    limit: u32,
    inside: u32,
}

/// Leaves the gate when dropped.
pub(super) struct Inside<'a>(&'a Gate);

impl Gate {
    pub(super) fn set_limit(&self, limit: u32) {
        self.state.lock().limit = limit;
        self.changed.notify_all();
    }

    pub(super) fn enter(&self) -> Inside<'_> {
        let mut state = self.state.lock();
        while state.limit > 0 && state.inside >= state.limit {
            self.changed.wait(&mut state);
        }
        state.inside += 1;
        Inside(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.state.lock().inside -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn never_more_inside_than_allowed() {
        let gate = Gate::default();
        gate.set_limit(2);
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _inside = gate.enter();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 2);
    }

    #[test]
    fn raising_the_limit_lets_waiters_in() {
        let gate = Gate::default();
        gate.set_limit(1);
        let first = gate.enter();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(gate.enter()));
            gate.set_limit(2);
            second.join().unwrap();
        });
        drop(first);
    }
}
