//! Which snapshots there are, when the wanted one is not.
//!
//! Two readers: people, who get one JSON object for each snapshot and one line for
//! each source; and the operator's parser, which sees no more than the last
//! kilobyte of the filtered log of a *failed* job. For the parser there is a block of
//! its own, printed last, that always fits.
//!
//! The parser counts lines: every object after a header is one snapshot, and so is every line with
//! a source and a time. So a snapshot may stand only once in what it sees. A failing restore
//! prints the long block before the last one only if that cannot show every snapshot as an
//! object; the long block's header is further than a kilobyte from the end, then.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

/// The line that both blocks begin with; the parser looks for it.
pub const HEADER: &str = "=== Discovery Mode: Available Snapshots ===";
/// The line that the long block ends with.
pub const FOOTER: &str = "=== End Discovery Mode ===";
/// The last block is kept below this; the operator keeps 1024 bytes.
const FINAL_BYTES: usize = 900;

/// One snapshot of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Manifest id.
    pub id: String,
    /// User of the source.
    pub user: String,
    /// Host of the source.
    pub host: String,
    /// Path of the source.
    pub path: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
}

impl Found {
    /// The object that the parser recognises; the order of the keys matters to it.
    fn json(&self) -> String {
        json!({
            "id": self.id,
            "userName": self.user,
            "hostName": self.host,
            "path": self.path,
            "startTime": self.start.to_string(),
            "endTime": self.end.to_string(),
        })
        .to_string()
    }

    fn source(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.path)
    }
}

/// Each source with the end of its newest snapshot, in the order of their names.
fn newest(snapshots: &[Found]) -> BTreeMap<String, Timestamp> {
    let mut newest = BTreeMap::new();
    for snapshot in snapshots {
        let end = newest.entry(snapshot.source()).or_insert(snapshot.end);
        *end = snapshot.end.max(*end);
    }
    newest
}

/// The long block: every snapshot, then every source.
pub fn block(snapshots: &[Found]) -> Vec<String> {
    let mut lines = vec![HEADER.to_owned()];
    if snapshots.is_empty() {
        lines.push("No snapshots found in the repository".to_owned());
    }
    lines.extend(snapshots.iter().map(Found::json));
    for (source, end) in newest(snapshots) {
        lines.push(format!("{source} - Last snapshot: {end}"));
    }
    lines.push(FOOTER.to_owned());
    lines
}

/// What a failing restore ends with: which snapshots there are, and the sentence that says what
/// failed.
///
/// `wanted` is the source that has no snapshot that fits, if that is the reason.
pub fn of_failure(snapshots: &[Found], wanted: Option<&str>, sentence: &str) -> Vec<String> {
    let last = final_block(snapshots, wanted, sentence);
    let objects = last.iter().filter(|line| line.starts_with('{')).count();
    if objects == snapshots.len() {
        return last;
    }
    let mut lines = block(snapshots);
    lines.extend(last);
    lines
}

/// The last block, which always fits.
fn final_block(snapshots: &[Found], wanted: Option<&str>, sentence: &str) -> Vec<String> {
    let mut lines = vec![HEADER.to_owned()];
    if let Some(wanted) = wanted {
        let wanted = first_bytes(wanted, FINAL_BYTES / 3);
        lines.push(format!("No snapshots found for {wanted}"));
    }
    let sentence = format!("ERROR: {}", first_bytes(sentence, FINAL_BYTES / 3));
    let fixed: usize = lines.iter().chain([&sentence]).map(|line| line.len() + 1).sum();
    let room = FINAL_BYTES.saturating_sub(fixed);
    lines.extend(listing(snapshots, room));
    // The filter drops this one, so that it takes no room.
    lines.push(FOOTER.to_owned());
    lines.push(sentence);
    lines
}

/// All objects if they fit; else a line for each snapshot, newest first; else a line for the
/// newest snapshot of each source, as many as fit.
fn listing(snapshots: &[Found], room: usize) -> Vec<String> {
    let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let objects: Vec<String> = snapshots.iter().map(Found::json).collect();
    if size(&objects) <= room {
        return objects;
    }
    let ends = snapshots.iter().map(|snapshot| (snapshot.source(), snapshot.end)).collect();
    let all = newest_first(ends);
    if size(&all) <= room {
        return all;
    }
    let mut left = room;
    newest_first(newest(snapshots).into_iter().collect())
        .into_iter()
        .take_while(|line| {
            let fits = line.len() < left;
            left = left.saturating_sub(line.len() + 1);
            fits
        })
        .collect()
}

