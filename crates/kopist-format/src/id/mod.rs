//! Names of stored things: hashes, content ids and object ids.
//!
//! A *content* is one encrypted piece of data in a pack; its id is an optional letter `g`..`z`
//! and the keyed hash of its plaintext. An *object* (a file, a directory) is one content, or a
//! list of contents kept in another object (`I` in front), or, in old repositories, one content
//! that was compressed before it was hashed (`Z` in front).
//!
//! All ids are small `Copy` values; their text form is what JSON, the command line and users see:
//!
//! ```
//! use kopist_format::id::{ContentId, ObjectId};
//! let id: ContentId = "k00112233445566778899AABBCCDDEEFF".parse()?;
//! assert_eq!(id.to_string(), "k00112233445566778899aabbccddeeff");
//! let object: ObjectId = "Ixabcd".parse()?;
//! assert_eq!(object.index_object().map(|o| o.to_string()).as_deref(), Some("xabcd"));
//! # Ok::<(), kopist_format::id::IdError>(())
//! ```
//!
//! Kopia also has an *empty* id of each kind, written as an empty string; here that is
//! `Option::None`, and parsing an empty string is an error. [`optional`] is the serde adapter.
//!
//! Sources: `kopia:repo/content/index/id.go`, `kopia:repo/object/objectid.go`.

mod content;
mod hash;
mod object;
#[cfg(test)]
mod tests;

pub use content::{ContentId, IdPrefix};
pub use hash::{Hash, MAX_HASH_LENGTH};
pub use object::ObjectId;

/// Why a text or a byte string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// No characters at all.
    #[error("empty id")]
    Empty,
    /// The letter in front of the hash is not `g`..`z`.
    #[error("invalid content prefix in {text:?}: it must be one letter from g to z")]
    InvalidPrefix {
        /// The whole text, shortened.
        text: String,
    },
    /// A prefix without a hash.
    #[error("id too short: {text:?}")]
    TooShort {
        /// The whole text.
        text: String,
    },
    /// More than 32 bytes of hash.
    #[error("hash too long: {bytes} bytes, the longest is 32")]
    TooLong {
        /// Length of the hash in bytes.
        bytes: usize,
    },
    /// Not hexadecimal.
    #[error("invalid content hash in {text:?}: not hexadecimal")]
    InvalidHash {
        /// The whole text, shortened.
        text: String,
    },
    /// `IZ…`
    #[error("malformed object id {text:?}: compression and indirection are mutually exclusive")]
    CompressedIndirect {
        /// The whole text, shortened.
        text: String,
    },
    /// More `I` than any repository can hold.
    #[error("malformed object id: more than 255 levels of indirection")]
    TooIndirect,
}

/// At most 80 characters of a text from outside, for messages.
fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// `Option` of an id as text, where `None` is the empty string: `#[serde(with = "id::optional")]`.
///
/// A missing value and `null` need `#[serde(default)]` beside it, as everywhere.
pub mod optional {
    use std::{borrow::Cow, fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the id, or `""`.
    pub fn serialize<T: Display, S: Serializer>(
        id: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_str(""),
        }
    }

    /// Reads an id; `""` and `null` are `None`.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err = super::IdError>,
        D: Deserializer<'de>,
    {
        match Option::<Cow<'de, str>>::deserialize(deserializer)? {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => text.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

/// Serde of a type as its text form.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an id as a string")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
use serde_as_text;
