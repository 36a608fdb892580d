use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{BlobError, BlobId, BlobMeta, ByteRange, Operation};

/// Reads a file, or exactly a range of it.
pub(super) fn read(path: &Path, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
    let failed = |errno: Errno| BlobError::from_io(Operation::Get, id, errno.into());
    let file =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    // The size bounds the buffer, so that a damaged index cannot make us allocate gigabytes.
    let size = rustix::fs::fstat(&file).map_err(failed)?.st_size as u64;
    let (offset, length) = match range {
        ByteRange::Full => (0, size),
        ByteRange::Bounded { offset, length } => (offset, length),
    };
    let outside = |size| BlobError::InvalidRange { id: id.clone(), offset, length, size };
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(outside(size));
    }
    let mut data = Vec::new();
    // A sparse file may be larger than any memory.
    let room = usize::try_from(length).map_err(|_| failed(Errno::NOMEM))?;
    data.try_reserve_exact(room).map_err(|_| failed(Errno::NOMEM))?;
    while (data.len() as u64) < length {
        let at = offset + data.len() as u64;
        match rustix::io::pread(&file, spare_capacity(&mut data), at) {
            Ok(0) => return Err(outside(data.len() as u64)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    // The buffer may have more room than was asked for.
    data.truncate(room);
    Ok(Bytes::from(data))
}

pub(super) fn meta_of(id: BlobId, stat: &Stat) -> BlobMeta {
    BlobMeta { id, length: stat.st_size as u64, timestamp: mtime(stat) }
}

pub(super) fn mtime(stat: &Stat) -> Timestamp {
    let nanoseconds = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    // Only file systems with a broken clock are outside of what a timestamp can hold.
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(if nanoseconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
