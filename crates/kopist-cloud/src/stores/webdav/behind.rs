use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::site::{Meaning, Refusal};

/// How long what was said counts: a failed call is repeated within seconds.
const FRESH: Duration = Duration::from_mins(1);

/// The trouble that a server has with what lies behind it, as its log tells it: WebDAV has one
/// status for all of that.
///
/// Only the kind of trouble is kept. The lines come from anywhere and may hold anything.
#[derive(Debug, Default)]
pub(in crate::stores) struct Behind {
    heard: Mutex<Option<(Meaning, Instant)>>,
}

impl Behind {
    /// Takes notice of a line of the log.
    #[cfg(feature = "rclone")]
    pub(in crate::stores) fn hear(&self, line: &str) {
        if let Some(meaning) = meaning(line) {
            *self.heard.lock() = Some((meaning, Instant::now()));
        }
    }

    /// What trouble there is: the kind that was told, if any was just now, or else one that may
    /// pass. `where_to_look` names settings.
    pub(super) fn trouble(&self, where_to_look: &str) -> Refusal {
        let heard = *self.heard.lock();
        let meaning = heard.filter(|(_, when)| when.elapsed() < FRESH).map(|(meaning, _)| meaning);
        let text = match meaning {
            Some(Meaning::Full) => "rclone says that its remote takes no more, as by a quota",
            Some(Meaning::Clock) => "rclone says that its remote goes by another time",
            _ => "rclone has trouble with its remote",
        };
        Refusal {
            meaning: meaning.unwrap_or(Meaning::Passing),
            text: format!("{text}; check {where_to_look}"),
            wait_seconds: 0,
        }
    }
}

/// What a line of a log says of trouble that does not pass. The words are those of the services
/// behind rclone.
#[cfg_attr(not(feature = "rclone"), allow(dead_code))]
fn meaning(line: &str) -> Option<Meaning> {
    let line = line.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if !line.contains("error") || says(&["ratelimit", "rate limit", "per minute", "per user"]) {
        return None;
    }
    let full = [
        "quotaexceeded",
        "quota exceeded",
        "disk quota",
        "no space left",
        "storage_cap_exceeded",
        "insufficient storage",
        "insufficientstorage",
        "insufficient_space",
        "overquota",
        "over quota",
    ];
    let clock = ["requesttimetooskewed", "clock skew", "date header too old"];
    if says(&full) {
        Some(Meaning::Full)
    } else if says(&clock) {
        Some(Meaning::Clock)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_by_its_words() {
        for (line, expected) in [
            (
                "ERROR : f: Failed to copy: QuotaExceeded: Bucket quota exceeded",
                Some(Meaning::Full),
            ),
            ("ERROR : f: write /r/f: no space left on device", Some(Meaning::Full)),
            ("ERROR : f: googleapi: Error 403: storageQuotaExceeded", Some(Meaning::Full)),
            (
                "ERROR : /: Dir.Stat error: RequestTimeTooSkewed: the difference",
                Some(Meaning::Clock),
            ),
            ("ERROR : Quota exceeded for 'Queries per minute', rateLimitExceeded", None),
            ("ERROR : f: connection reset by peer", None),
            ("INFO  : /no space left/f: PUT from 127.0.0.1", None),
        ] {
            assert_eq!(meaning(line), expected, "{line}");
        }
    }
}
