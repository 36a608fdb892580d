//! Writing tar archives in the format that GNU tar writes, which every tar reads.
//!
//! Names are raw bytes; one longer than its field comes before the entry in a block of its own,
//! and a number that is too large for octal digits is written in binary.

use std::io::{self, Write};

use kopist_format::directory::{DirEntry, UtcNanos};

use super::Sink;

const BLOCK: usize = 512;

/// A tar archive in progress.
pub(super) struct Tar<W> {
    out: W,
    /// Bytes of the current file that are still to come, and the zeros after them.
    missing: u64,
    padding: usize,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, missing: 0, padding: 0 }
    }

    fn header(
        &mut self,
        kind: u8,
        path: &[u8],
        target: &[u8],
        size: u64,
        entry: &DirEntry,
    ) -> io::Result<()> {
        self.long(b'L', path)?;
        self.long(b'K', target)?;
        let mut header = Header::new(kind, path, size);
        let mode = if kind == b'2' { 0o777 } else { entry.mode.to_unix() };
        header.number(100..108, mode.into());
        header.number(108..116, entry.uid.into());
        header.number(116..124, entry.gid.into());
        header.number(136..148, rounded(entry.mtime));
        header.text(157..257, target);
        self.out.write_all(&header.finish())
    }

    /// A name that does not fit into the header.
    fn long(&mut self, kind: u8, text: &[u8]) -> io::Result<()> {
        if text.len() <= 100 {
            return Ok(());
        }
        let size = text.len() + 1;
        self.out.write_all(&Header::new(kind, b"././@LongLink", size as u64).finish())?;
        self.out.write_all(text)?;
        self.out.write_all(&[0])?;
        self.zeros(padding(size as u64))
    }

    fn zeros(&mut self, count: usize) -> io::Result<()> {
        self.out.write_all([0; BLOCK].get(..count).unwrap_or_default())
    }
}

impl<W: Write> Sink for Tar<W> {
    fn directory(&mut self, path: &[u8], entry: &DirEntry) -> io::Result<()> {
        self.header(b'5', &[path, b"/"].concat(), b"", 0, entry)
    }

    fn begin(&mut self, path: &[u8], entry: &DirEntry, size: u64) -> io::Result<()> {
        self.missing = size;
        self.padding = padding(size);
        self.header(b'0', path, b"", size, entry)
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.missing = self
            .missing
            .checked_sub(data.len() as u64)
            .ok_or_else(|| io::Error::other("more data than the entry says"))?;
        self.out.write_all(data)
    }

    fn end(&mut self) -> io::Result<()> {
        if self.missing > 0 {
            return Err(io::Error::other("less data than the entry says"));
        }
        let padding = std::mem::take(&mut self.padding);
        self.zeros(padding)
    }

    fn link(&mut self, path: &[u8], entry: &DirEntry, target: &[u8]) -> io::Result<()> {
        self.header(b'2', path, target, 0, entry)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.zeros(BLOCK)?;
        self.zeros(BLOCK)?;
        self.out.flush()
    }
}

/// Bytes after a file up to the next block.
fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

/// The nearest second, as kopia writes it: the header has no room for less.
fn rounded(time: UtcNanos) -> i64 {
    let (seconds, nanos) = time.to_unix();
    seconds + i64::from(nanos >= 500_000_000)
}

struct Header([u8; BLOCK]);

impl Header {
    fn new(kind: u8, path: &[u8], size: u64) -> Self {
        let mut header = Self([0; BLOCK]);
        header.text(0..100, path);
        for field in [100..108, 108..116, 116..124] {
            header.number(field, 0);
        }
        header.number(124..136, i64::try_from(size).unwrap_or(i64::MAX));
        header.number(136..148, 0);
        header.text(156..157, &[kind]);
        header.text(257..265, b"ustar  \0");
        header
    }

    fn text(&mut self, field: std::ops::Range<usize>, text: &[u8]) {
        for (to, from) in self.0.iter_mut().take(field.end).skip(field.start).zip(text) {
            *to = *from;
        }
    }

    /// Octal digits and a zero, or for what needs more a mark and the number itself.
    fn number(&mut self, field: std::ops::Range<usize>, number: i64) {
        let digits = field.len() - 1;
        if number >= 0 && number < 1 << (3 * digits).min(62) {
            self.text(field, format!("{number:0digits$o}\0").as_bytes());
            return;
        }
        let fill = if number < 0 { 0xff } else { 0 };
        let mut bytes = vec![fill; field.len() - 8];
        bytes.extend(number.to_be_bytes());
        if let Some(first) = bytes.first_mut() {
            *first |= 0x80;
        }
        self.text(field, &bytes);
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.text(148..156, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.text(148..156, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}
