//! Strings of bytes as Go's JSON encoder writes them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};

/// Appends `text` as a JSON string with Go's escapes.
///
/// `<`, `>`, `&`, U+2028 and U+2029 are escaped, and each byte that is not part of valid UTF-8
/// becomes `\ufffd`. A U+FFFD that stands in the text itself is written raw.
pub fn write_json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        write_valid(out, chunk.valid());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn write_valid(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            // The first byte of U+2028 and U+2029; other characters begin with it too.
            0xe2 => {
                let separator = match bytes.get(at + 1..at + 3) {
                    Some([0x80, 0xa8]) => b"\\u2028",
                    Some([0x80, 0xa9]) => b"\\u2029",
                    _ => continue,
                };
                out.extend_from_slice(&bytes[done..at]);
                out.extend_from_slice(separator);
                done = at + 3;
                continue;
            }
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 | b'<' | b'>' | b'&' => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'0', b'0', high, low]);
        }
    }
    out.extend_from_slice(&bytes[done..]);
}

/// The text that a reader of the JSON sees: each invalid byte replaced by U+FFFD.
///
/// Unlike `String::from_utf8_lossy`, which replaces each invalid *sequence* once.
#[must_use]
pub fn lossy_text(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(name) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    Cow::Owned(text)
}

/// A string that is borrowed from the input unless it has escapes. `null` reads as empty.
pub(super) struct Text<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed("")))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &[u8]) -> String {
        let mut out = Vec::new();
        write_json_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes() {
        assert_eq!(
            json(b"a\"\\/\x08\x0c\n\r\t\x00\x1f\x7f<>&'"),
            "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\\u003c\\u003e\\u0026'\""
        );
        assert_eq!(
            json("\u{2028}\u{2029}\u{2027}\u{202a}é日".as_bytes()),
            "\"\\u2028\\u2029\u{2027}\u{202a}é日\""
        );
        assert_eq!(
            json(b"a\xff\xe2\x80b\xed\xa0\x80\xef\xbf\xbd"),
            "\"a\\ufffd\\ufffd\\ufffdb\\ufffd\\ufffd\\ufffd\u{fffd}\""
        );
    }

    proptest! {
        #[test]
        fn readers_see_the_lossy_text(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let read: String = serde_json::from_str(&json(&name)).unwrap();
            prop_assert_eq!(read, lossy_text(&name).into_owned());
        }
    }
}
