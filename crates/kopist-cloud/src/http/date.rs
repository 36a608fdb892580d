use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// A time as the headers of HTTP have it: `Sat, 21 Nov 2026 10:23:47 GMT`.
pub(crate) fn http_date(time: Timestamp) -> String {
    // Only times outside of the years 0 to 9999 have no such form.
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

/// Reads a time from a header.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let text = "Wed, 04 Mar 2026 05:06:07 GMT";
        let time = parse_http_date(text).unwrap();
        assert_eq!(time.to_string(), "2026-03-04T05:06:07Z");
        assert_eq!(http_date(time), text);
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
