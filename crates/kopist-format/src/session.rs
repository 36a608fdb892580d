//! Write sessions: what a client writes between two flushes.
//!
//! The names of all packs and index blobs of a session end in its id. While it lasts, a marker
//! blob `s<hash>-<session>` says that its packs, which no index lists yet, are not garbage; the
//! marker is written before the first pack and deleted after the index.
//!
//! Source: `kopia:repo/content/sessions.go`.

use std::{fmt, str::FromStr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::json::{ZERO_TIME, time};

/// First letter of the names of session markers, and of session ids.
pub const SESSION_PREFIX: &str = "s";

/// 2000-01-01T00:00:00Z.
const EPOCH_START_SECONDS: i64 = 946_684_800;
const EPOCH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Identifies a session: `s`, 16 hexadecimal digits of random, and the number of 30-day months
/// since the year 2000 in hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);

/// Why a text is not a session id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a session id: it must begin with \"s\" and have no \"-\"")]
pub struct SessionIdError {
    /// The text.
    text: String,
}

impl SessionId {
    /// A new id.
    pub fn new(random: [u8; 8], now: Timestamp) -> Self {
        let since = now.as_duration() - SignedDuration::from_secs(EPOCH_START_SECONDS);
        // towards zero, as Go divides
        let month = since.as_secs() / EPOCH.as_secs();
        let sign = if month < 0 { "-" } else { "" };
        Self(format!("s{}{sign}{:x}", hex::encode(random), month.unsigned_abs()).into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        if text.starts_with(SESSION_PREFIX) && !text.contains('-') {
            Ok(Self(text.into()))
        } else {
            Err(SessionIdError { text: text.chars().take(80).collect() })
        }
    }
}

impl TryFrom<String> for SessionId {
    type Error = SessionIdError;

    fn try_from(text: String) -> Result<Self, SessionIdError> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.as_str().to_owned()
    }
}

/// The session that wrote a blob: the first part of its name, after the first `-`, that begins
/// with `s`.
pub fn session_of_blob(name: &str) -> Option<SessionId> {
    name.split('-').skip(1).find(|part| part.starts_with(SESSION_PREFIX)).map(|part| {
        SessionId(part.into()) // begins with `s` and is cut at `-`
    })
}

/// Content of a marker blob, as JSON with Go's escapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionMarker {
    /// The session.
    pub id: SessionId,
    /// When it began.
    #[serde(with = "time", default = "zero_time")]
    pub start_time: Timestamp,
    /// When it was last known to be alive: kopia writes the marker once, so the start.
    #[serde(with = "time", default = "zero_time")]
    pub checkpoint_time: Timestamp,
    /// Who writes.
    #[serde(default)]
    pub username: String,
    /// Where.
    #[serde(default)]
    pub hostname: String,
}

fn zero_time() -> Timestamp {
    ZERO_TIME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{text, vectors};

    #[test]
    fn sessions_of_blobs_are_those_of_the_vectors() {
        let vectors = vectors("epoch.json");
        let cases = vectors["sessionIDs"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            let found = session_of_blob(text(case, "blob"));
            let found = found.as_ref().map_or("", SessionId::as_str);
            assert_eq!(found, text(case, "session"), "{case}");
        }
    }

    #[test]
    fn ids_count_30_day_months() {
        let random = [0x2a, 0xc6, 0x17, 0xaf, 0x70, 0xaf, 0x06, 0x19];
        let id = |time: &str| SessionId::new(random, time.parse().unwrap()).to_string();
        assert_eq!(id("2026-11-21T00:00:00Z"), "s2ac617af70af0619147");
        assert_eq!(id("2000-01-30T23:59:59.999Z"), "s2ac617af70af06190");
        assert_eq!(id("2000-01-31T00:00:00Z"), "s2ac617af70af06191");
        assert_eq!(id("1970-01-01T00:00:00Z"), "s2ac617af70af0619-16d");
        assert_eq!(id("2026-11-21T00:00:00Z").parse::<SessionId>().unwrap().as_str().len(), 20);
        assert!("x12".parse::<SessionId>().is_err());
        assert!("s1-2".parse::<SessionId>().is_err());
    }

    #[test]
    fn markers_are_written_in_the_order_of_kopia() {
        let json = r#"{"id":"s0147","startTime":"2026-11-21T16:00:00.5Z","checkpointTime":"2026-11-21T16:00:00.5Z","username":"u","hostname":"h"}"#;
        let marker: SessionMarker = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&marker).unwrap(), json);
        let other = r#"{"id":"s0147","startTime":"2026-11-21T17:00:00.5+01:00","future":1}"#;
        let other: SessionMarker = serde_json::from_str(other).unwrap();
        assert_eq!(other.start_time, marker.start_time);
        assert!(serde_json::from_str::<SessionMarker>(r#"{"id":""}"#).is_err());
    }
}
