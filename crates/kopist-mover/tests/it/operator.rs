//! What the operator makes of a log: the lines it keeps for a destination, the kilobyte it
//! stores, and the identities it parses out of that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use regex::Regex;

const KEPT_BYTES: usize = 1024;

/// The text that would stand in the status.
pub(crate) fn status(log: &str, destination: bool) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !destination || passes(line)).collect();
    let text = lines.join("\n");
    let start = text.len().saturating_sub(KEPT_BYTES);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[start..].to_owned()
}

fn passes(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["error", "failed", "unable to"].iter().any(|word| lower.contains(word))
        || [
            "=== Discovery Mode",
            "Available Snapshots",
            "No snapshots found",
            "Snapshot created successfully",
            "Snapshot restore completed",
            "Repository connected",
            "No eligible snapshots",
        ]
        .iter()
        .any(|text| line.contains(text))
        || Regex::new(r"^[^@]+@[^:]+:.+\s+\d{4}-\d{2}-\d{2}").unwrap().is_match(line)
        || (line.contains("\"userName\"") && line.contains("\"hostName\""))
}

/// What the operator reads out of the status of a failed restore.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) requested: Option<String>,
    /// Number of snapshots by identity.
    pub(crate) available: BTreeMap<String, u64>,
    /// The end of the newest snapshot by identity.
    pub(crate) latest: BTreeMap<String, Timestamp>,
    /// The sentence that it puts in front of the log.
    pub(crate) message: Option<String>,
}

impl Parsed {
    /// How many snapshots the requested identity has.
    pub(crate) fn found(&self) -> u64 {
        self.requested.as_ref().and_then(|of| self.available.get(of)).copied().unwrap_or(0)
    }

    fn count(&mut self, user: &str, host: &str, end: Timestamp) {
        let identity = format!("{user}@{host}");
        let latest = self.latest.entry(identity.clone()).or_insert(end);
        *latest = end.max(*latest);
        *self.available.entry(identity).or_default() += 1;
    }
}

pub(crate) fn parse(status: &str) -> Parsed {
    let requested = Regex::new(r"No snapshots found for ([^@]+)@([^:]+):(.+)").unwrap();
    let unable = Regex::new(r#"unable to find snapshots for source "([^"]+)""#).unwrap();
    let object = Regex::new(r#"^\{.*"id".*"userName".*"hostName".*\}"#).unwrap();
    let listing =
        Regex::new(r"^([^@]+)@([^:]+):(.+)\s+(\d{4}-\d{2}-\d{2}\s+\d{2}:\d{2}:\d{2})").unwrap();
    let mut parsed = Parsed::default();
    let mut discovering = false;
    let mut objects = Vec::new();
    for line in status.lines().map(str::trim) {
        if line.contains("=== Discovery Mode: Available Snapshots ===") {
            discovering = true;
        } else if let Some(found) = requested.captures(line) {
            parsed.requested = Some(format!("{}@{}", &found[1], &found[2]));
            parsed.message = Some(line.to_owned());
        } else if let Some(found) = unable.captures(line) {
            let identity = found[1].split(':').next().unwrap_or_default();
            parsed.message = Some(format!("No snapshots found for identity '{identity}'"));
            parsed.requested = Some(identity.to_owned());
        } else if discovering && object.is_match(line) {
            objects.push(line);
        } else if let Some(found) = listing.captures(line) {
            let end = format!("{}Z", found[4].replacen(' ', "T", 1));
            parsed.count(&found[1], &found[2], end.parse().unwrap());
        }
    }
    for line in objects {
        let snapshot: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| snapshot[key].as_str().unwrap_or_default();
        parsed.count(text("userName"), text("hostName"), text("endTime").parse().unwrap());
    }
    if let Some(identity) = &parsed.requested
        && !parsed.available.is_empty()
    {
        let names: Vec<&str> = parsed.available.keys().map(String::as_str).collect();
        parsed.message = Some(format!(
            "No snapshots found for identity '{identity}'. Available identities: {}",
            names.join(", ")
        ));
    }
    parsed
}

/// What the operator's maintenance manager means to look for in a log, by name.
pub(crate) fn figure(log: &str, name: &str) -> Option<String> {
    let figure = Regex::new(&format!(r"\b{name}: (\w+)")).unwrap();
    figure.captures(log).map(|found| found[1].to_owned())
}

/// What the operator makes of a failing restore among these snapshots, by source.
fn read_of_failure(counts: &[(&str, usize)]) -> Parsed {
    use kopist_mover::report::discovery::{Found, of_failure};
    let start: Timestamp = "2024-01-01T10:00:00.123456789Z".parse().unwrap();
    let found = |user: &str, index: usize| Found {
        id: format!("{index:032x}"),
        user: user.to_owned(),
        host: "ns1".to_owned(),
        path: "/data".to_owned(),
        start: start + std::time::Duration::from_secs(3600 * index as u64),
        end: start + std::time::Duration::from_secs(3600 * index as u64 + 5),
    };
    let all: Vec<Found> = counts
        .iter()
        .flat_map(|(user, count)| (0..*count).map(move |index| found(user, index)))
        .collect();
    let before = "INFO: Repository connected: directory /mnt/repo\nINFO: something\n".repeat(50);
    let sentence = "nothing to restore: no snapshot of nosuch@ns1:/data fits";
    let log = before + &of_failure(&all, Some("nosuch@ns1:/data"), sentence).join("\n");
    parse(&status(&log, true))
}

#[test]
fn each_snapshot_counts_once() {
    for few in 0..=20_usize {
        let counts = [("app", few), ("db", few.min(1))];
        let parsed = read_of_failure(&counts);
        assert_eq!(parsed.requested.as_deref(), Some("nosuch@ns1"), "{few}");
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        let expected = counts.map(|(user, count)| (format!("{user}@ns1"), *count as u64));
        assert_eq!(parsed.available, expected.collect(), "{few}");
        let last = "2024-01-01T10:00:05Z".parse::<Timestamp>().unwrap()
            + jiff::SignedDuration::from_hours(few as i64 - 1);
        let latest = parsed.latest.get("app@ns1").map(|end| end.as_second());
        assert_eq!(latest, (few > 0).then(|| last.as_second()), "{few}");
        assert_eq!(parsed.found(), 0, "{few}");
        let names = if few == 0 { "/data" } else { "Available identities: app@ns1, db@ns1" };
        assert!(parsed.message.is_some_and(|message| message.ends_with(names)), "{few}");
    }
}

#[test]
fn where_not_all_fit_each_identity_is_there() {
    let parsed = read_of_failure(&[("app", 100), ("db", 3)]);
    assert_eq!(parsed.requested.as_deref(), Some("nosuch@ns1"));
    let expected = [("app@ns1".to_owned(), 1), ("db@ns1".to_owned(), 1)];
    assert_eq!(parsed.available, expected.into_iter().collect());

    // As many as fit.
    let names: Vec<String> = (0..100).map(|index| format!("app{index}")).collect();
    let counts: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let parsed = read_of_failure(&counts);
    assert_eq!(parsed.requested.as_deref(), Some("nosuch@ns1"));
    assert!(parsed.available.len() > 10, "{parsed:?}");
    assert!(parsed.available.values().all(|count| *count == 1), "{parsed:?}");
}
