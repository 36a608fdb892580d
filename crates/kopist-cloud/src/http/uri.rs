use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, which is what signers expect.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Text as one segment of a path.
pub(crate) fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Text as a path, whose slashes stay.
pub(crate) fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// Text as a name or value of a query.
pub(crate) fn encode_query(text: &str) -> String {
    encode_segment(text)
}

/// Names and values as `a=b&c=d`, in their order.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&encode_query(name));
        out.push('=');
        out.push_str(&encode_query(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encode_path("pfx/a b+c~_-.é"), "pfx/a%20b%2Bc~_-.%C3%A9");
        assert_eq!(encode_segment("a/b"), "a%2Fb");
        assert_eq!(query(&[("prefix", "x/&"), ("versions", "")]), "prefix=x%2F%26&versions=");
    }
}
