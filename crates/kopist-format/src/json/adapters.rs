//! Serde adapters for the types whose JSON form is Go's.

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use super::write_json_string;

/// A string of bytes that need not be UTF-8; each byte that is not becomes `\ufffd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        // The escape differs from a genuine U+FFFD, which is written as it is.
        let mut json = Vec::with_capacity(self.0.len() + 16);
        write_json_string(&mut json, self.0);
        let json = String::from_utf8(json).map_err(S::Error::custom)?;
        RawValue::from_string(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// [`jiff::Timestamp`] as RFC 3339 text, written in UTC; `null` is [`ZERO_TIME`](super::ZERO_TIME).
pub mod time {
    use std::borrow::Cow;

    use jiff::{Timestamp, tz::Offset};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};

    use crate::json::{ZERO_TIME, format_time, parse_time};

    /// Writes the text.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_time(*time, Offset::UTC).map_err(S::Error::custom)?)
    }

    /// Reads the text at any offset.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        match Option::<Cow<'de, str>>::deserialize(deserializer)? {
            None => Ok(ZERO_TIME),
            Some(text) => parse_time(&text).map_err(D::Error::custom),
        }
    }
}

/// [`jiff::SignedDuration`] as a whole number of nanoseconds; `null` is zero.
pub mod nanos {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer, ser::Error as _};

    /// Writes the number.
    pub fn serialize<S: Serializer>(
        duration: &SignedDuration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let nanos = i64::try_from(duration.as_nanos())
            .map_err(|_| S::Error::custom("duration of more than 292 years"))?;
        serializer.serialize_i64(nanos)
    }

    /// Reads the number.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SignedDuration, D::Error> {
        Ok(SignedDuration::from_nanos(Option::<i64>::deserialize(deserializer)?.unwrap_or(0)))
    }
}

/// Byte strings as base64 with padding; `null` is empty.
pub mod bytes {
    use std::borrow::Cow;

    use base64::{
        Engine, alphabet,
        engine::{GeneralPurpose, GeneralPurposeConfig},
        prelude::BASE64_STANDARD,
    };
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes base64.
    pub fn serialize<T: AsRef<[u8]>, S: Serializer>(
        bytes: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    /// Reads base64; line ends inside are ignored.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Option::<Cow<'de, str>>::deserialize(deserializer)? {
            None => Ok(Vec::new()),
            Some(text) => decode(&text).ok_or_else(|| D::Error::custom("illegal base64 data")),
        }
    }

    /// As Go: unused bits of the last character may be anything.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );

    /// The bytes of a base64 text.
    pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
        if text.contains(['\r', '\n']) {
            LENIENT.decode(text.replace(['\r', '\n'], "")).ok()
        } else {
            LENIENT.decode(text).ok()
        }
    }
}