/// Lines that the parser takes for one snapshot each.
fn newest_first(mut ends: Vec<(String, Timestamp)>) -> Vec<String> {
    ends.sort_by_key(|(_, end)| std::cmp::Reverse(*end));
    let line = |(source, end): (String, Timestamp)| {
        format!("{source} {}", end.strftime("%Y-%m-%d %H:%M:%S"))
    };
    ends.into_iter().map(line).collect()
}

fn first_bytes(text: &str, bytes: usize) -> String {
    const CUT: &str = "…";
    let line = text.lines().next().unwrap_or_default();
    if line.len() <= bytes {
        return line.to_owned();
    }
    format!("{}{CUT}", &line[..line.floor_char_boundary(bytes - CUT.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(index: u32, user: &str) -> Found {
        let start: Timestamp = "2024-01-01T10:00:00Z".parse().unwrap();
        let start = start + jiff::SignedDuration::from_mins(i64::from(index));
        Found {
            id: format!("{index:032x}"),
            user: user.to_owned(),
            host: "ns1".to_owned(),
            path: "/data".to_owned(),
            start,
            end: start + jiff::SignedDuration::from_secs(5),
        }
    }

    #[test]
    fn the_long_block() {
        let lines = block(&[found(0, "app"), found(1, "app")]);
        assert_eq!(
            lines,
            [
                HEADER,
                "{\"id\":\"00000000000000000000000000000000\",\"userName\":\"app\",\"hostName\":\"ns1\",\"path\":\"/data\",\"startTime\":\"2024-01-01T10:00:00Z\",\"endTime\":\"2024-01-01T10:00:05Z\"}",
                "{\"id\":\"00000000000000000000000000000001\",\"userName\":\"app\",\"hostName\":\"ns1\",\"path\":\"/data\",\"startTime\":\"2024-01-01T10:01:00Z\",\"endTime\":\"2024-01-01T10:01:05Z\"}",
                "app@ns1:/data - Last snapshot: 2024-01-01T10:01:05Z",
                FOOTER,
            ]
        );
        assert_eq!(block(&[])[1], "No snapshots found in the repository");
    }

    #[test]
    fn the_last_block_shows_objects_while_they_fit() {
        let lines = final_block(&[found(0, "app")], Some("x@ns1:/data"), "nothing to restore");
        assert_eq!(lines[0], HEADER);
        assert_eq!(lines[1], "No snapshots found for x@ns1:/data");
        assert!(lines[2].starts_with("{\"id\":"));
        assert_eq!(lines[3..], [FOOTER, "ERROR: nothing to restore"]);
        // Nothing stands twice.
        assert_eq!(
            of_failure(&[found(0, "app")], Some("x@ns1:/data"), "nothing to restore"),
            lines
        );
    }

    #[test]
    fn the_last_block_always_fits() {
        for count in [0, 1, 4, 20, 500] {
            let many: Vec<Found> = (0..count).map(|i| found(i, &format!("user{i}"))).collect();
            for sentence in ["short", &"long ".repeat(500), &"ä".repeat(600)] {
                let lines = final_block(&many, Some("x@y:/z"), sentence);
                let kept = lines.iter().filter(|line| *line != FOOTER);
                let size: usize = kept.map(|line| line.len() + 1).sum();
                assert!(size <= FINAL_BYTES, "{count}: {size}");
                assert!(lines.last().is_some_and(|line| line.starts_with("ERROR: ")));
                assert!(count == 0 || lines.len() > 4, "{count}: {lines:?}");
            }
        }
        let many: Vec<Found> = (0..500).map(|i| found(i, &format!("user{i}"))).collect();
        let lines = final_block(&many, None, "x");
        assert_eq!(lines[1], "user499@ns1:/data 2024-01-01 18:19:05");
        // Eight of one source are eight lines.
        let lines = final_block(&many[..8], None, "x");
        assert_eq!(lines.len(), 8 + 3, "{lines:?}");
        assert_eq!(lines[8], "user0@ns1:/data 2024-01-01 10:00:05");
    }
}
