//! Reading objects member by member, the way Go fills a struct.

use std::{borrow::Cow, fmt};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretSlice;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use super::{JsonError, adapters::bytes, parse_time};

/// The members of a JSON object that have not been taken yet, borrowed from the text.
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// The members of an object; `null` has none. Anything behind the value is an error.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        match text.trim_ascii_start().as_bytes() {
            [b'{' | b'n', ..] => Ok(serde_json::from_str(text)?),
            _ => Err(JsonError::Type { expected: "an object" }),
        }
    }

    /// Takes all members of this name, in any case, and sets `out` to the last of them that is
    /// not `null`. If there is none, `out` stays as it is.
    pub fn field<T: FromGo>(&mut self, key: &'static str, out: &mut T) -> Result<(), JsonError> {
        let mut result = Ok(());
        self.members.retain(|(name, value)| {
            let matches = name.eq_ignore_ascii_case(key);
            if matches && result.is_ok() {
                result = set(out, value.get());
            }
            !matches
        });
        result.map_err(|source| JsonError::Field { key, source: Box::new(source) })
    }

    /// What was not taken.
    pub fn unknown(self) -> Unknown {
        let owned = |(name, value): (Cow<'a, str>, &RawValue)| (name.into(), value.to_owned());
        Unknown(self.members.into_iter().map(owned).collect())
    }
}

fn set<T: FromGo>(out: &mut T, json: &str) -> Result<(), JsonError> {
    if json == "null" {
        out.set_null();
    } else {
        *out = T::from_go(json)?;
    }
    Ok(())
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_unit<E>(self) -> Result<Object<'de>, E> {
                Ok(Object { members: Vec::new() })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Object { members })
            }
        }
        deserializer.deserialize_any(Members)
    }
}

/// A key, borrowed if it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Members of an object that this program does not know, kept to be written again. They are
/// written behind the known ones, in their order.
#[derive(Clone, Default)]
pub struct Unknown(Vec<(String, Box<RawValue>)>);

impl Unknown {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Unknown {
    /// The names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl PartialEq for Unknown {
    fn eq(&self, other: &Self) -> bool {
        let pair =
            |member: &'_ (String, Box<RawValue>)| (member.0.clone(), member.1.get().to_owned());
        self.0.iter().map(pair).eq(other.0.iter().map(pair))
    }
}

impl Eq for Unknown {}

impl Serialize for Unknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A value that can be read from the JSON that Go would take for it.
pub trait FromGo: Sized {
    /// Reads a JSON text other than `null`.
    fn from_go(json: &str) -> Result<Self, JsonError>;

    /// What `null` does: nothing, unless the type has an empty state that Go writes as `null`.
    fn set_null(&mut self) {}
}

impl FromGo for String {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        unquote(json).map(Cow::into_owned)
    }
}

impl FromGo for bool {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        match json {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(JsonError::Type { expected: "true or false" }),
        }
    }
}

impl FromGo for i64 {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        // JSON has no plus sign in front of a number, and Go takes no fraction or exponent here.
        json.parse().map_err(|_| JsonError::Type { expected: "a whole number" })
    }
}

impl FromGo for Vec<u8> {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        bytes::decode(&unquote(json)?).ok_or(JsonError::Type { expected: "base64 data" })
    }

    fn set_null(&mut self) {
        self.clear();
    }
}

impl FromGo for SecretSlice<u8> {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        // The exact capacity of the decoder's vector is not promised; boxing may leave a copy of
        // a larger allocation, so the bytes go through one that is wiped.
        let decoded = zeroize::Zeroizing::new(Vec::from_go(json)?);
        Ok(SecretSlice::from(decoded.as_slice().to_vec()))
    }

    fn set_null(&mut self) {
        *self = SecretSlice::from(Vec::new());
    }
}

impl FromGo for Timestamp {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        parse_time(&unquote(json)?)
    }
}

impl FromGo for SignedDuration {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        i64::from_go(json).map(SignedDuration::from_nanos)
    }
}

impl<T: FromGo> FromGo for Option<T> {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        T::from_go(json).map(Some)
    }

    fn set_null(&mut self) {
        *self = None;
    }
}

/// A list, whose elements start out as their default.
impl<T: FromGo + Default> FromGo for Vec<T> {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        if !json.starts_with('[') {
            return Err(JsonError::Type { expected: "a list" });
        }
        let items: Vec<&RawValue> = serde_json::from_str(json)?;
        items
            .into_iter()
            .map(|item| {
                let mut value = T::default();
                set(&mut value, item.get())?;
                Ok(value)
            })
            .collect()
    }

    fn set_null(&mut self) {
        self.clear();
    }
}

/// The text of a JSON string. Half surrogates become U+FFFD.
fn unquote(json: &str) -> Result<Cow<'_, str>, JsonError> {
    let wrong = || JsonError::Type { expected: "a string" };
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(wrong)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    if let Ok(text) = serde_json::from_str(json) {
        return Ok(Cow::Owned(text));
    }
    // The syntax has been checked when the text was taken apart, so what serde_json does not like
    // are half surrogates: they are replaced, and the rest is left to it.
    let mut repaired = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
        let length = match unit(escape) {
            None => 2,
            Some(0xD800..=0xDBFF) => match escape.get(6..).and_then(unit) {
                Some(0xDC00..=0xDFFF) => 12,
                _ => 0,
            },
            Some(0xDC00..=0xDFFF) => 0,
            Some(_) => 6,
        };
        let (escape, after) = match length {
            0 => ("\\ufffd", escape.get(6..)),
            length => (escape.get(..length).ok_or_else(wrong)?, escape.get(length..)),
        };
        repaired.push_str(escape);
        rest = after.ok_or_else(wrong)?;
    }
    repaired.push_str(rest);
    Ok(Cow::Owned(serde_json::from_str(&repaired)?))
}
