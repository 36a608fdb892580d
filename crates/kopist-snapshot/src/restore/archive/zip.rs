//! Writing zip archives from front to back, so that the output may be a pipe.
//!
//! What is known only afterwards (checksum and compressed size) follows each file, and the
//! directory at the end has everything. Times are in the extended timestamp field, permissions
//! in the Unix attributes. Files and archives of more than 4 GiB take the 64-bit forms.

use std::io::{self, Write};

use flate2::{Compress, Compression, FlushCompress, Status};
use kopist_format::directory::{DirEntry, UtcNanos};

use super::Sink;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Sizes and checksum follow the data.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// The name is UTF-8.
const FLAG_UTF8: u16 = 1 << 11;

const MAX32: u64 = 0xffff_ffff;

/// From this size on the 64-bit form is used; compressing may make a file a little longer.
const LARGE: u64 = MAX32 - (1 << 24);

/// A zip archive in progress.
pub(super) struct Zip<W> {
    out: Counting<W>,
    method: u16,
    deflate: Compress,
    buffer: Vec<u8>,
    current: Option<Member>,
    /// The central directory so far.
    central: Vec<u8>,
    members: u64,
}

/// An entry of the archive.
struct Member {
    name: Vec<u8>,
    method: u16,
    flags: u16,
    /// Unix type and permissions.
    mode: u32,
    mtime: UtcNanos,
    offset: u64,
    large: bool,
    crc: crc32fast::Hasher,
    size: u64,
    packed: u64,
}

struct Counting<W> {
    out: W,
    written: u64,
}

impl<W: Write> Counting<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl<W: Write> Zip<W> {
    pub(super) fn new(out: W, compress: bool) -> Self {
        Self {
            out: Counting { out, written: 0 },
            method: if compress { DEFLATED } else { STORED },
            deflate: Compress::new(Compression::default(), false),
            buffer: Vec::with_capacity(64 << 10),
            current: None,
            central: Vec::new(),
            members: 0,
        }
    }

    fn member(&self, name: Vec<u8>, kind: u32, entry: &DirEntry) -> Member {
        let mode = if kind == 0o120_000 { 0o777 } else { entry.mode.to_unix() };
        Member {
            flags: if name.is_ascii() { 0 } else { FLAG_UTF8 },
            name,
            method: STORED,
            mode: kind | mode,
            mtime: entry.mtime,
            offset: self.out.written,
            large: false,
            crc: crc32fast::Hasher::new(),
            size: 0,
            packed: 0,
        }
    }

    /// Something small: with everything known before it is written.
    fn whole(&mut self, mut member: Member, data: &[u8]) -> io::Result<()> {
        member.crc.update(data);
        member.size = data.len() as u64;
        member.packed = member.size;
        self.out.put(&member.local()?)?;
        self.out.put(data)?;
        self.done(&member)
    }

    fn done(&mut self, member: &Member) -> io::Result<()> {
        member.central(&mut self.central)?;
        self.members += 1;
        Ok(())
    }

    fn compress(&mut self, mut data: &[u8], flush: FlushCompress) -> io::Result<u64> {
        let mut written = 0;
        loop {
            self.buffer.clear();
            let before = self.deflate.total_in();
            let status = self
                .deflate
                .compress_vec(data, &mut self.buffer, flush)
                .map_err(io::Error::other)?;
            let taken = usize::try_from(self.deflate.total_in() - before).unwrap_or(usize::MAX);
            data = data.get(taken..).unwrap_or_default();
            written += self.buffer.len() as u64;
            self.out.put(&self.buffer)?;
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => data.is_empty() && self.buffer.len() < self.buffer.capacity(),
            };
            if is_done {
                return Ok(written);
            }
        }
    }
}

impl<W: Write> Sink for Zip<W> {
    fn directory(&mut self, path: &[u8], entry: &DirEntry) -> io::Result<()> {
        let member = self.member([path, b"/"].concat(), 0o040_000, entry);
        self.whole(member, &[])
    }

