//! Readers and writers with an end.

use std::io::{self, Read, Write};

use super::{CompressionError, first_capacity};

/// Reads all of a decoder of `input` bytes into at most `limit` bytes.
pub(super) fn read_all(
    name: &'static str,
    decoder: &mut dyn Read,
    input: usize,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    let mut room = first_capacity(limit, input);
    loop {
        out.try_reserve(room).map_err(|_| CompressionError::OutOfMemory { name })?;
        // `take` stops at the spare capacity, so that this never makes the vector grow
        let before = out.len();
        decoder
            .take(room as u64)
            .read_to_end(&mut out)
            .map_err(|error| CompressionError::Corrupt { name, reason: error.to_string() })?;
        if out.len() - before < room {
            return Ok(out);
        }
        if out.len() >= limit {
            // nothing may follow
            let mut more = [0];
            return match decoder.read(&mut more) {
                Ok(0) => Ok(out),
                Ok(_) => Err(CompressionError::TooLong { name, limit }),
                Err(error) => Err(CompressionError::Corrupt { name, reason: error.to_string() }),
            };
        }
        room = out.len().min(limit - out.len()).max(1);
    }
}

/// Appends to a vector until `room` is used up, then fails.
pub(super) struct Bounded<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) room: usize,
    pub(super) overflow: bool,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.room.checked_sub(bytes.len()) else {
            self.overflow = true;
            return Err(io::ErrorKind::WriteZero.into());
        };
        self.room = left;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
