//! Requests and answers of HTTP/1.1, whole.

use std::io::{self, Read, Write};

use jiff::{SignedDuration, Timestamp};

/// Longer heads are not ours.
const LONGEST_HEAD: usize = 64 << 10;

/// A request or an answer. Bodies in chunks are kept as they came, chunks and all.
pub(super) struct Message {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    ends_connection: bool,
}

/// Reads up to the empty line after the headers.
pub(super) fn read_head(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    read_head_or_end(stream)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The same; none if the stream ends before a head begins.
pub(super) fn read_head_or_end(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) if head.is_empty() => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if head.is_empty() => return Err(error),
            Err(error) => return Err(error),
        }
        if head.len() > LONGEST_HEAD {
            return Err(io::Error::other("a head without an end"));
        }
    }
    Ok(Some(head))
}

/// A header of a head, by its name in any case.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Message {
    /// The request that begins with this head.
    pub(super) fn read_request(head: &[u8], stream: &mut (impl Read + Write)) -> io::Result<Self> {
        let text = String::from_utf8_lossy(head).into_owned();
        if header(&text, "expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            stream.flush()?;
        }
        let body = read_body(&text, stream, Some(0))?;
        // Through a proxy, requests name the whole address; servers want its path.
        let mut lines =
            text.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("expect:"));
        let first = lines.next().unwrap_or_default();
        let first = match first.split_once(" http://") {
            Some((method, rest)) => {
                format!("{method} {}", rest.find('/').map_or("/", |at| &rest[at..]))
            }
            None => first.to_owned(),
        };
        let rest: Vec<&str> = lines.collect();
        let head = format!("{first}\r\n{}", rest.join("\r\n")).into_bytes();
        Ok(Self { head, body, ends_connection: false })
    }

    /// The answer to a request.
    pub(super) fn read_answer(request: &Self, stream: &mut impl Read) -> io::Result<Self> {
        loop {
            let head = read_head(stream)?;
            let text = String::from_utf8_lossy(&head).into_owned();
            let status: u16 =
                text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
            if status == 100 {
                continue;
            }
            let none = request.method() == "HEAD" || matches!(status, 204 | 304);
            let framed = header(&text, "content-length").is_some()
                || header(&text, "transfer-encoding").is_some();
            let body = if none { Vec::new() } else { read_body(&text, stream, None)? };
            let closes = header(&text, "connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
            return Ok(Self { head, body, ends_connection: closes || (!none && !framed) });
        }
    }

    /// The method of a request.
    pub(super) fn method(&self) -> &str {
        let end = self.head.iter().position(|byte| *byte == b' ').unwrap_or(0);
        std::str::from_utf8(&self.head[..end]).unwrap_or_default()
    }

    /// The target of a request: its path and query.
    pub(super) fn target(&self) -> String {
        let text = String::from_utf8_lossy(&self.head);
        text.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// A header, by its name in any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(std::str::from_utf8(&self.head).ok()?, name)
    }

    /// Whether another request may follow.
    pub(super) fn keeps_connection(&self) -> bool {
        !self.ends_connection
    }

    /// Adds this to every date of an answer.
    pub(super) fn turn_clock(&mut self, ahead: SignedDuration) {
        let is_xml = self.header("content-type").is_some_and(|kind| kind.contains("xml"));
        turn_dates(&mut self.head, ahead);
        if is_xml {
            turn_dates(&mut self.body, ahead);
        }
    }

    pub(super) fn write_to(&self, stream: &mut impl Write) -> io::Result<()> {
        stream.write_all(&self.head)?;
        stream.write_all(&self.body)?;
        stream.flush()
    }
}

/// Reads a body as its head says; `unframed` is its length if the head says nothing, none
/// meaning all that comes.
fn read_body(head: &str, stream: &mut impl Read, unframed: Option<u64>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if header(head, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let line = read_line(stream)?;
            body.extend_from_slice(&line);
            let digits = String::from_utf8_lossy(&line);
            let digits = digits.trim().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
            read_exactly(stream, size + 2, &mut body)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = match header(head, "content-length") {
        Some(text) => Some(text.parse().map_err(io::Error::other)?),
        None => unframed,
    };
    match length {
        Some(length) => read_exactly(stream, length, &mut body)?,
        None => drop(stream.read_to_end(&mut body)?),
    }
    Ok(body)
}

fn read_line(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(line)
}

fn read_exactly(stream: &mut impl Read, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = stream.take(length).read_to_end(body)?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Adds to all dates in the forms of HTTP and of S3, which keep their lengths.
fn turn_dates(text: &mut [u8], ahead: SignedDuration) {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    const HTTP: &str = "%a, %d %b %Y %H:%M:%S GMT";
    const HTTP_LENGTH: usize = 29;
    /// The seconds of `<LastModified>1994-11-06T08:49:37.123Z</LastModified>`; the rest stays.
    const ISO: &str = "%Y-%m-%dT%H:%M:%S";
    const ISO_LENGTH: usize = 19;
    const BEFORE_ISO: &[u8] = b"<LastModified>";
    for at in 0..text.len() {
        let rest = &mut text[at..];
        let (date, form) = if rest.len() >= HTTP_LENGTH && rest[..HTTP_LENGTH].ends_with(b" GMT") {
            (&mut rest[..HTTP_LENGTH], HTTP)
        } else if rest.len() >= BEFORE_ISO.len() + ISO_LENGTH && rest.starts_with(BEFORE_ISO) {
            (&mut rest[BEFORE_ISO.len()..][..ISO_LENGTH], ISO)
        } else {
            continue;
        };
        let known = std::str::from_utf8(date)
            .ok()
            .and_then(|date| jiff::civil::DateTime::strptime(form, date).ok())
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let Some(known) = known else { continue };
        let turned: Timestamp = known.timestamp() + ahead;
        date.copy_from_slice(turned.strftime(form).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_moved_in_place() {
        let mut text = *b"Date: Sat, 31 Dec 1994 23:49:37 GMT\r\n\
            x <LastModified>1994-12-31T23:49:37.123Z</LastModified> y GMT";
        turn_dates(&mut text, SignedDuration::from_hours(1));
        let expected = *b"Date: Sun, 01 Jan 1995 00:49:37 GMT\r\n\
            x <LastModified>1995-01-01T00:49:37.123Z</LastModified> y GMT";
        assert_eq!(text, expected);
    }
}
