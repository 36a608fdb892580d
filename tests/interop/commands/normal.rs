//! What is new in a text gets a name of its own, so that two texts can be compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Replaces the times of this test and the IDs that were drawn in it.
#[derive(Clone, Debug)]
pub(super) struct Normal {
    /// Times from here on are those of the test.
    since: Timestamp,
    /// What is replaced, with its name.
    names: BTreeMap<String, String>,
    /// The manifests that were seen so far.
    manifests: Option<BTreeSet<String>>,
    /// The newest manifest of each type.
    newest: BTreeMap<String, String>,
}

impl Normal {
    pub(super) fn new(since: Timestamp) -> Self {
        Self { since, names: BTreeMap::new(), manifests: None, newest: BTreeMap::new() }
    }

    pub(super) fn name(&mut self, what: impl Into<String>, name: impl Into<String>) {
        self.names.insert(what.into(), name.into());
    }

    /// Gives names to manifests that were not there before, in the order given. Those of the
    /// first call are known by their IDs.
    pub(super) fn see_manifests<'a>(&mut self, found: impl Iterator<Item = (&'a str, String)>) {
        let is_first = self.manifests.is_none();
        for (id, kind) in found {
            let is_new = self.manifests.get_or_insert_default().insert(id.to_owned());
            if is_new && !is_first {
                let number = self.names.values().filter(|name| name.starts_with("NEW")).count();
                self.name(id, format!("NEW-{kind}-{number}"));
                self.newest.insert(kind, id.to_owned());
            }
        }
    }

    /// The newest manifest of a type.
    pub(super) fn newest(&self, kind: &str) -> Option<&str> {
        self.newest.get(kind).map(String::as_str)
    }

    /// The text with names in the place of what they stand for, and `NOW` in that of new times.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Directories before their parents.
        for (what, name) in self.names.iter().rev() {
            if text.contains(what) {
                text = text.replace(what, name);
            }
        }
        self.without_times(&text)
    }

    fn without_times(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            result.push_str(before);
            let (word, after) = match time_at(from) {
                Some((length, time)) if time >= self.since => ("NOW", &from[length..]),
                _ => {
                    let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
                    from.split_at(end)
                }
            };
            result.push_str(word);
            rest = after;
        }
        result + rest
    }
}

/// The time that a text begins with, and its length: `2026-01-02T03:04:05.678Z`, or with a blank
/// and the zone `UTC`.
fn time_at(text: &str) -> Option<(usize, Timestamp)> {
    const SECONDS: usize = "2026-01-02T03:04:05".len();
    let date_time = text.get(..SECONDS)?;
    let is_shaped = date_time.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'T' || byte == b' ',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let mut length = SECONDS;
    if text[length..].starts_with('.') {
        let digits = text[length + 1..].bytes().take_while(u8::is_ascii_digit).count();
        length += 1 + digits;
    }
    let zone = ["Z", " UTC"].into_iter().find(|zone| text[length..].starts_with(zone))?;
    let time = format!("{}Z", text[..length].replacen(' ', "T", 1)).parse().ok()?;
    is_shaped.then_some((length + zone.len(), time))
}

#[test]
fn new_times_and_ids_have_names() {
    let mut normal = Normal::new("2026-05-01T00:00:00Z".parse().unwrap());
    normal.name("/tmp/x", "FOLDER");
    normal.name("abc123", "ID");
    let text =
        "/tmp/x/a abc123 at 2026-05-01T00:00:01.5Z, 2026-05-01 00:00:01 UTC, not 2026-04-30T";
    assert_eq!(normal.text(text), "FOLDER/a ID at NOW, NOW, not 2026-04-30T");
    assert_eq!(normal.text("2026-04-30T23:59:59Z 12 7"), "2026-04-30T23:59:59Z 12 7");
}
