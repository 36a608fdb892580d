//! Memory that is used again.

use parking_lot::Mutex;

/// Empty buffers that keep their capacity, so that a run does not ask the allocator for megabytes
/// with every content.
#[derive(Debug)]
pub(super) struct Buffers {
    max_kept: usize,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// Keeps buffers of up to `max_kept` bytes together.
    pub(super) fn new(max_kept: usize) -> Self {
        Self { max_kept, free: Mutex::default() }
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut free = self.free.lock();
        let buffer = free.buffers.pop().unwrap_or_default();
        free.bytes -= buffer.capacity();
        buffer
    }

    /// Gives a buffer back.
    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.free.lock();
        if buffer.capacity() > 0 && free.bytes + buffer.capacity() <= self.max_kept {
            free.bytes += buffer.capacity();
            free.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_up_to_the_limit() {
        let buffers = Buffers::new(1000);
        buffers.give(Vec::with_capacity(600));
        buffers.give(Vec::with_capacity(600));
        buffers.give(Vec::with_capacity(300));
        assert_eq!(buffers.take().capacity(), 300);
        assert_eq!(buffers.take().capacity(), 600);
        assert_eq!(buffers.take().capacity(), 0);
    }
}
