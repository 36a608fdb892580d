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
    // Without a length, an answer that breaks off looks like a whole one.
    let whole = |answer: Answer| {
        if answer.is_framed() || answer.body.len() as u64 >= size()? {
            return Ok(answer.body);
        }
        let what = "it ended in the middle of the blob";
        Err(site.nonsense(what, Operation::Get, &Target::Blob(id.clone())))
    };
    let (offset, length) = match range {
        ByteRange::Full => {
            return match fetch(None)? {
                Fetched::Answer(answer) => whole(answer),
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
        let all = whole(answer)?;
        let (from, to) = (offset as usize, (offset + length) as usize);
        if to > all.len() {
            return Err(outside(all.len() as u64));
        }
        return Ok(all.slice(from..to));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static [u8]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Answer { status, headers: headers.collect(), body: Bytes::from_static(body) }
    }

    /// Reads from a server that has the blob `0123456789` and answers so.
    fn got(range: ByteRange, answer: &dyn Fn() -> Answer) -> Result<Bytes, BlobError> {
        read(&site(), &"p1".into(), range, |_| Ok(Fetched::Answer(answer())), || Ok(10))
    }

    #[test]
    fn an_answer_without_a_length_is_compared_with_the_blob() {
        let part = ByteRange::Bounded { offset: 2, length: 3 };
        for (body, whole) in [(&b"0123456789"[..], true), (b"0123", false), (b"", false)] {
            let unframed = || answer(200, &[("connection", "close")], body);
            assert_eq!(got(ByteRange::Full, &unframed).is_ok(), whole, "{body:?}");
            match got(part, &unframed) {
                Ok(bytes) => assert!(whole && bytes == "234"),
                Err(error) => assert!(!whole && error.is_retriable(), "{error}"),
            }
        }
        let range = [("content-range", "bytes 2-4/10")];
        assert_eq!(got(part, &|| answer(206, &range, b"234")).unwrap(), "234");
        let error = got(part, &|| answer(206, &range, b"23")).unwrap_err();
        assert!(error.is_retriable(), "{error}");
        // With a length nothing more is asked.
        let framed = || answer(200, &[("content-length", "4")], b"0123");
        assert_eq!(got(ByteRange::Full, &framed).unwrap(), "0123");
    }
}
