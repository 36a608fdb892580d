//! The logs that lie in a repository, and which of them a command means.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobMeta, list_all};
use kopist_repo::Repository;

use crate::{
    app::App,
    error::{CommandError, Context as _},
    grammar::Matches,
};

/// The log of one run of a program, in the order of its blobs.
#[derive(Debug)]
pub(super) struct LogSession {
    pub(super) id: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) segments: Vec<BlobMeta>,
}

impl LogSession {
    /// Bytes of all blobs.
    pub(super) fn size(&self) -> u64 {
        self.segments.iter().map(|blob| blob.length).sum()
    }

    fn stored(&self) -> Timestamp {
        self.segments.first().map_or(Timestamp::MIN, |blob| blob.timestamp)
    }
}

/// All logs, the oldest first. Blobs with strange names are told and left out.
pub(super) fn log_sessions(app: &App, repo: &Repository) -> Result<Vec<LogSession>, CommandError> {
    let mut sessions: BTreeMap<String, LogSession> = BTreeMap::new();
    for blob in list_all(repo.store().as_ref(), "_log_").context("error listing logs")? {
        let Some((id, start, end)) = parse(blob.id.as_str()) else {
            app.error(format!("skipping unrecognized log: {}", blob.id));
            continue;
        };
        let session = sessions.entry(id.clone()).or_insert_with(|| LogSession {
            id,
            start,
            end,
            segments: Vec::new(),
        });
        session.start = session.start.min(start);
        session.end = session.end.max(end);
        session.segments.push(blob);
    }
    let mut sessions: Vec<LogSession> = sessions.into_values().collect();
    for session in &mut sessions {
        session.segments.sort_by_key(|blob| blob.timestamp);
    }
    sessions.sort_by_key(LogSession::stored);
    Ok(sessions)
}

/// `_log_<local time>_<4 hex>_<start>_<end>_<number>_<hash>`: id, start and end.
fn parse(name: &str) -> Option<(String, Timestamp, Timestamp)> {
    let parts: Vec<&str> = name.split('_').collect();
    let ["", "log", time, unique, start, end, _number, _hash, ..] = parts.as_slice() else {
        return None;
    };
    let second = |text: &str| Timestamp::from_second(text.parse().ok()?).ok();
    Some((format!("{time}_{unique}"), second(start)?, second(end)?))
}

/// Whether the flags choose among the logs at all.
pub(super) fn chooses(matches: &Matches) -> bool {
    matches.flag("all")
        || matches.int("latest").is_some_and(|count| count > 0)
        || ["younger-than", "older-than"]
            .iter()
            .any(|flag| matches.duration(flag).is_some_and(|age| age > 0))
}

/// The logs that the flags choose.
pub(super) fn choose(
    matches: &Matches,
    now: Timestamp,
    mut sessions: Vec<LogSession>,
) -> Vec<LogSession> {
    if matches.flag("all") {
        return sessions;
    }
    let age =
        |flag: &str| matches.duration(flag).filter(|age| *age > 0).map(SignedDuration::from_nanos);
    if let Some(limit) = age("younger-than") {
        sessions.retain(|session| now.duration_since(session.start) < limit);
    }
    if let Some(limit) = age("older-than") {
        sessions.retain(|session| now.duration_since(session.start) > limit);
    }
    if let Some(count) = matches.count("latest").filter(|count| *count > 0) {
        let first = sessions.len().saturating_sub(count);
        sessions.drain(..first);
    }
    sessions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whose_log_it_is() {
        let parsed = parse("_log_20261121192233_e812_1795288953_1795288954_1_e9d0");
        let (id, start, end) = parsed.unwrap_or_default();
        assert_eq!(id, "20261121192233_e812");
        assert_eq!((start.as_second(), end.as_second()), (1_795_288_953, 1_795_288_954));
        for name in ["_log_1_2", "_log_a_b_x_2_1_h", "_other_a_b_1_2_1_h", "p12"] {
            assert!(parse(name).is_none(), "{name}");
        }
    }
}
