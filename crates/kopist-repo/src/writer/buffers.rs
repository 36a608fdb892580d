//! Memory that is used again.

use parking_lot::Mutex;

/// Empty buffers that keep their capacity, so that a run does not ask the allocator for megabytes
/// with every content.
#[derive(Debug)]
pub(super) struct Buffers {
    kept: usize,
    max_capacity: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Keeps up to `kept` buffers of up to `max_capacity` bytes each.
    pub(super) fn new(kept: usize, max_capacity: usize) -> Self {
        Self { kept, max_capacity, free: Mutex::default() }
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        self.free.lock().pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > self.max_capacity {
            return;
        }
        let mut free = self.free.lock();
        if free.len() < self.kept {
            free.push(buffer);
        }
    }
}
