//! `blob list`

use std::ops::ControlFlow;

use jiff::Timestamp;
use kopist_blob::{BlobMeta, BlobStore as _};
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    grammar::Matches,
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::text("prefix", "Only ids with this prefix."),
    Flag::text("exclude-prefix", "Leave out blobs with this prefix.").repeated(),
    Flag::int64("min-size", "Smallest size in bytes."),
    Flag::int64("max-size", "Largest size in bytes."),
    Flag::switch("data-only", "Leave out index, log and format blobs."),
];

/// `blob list`
pub(super) static COMMAND: Command =
    Command::new("list", "List blobs.").aliases(&["ls"]).flags(&[FLAGS, shared::JSON]).run(run);

/// A blob as kopia prints it.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    length: u64,
    #[serde(with = "kopist_format::json::time")]
    timestamp: Timestamp,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        let mut list = output.list(&app.console)?;
        let prefix = matches.text("prefix").unwrap_or_default();
        let mut blobs = Vec::new();
        session.repo.store().list(&prefix, &mut |blob| {
            if is_wanted(matches, &blob) {
                blobs.push(blob);
            }
            ControlFlow::Continue(())
        })?;
        blobs.sort_by(|a, b| a.id.cmp(&b.id));
        for blob in &blobs {
            let (id, length, timestamp) = (blob.id.as_str(), blob.length, blob.timestamp);
            if output.json {
                list.item(&Listed { id, length, timestamp })?;
            } else {
                let time = app.time(timestamp);
                app.console.line(format!("{id:<70} {length:>10} {time}"))?;
            }
        }
        Ok(())
    })
}

/// Prefixes that `--data-only` leaves out. kopia means index, log and format blobs by it, but
/// session markers remain.
const NOT_DATA: [&str; 4] = ["n", "x", "_log_", "kopia."];

fn is_wanted(matches: &Matches, blob: &BlobMeta) -> bool {
    let id = blob.id.as_str();
    let limit =
        |flag: &str| matches.int(flag).and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0);
    let is_data = !NOT_DATA.iter().any(|prefix| id.starts_with(prefix));
    (is_data || !matches.flag("data-only"))
        && limit("max-size").is_none_or(|max| blob.length <= max)
        && limit("min-size").is_none_or(|min| blob.length >= min)
        && !matches.texts("exclude-prefix").iter().any(|prefix| id.starts_with(prefix.as_str()))
}
