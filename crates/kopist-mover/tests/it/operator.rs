//! What the operator makes of a log: the lines it keeps for a destination, the kilobyte it
//! stores, and the identities it parses out of that.

use std::collections::BTreeMap;

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

/// What the operator reads out of a status.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) requested: Option<String>,
    /// Number of snapshots by identity.
    pub(crate) available: BTreeMap<String, u64>,
}

pub(crate) fn parse(status: &str) -> Parsed {
    let requested = Regex::new(r"No snapshots found for ([^@]+)@([^:]+):(.+)").unwrap();
    let object = Regex::new(r#"^\{.*"id".*"userName".*"hostName".*\}"#).unwrap();
    let listing =
        Regex::new(r"^([^@]+)@([^:]+):(.+)\s+(\d{4}-\d{2}-\d{2}\s+\d{2}:\d{2}:\d{2})").unwrap();
    let mut parsed = Parsed::default();
    let mut discovering = false;
    for line in status.lines().map(str::trim) {
        if line.contains("=== Discovery Mode: Available Snapshots ===") {
            discovering = true;
        } else if let Some(found) = requested.captures(line) {
            parsed.requested = Some(format!("{}@{}", &found[1], &found[2]));
        } else if discovering && object.is_match(line) {
            let snapshot: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| snapshot[key].as_str().unwrap_or_default().to_owned();
            let identity = format!("{}@{}", text("userName"), text("hostName"));
            *parsed.available.entry(identity).or_default() += 1;
        } else if let Some(found) = listing.captures(line) {
            *parsed.available.entry(format!("{}@{}", &found[1], &found[2])).or_default() += 1;
        }
    }
    parsed
}

#[test]
fn the_last_block_of_a_restore_is_understood() {
    use kopist_mover::report::discovery::{Found, final_block};
    let found = |index: usize, user: &str| Found {
        id: format!("{index:032x}"),
        user: user.to_owned(),
        host: "ns1".to_owned(),
        path: "/data".to_owned(),
        start: "2024-01-01T10:00:00Z".parse().unwrap(),
        end: "2024-01-01T10:00:05Z".parse().unwrap(),
    };
    let noise = "INFO: something\n".repeat(200);
    let few = [found(1, "app"), found(2, "app"), found(3, "db")];
    let log = noise.clone() + &final_block(&few, Some("nosuch@ns1:/data"), "sorry").join("\n");
    let parsed = parse(&status(&log, true));
    assert_eq!(parsed.requested.as_deref(), Some("nosuch@ns1"));
    let expected = [("app@ns1".to_owned(), 2), ("db@ns1".to_owned(), 1)];
    assert_eq!(parsed.available, expected.into_iter().collect());

    // Too many for objects: one line for each source, as many as fit.
    let many: Vec<Found> = (0..100).map(|i| found(i, &format!("app{i}"))).collect();
    let log = noise + &final_block(&many, Some("nosuch@ns1:/data"), "sorry").join("\n");
    let parsed = parse(&status(&log, true));
    assert_eq!(parsed.requested.as_deref(), Some("nosuch@ns1"));
    assert!(parsed.available.len() > 10, "{parsed:?}");
}
