use bytes::Bytes;
use kopist_blob::{BlobError, BlobId, ByteRange, Operation, Target};

use super::Answer;
use crate::site::Site;

/// The answer to a request for bytes.
pub(crate) enum Fetched {
    /// Some of the bytes, or all.
    Answer(Answer),
    /// The range does not exist.
    OutOfRange(Answer),
}

/// Reads a blob or exactly a range of it.
///
/// `fetch` asks for all bytes or for `(offset, length)` with a length that is not zero, and
/// returns the answer if it is one of success, or says that the range does not exist. `size`
/// asks for the length of the blob.
pub(crate) fn read(
    site: &Site,
    id: &BlobId,
    range: ByteRange,
    fetch: impl Fn(Option<(u64, u64)>) -> Result<Fetched, BlobError>,
    size: impl Fn() -> Result<u64, BlobError>,
) -> Result<Bytes, BlobError> {
    let (offset, length) = match range {
        ByteRange::Full => {
            return match fetch(None)? {
                Fetched::Answer(answer) => Ok(answer.body),
                Fetched::OutOfRange(_) => {
                    Err(site.nonsense("416", Operation::Get, &Target::Blob(id.clone())))
                }
            };
        }
        ByteRange::Bounded { offset, length } => (offset, length),
    };
    let outside = |size| BlobError::InvalidRange { id: id.clone(), offset, length, size };
    // Servers read numbers as signed ones, and none has blobs of such sizes.
    let askable = offset.checked_add(length).is_some_and(|end| i64::try_from(end).is_ok());
    if length == 0 || !askable {
        let size = size()?;
        let covered = askable && offset + length <= size;
        return if covered { Ok(Bytes::new()) } else { Err(outside(size)) };
    }
    let answer = match fetch(Some((offset, length)))? {
        Fetched::Answer(answer) => answer,
        Fetched::OutOfRange(answer) => {
            return Err(outside(answer.content_range().1.map_or_else(&size, Ok)?));
        }
    };
    let (start, total) = answer.content_range();
    if answer.status != 206 {
        // The server sent everything.
        let whole = answer.body;
        let (from, to) = (offset as usize, (offset + length) as usize);
        if to > whole.len() {
            return Err(outside(whole.len() as u64));
        }
        return Ok(whole.slice(from..to));
    }
    if start.is_some_and(|start| start != offset) || answer.body.len() as u64 > length {
        let target = Target::Blob(id.clone());
        return Err(site.nonsense("it sent other bytes than asked for", Operation::Get, &target));
    }
    if (answer.body.len() as u64) < length {
        let size = total.map_or_else(&size, Ok)?;
        if offset + length <= size {
            let target = Target::Blob(id.clone());
            return Err(site.nonsense("it sent too few bytes", Operation::Get, &target));
        }
        return Err(outside(size));
    }
    Ok(answer.body)
}
