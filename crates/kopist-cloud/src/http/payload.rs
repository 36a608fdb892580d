use std::io::{self, Read};

/// Bytes in several slices together.
pub(crate) fn length(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

/// Reads slices one after the other.
pub(super) struct Slices<'a> {
    parts: &'a [&'a [u8]],
    rest: &'a [u8],
}

impl<'a> Slices<'a> {
    pub(super) fn new(parts: &'a [&'a [u8]]) -> Self {
        Self { parts, rest: &[] }
    }
}

impl Read for Slices<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.rest.is_empty() {
                let Some((first, others)) = self.parts.split_first() else { break };
                (self.rest, self.parts) = (first, others);
                continue;
            }
            let take = self.rest.len().min(buffer.len() - filled);
            let (now, later) = self.rest.split_at(take);
            buffer[filled..filled + take].copy_from_slice(now);
            self.rest = later;
            filled += take;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_read_as_one() {
        let parts: [&[u8]; 5] = [b"ab", b"", b"cde", b"f", b""];
        assert_eq!(length(&parts), 6);
        let mut reader = Slices::new(&parts);
        let mut buffer = [0; 4];
        assert_eq!(reader.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"abcd");
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"ef");
    }
}