    fn begin(&mut self, path: &[u8], entry: &DirEntry, size: u64) -> io::Result<()> {
        let mut member = self.member(path.to_vec(), 0o100_000, entry);
        member.method = self.method;
        member.flags |= FLAG_DESCRIPTOR;
        member.large = size >= LARGE;
        self.out.put(&member.local()?)?;
        self.deflate.reset();
        self.current = Some(member);
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        let packed = if self.method == DEFLATED {
            self.compress(data, FlushCompress::None)?
        } else {
            self.out.put(data)?;
            data.len() as u64
        };
        if let Some(member) = &mut self.current {
            member.crc.update(data);
            member.size += data.len() as u64;
            member.packed += packed;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let rest =
            if self.method == DEFLATED { self.compress(&[], FlushCompress::Finish)? } else { 0 };
        let Some(mut member) = self.current.take() else { return Ok(()) };
        member.packed += rest;
        self.out.put(&member.descriptor())?;
        self.done(&member)
    }

    fn link(&mut self, path: &[u8], entry: &DirEntry, target: &[u8]) -> io::Result<()> {
        let member = self.member(path.to_vec(), 0o120_000, entry);
        self.whole(member, target)
    }

    fn finish(&mut self) -> io::Result<()> {
        let start = self.out.written;
        let size = self.central.len() as u64;
        let central = std::mem::take(&mut self.central);
        self.out.put(&central)?;
        if self.members >= 0xffff || start >= MAX32 || size >= MAX32 {
            let end = self.out.written;
            let mut record = Fields::default();
            record.u32(0x0606_4b50).u64(44).u16(0x031e).u16(45).u32(0).u32(0);
            record.u64(self.members).u64(self.members).u64(size).u64(start);
            record.u32(0x0706_4b50).u32(0).u64(end).u32(1);
            self.out.put(&record.0)?;
        }
        let members = self.members.min(0xffff) as u16;
        let mut record = Fields::default();
        record.u32(0x0605_4b50).u16(0).u16(0).u16(members).u16(members);
        record.u32(size.min(MAX32) as u32).u32(start.min(MAX32) as u32).u16(0);
        self.out.put(&record.0)?;
        self.out.out.flush()
    }
}

impl Member {
    fn version(&self) -> u16 {
        if self.large { 45 } else { 20 }
    }

    fn name_length(&self) -> io::Result<u16> {
        u16::try_from(self.name.len())
            .map_err(|_| io::Error::other("a path is longer than zip allows"))
    }

    fn checksum(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// What stands before the data.
    fn local(&self) -> io::Result<Vec<u8>> {
        let known = self.flags & FLAG_DESCRIPTOR == 0;
        let size = if self.large { u32::MAX } else { self.size as u32 };
        let (crc, size) = if known || self.large {
            (if known { self.checksum() } else { 0 }, size)
        } else {
            (0, 0)
        };
        let mut extra = self.timestamp();
        if self.large {
            extra.u16(0x0001).u16(16).u64(0).u64(0);
        }
        let mut out = Fields::default();
        out.u32(0x0403_4b50).u16(self.version());
        self.common(&mut out);
        out.u32(crc).u32(size).u32(size).u16(self.name_length()?).u16(extra.0.len() as u16);
        Ok([out.0, self.name.clone(), extra.0].concat())
    }

    /// What both headers have.
    fn common(&self, out: &mut Fields) {
        let (date, time) = dos_time(self.mtime);
        out.u16(self.flags).u16(self.method).u16(time).u16(date);
    }

    /// What stands after the data.
    fn descriptor(&self) -> Vec<u8> {
        let mut out = Fields::default();
        out.u32(0x0807_4b50).u32(self.checksum());
        if self.large {
            out.u64(self.packed).u64(self.size);
        } else {
            out.u32(self.packed as u32).u32(self.size as u32);
        }
        out.0
    }

    /// The entry of the directory at the end.
    fn central(&self, central: &mut Vec<u8>) -> io::Result<()> {
        let mut extra = self.timestamp();
        let beyond = [self.size, self.packed, self.offset].map(|number| number >= MAX32);
        if self.large || beyond.contains(&true) {
            extra.u16(0x0001).u16(24).u64(self.size).u64(self.packed).u64(self.offset);
        }
        let is_64 = extra.0.len() > 9;
        let short = |number: u64| if is_64 { u32::MAX } else { number as u32 };
        let is_dir = u32::from(self.mode & 0o170_000 == 0o040_000);
        let mut out = Fields::default();
        // Made by a Unix system, version 3.0 of the specification.
        out.u32(0x0201_4b50).u16(0x031e).u16(if is_64 { 45 } else { 20 });
        self.common(&mut out);
        out.u32(self.checksum()).u32(short(self.packed)).u32(short(self.size));
        out.u16(self.name_length()?).u16(extra.0.len() as u16).u16(0).u16(0).u16(0);
        out.u32(self.mode << 16 | is_dir << 4).u32(short(self.offset));
        central.extend_from_slice(&out.0);
        central.extend_from_slice(&self.name);
        central.extend_from_slice(&extra.0);
        Ok(())
    }

    /// The modification time in seconds since 1970.
    fn timestamp(&self) -> Fields {
        let mut extra = Fields::default();
        extra.u16(0x5455).u16(5).0.push(1);
        extra.u32(self.mtime.to_unix().0 as u32);
        extra
    }
}

/// Numbers in the order of a record.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn u16(&mut self, number: u16) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }
}

/// Date and time of the headers, which begin in 1980 and count every other second.
fn dos_time(time: UtcNanos) -> (u16, u16) {
    let time = jiff::tz::Offset::UTC.to_datetime(time.to_timestamp());
    let year = i32::from(time.year()) - 1980;
    if year < 0 {
        return (1 << 5 | 1, 0);
    }
    let date = (year.min(127) as u16) << 9 | (time.month() as u16) << 5 | time.day() as u16;
    let half = time.second() as u16 / 2;
    let clock = (time.hour() as u16) << 11 | (time.minute() as u16) << 5 | half;
    (date, clock)
}
