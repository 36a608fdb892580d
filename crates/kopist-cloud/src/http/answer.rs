use bytes::Bytes;
use jiff::Timestamp;

use super::date::parse_http_date;

/// What a server answered, whatever the status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Whether the status is one of success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, which is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A header that is a time.
    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        parse_http_date(self.header(name)?)
    }

    /// Whether the length of the body was told, be it chunk by chunk, so that an answer that
    /// breaks off does not seem to be whole.
    pub(crate) fn is_framed(&self) -> bool {
        self.header("content-length").is_some()
            || self.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"))
    }

    /// `Retry-After`: how many seconds the server wants to be left alone; 0 if it does not say.
    pub(crate) fn retry_after(&self) -> u16 {
        let text = self.header("retry-after").unwrap_or_default().trim();
        let seconds = text
            .parse()
            .ok()
            .or_else(|| Some(parse_http_date(text)?.duration_since(crate::clock::now()).as_secs()));
        seconds.unwrap_or_default().clamp(0, i64::from(u16::MAX)) as u16
    }

    /// A header that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// `Content-Range`: the first byte that was sent, and the length of the whole, as far as
    /// they are told.
    pub(crate) fn content_range(&self) -> (Option<u64>, Option<u64>) {
        let Some(text) = self.header("content-range").and_then(|text| text.strip_prefix("bytes "))
        else {
            return (None, None);
        };
        let (range, total) = text.split_once('/').unwrap_or((text, ""));
        let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
        (start, total.trim().parse().ok())
    }

    /// The body as text, for messages: one line, cut to what a person reads.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(2048)]);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line: String = words.join(" ").chars().filter(|c| !c.is_control()).take(200).collect();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, value: &str) -> Answer {
        Answer {
            status: 206,
            headers: vec![(name.to_owned(), value.to_owned())],
            body: Bytes::from_static(b" a\n\tb\x07c "),
        }
    }

    #[test]
    fn ranges_are_read_as_far_as_they_are_told() {
        let range = |value| answer("content-range", value).content_range();
        assert_eq!(range("bytes 5-9/10"), (Some(5), Some(10)));
        assert_eq!(range("bytes 5-9/*"), (Some(5), None));
        assert_eq!(range("bytes */10"), (None, Some(10)));
        assert_eq!(range("rows 1-2/3"), (None, None));
    }

    #[test]
    fn servers_say_when_they_are_well_again() {
        let after = |value: &str| answer("retry-after", value).retry_after();
        assert_eq!(after("7"), 7);
        assert_eq!(after("99999999"), u16::MAX);
        assert_eq!(after("soon"), 0);
        assert_eq!(after("Wed, 04 Mar 2020 05:06:07 GMT"), 0, "it is past");
        let in_an_hour = crate::clock::now() + jiff::SignedDuration::from_hours(1);
        let wait = after(&crate::http::http_date(in_an_hour));
        assert!((3500..=3600).contains(&wait), "{wait}");
    }

    #[test]
    fn lengths_are_told_in_two_ways() {
        assert!(answer("content-length", "4").is_framed());
        assert!(answer("transfer-encoding", "gzip, chunked").is_framed());
        assert!(!answer("connection", "close").is_framed());
    }

    #[test]
    fn excerpts_are_one_line() {
        assert_eq!(answer("a", "b").excerpt(), "a bc");
    }
}
