//! JSON as Go's `encoding/json` writes and reads it.
//!
//! Where JSON is stored under its hash (directories, lists of pieces), other bytes mean another
//! id and no deduplication, so writing must be exact:
//!
//! - [`to_go_json`] writes any `Serialize` value compactly with Go's escapes and floats,
//!   [`to_go_json_indented`] as Go's indenting encoder does. The order of keys is that of the
//!   struct; maps must be sorted (`BTreeMap`).
//! - [`time`], [`nanos`] and [`bytes`] are serde adapters (`#[serde(with = "json::time")]`) for
//!   instants, durations and byte strings; [`Raw`] is a string that may not be UTF-8.
//!
//! Reading is more lenient than serde: keys match in any case, `null` leaves a value alone, the
//! last of several equal keys counts, half surrogates become U+FFFD. [`Object`] reads this way
//! and keeps the keys that it does not know, so that a newer program's settings survive a rewrite.
//!
//! Every rule has samples in `go-json.json`.

mod adapters;
mod format;
mod object;
#[cfg(test)]
mod tests;
mod timestamp;

pub use adapters::{Raw, bytes, nanos, time};
pub(crate) use format::write_go_json;
pub use format::{GoFormatter, to_go_json, to_go_json_indented};
pub use object::{FromGo, Object, Unknown};
pub use timestamp::{ZERO_TIME, format_time, parse_time};

pub use crate::directory::{lossy_text, write_json_string};

/// Why JSON cannot be read or written. No message contains a value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or a value that JSON cannot express.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// JSON of another kind than expected.
    #[error("json: expected {expected}")]
    Type {
        /// What should have been there.
        expected: &'static str,
    },
    /// Something wrong with the value of a key.
    #[error("{key}: {source}")]
    Field {
        /// The key.
        key: &'static str,
        /// What is wrong.
        source: Box<JsonError>,
    },
    /// A time that is none, or outside the years 0 to 9999.
    #[error("json: {0:?} is not a time in RFC 3339 format")]
    Time(String),
}
