//! `index list`

use std::collections::HashSet;

use jiff::Timestamp;
use kopist_blob::{BlobMeta, list_prefixes};
use kopist_repo::Repository;
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("summary", "Print a summary."),
    Flag::switch("superseded", "Include superseded index blobs."),
    Flag::one_of("sort", &["time", "size", "name"], "Order of the list.").default("time"),
];

/// `index list`
pub(super) static COMMAND: Command = Command::new("list", "List index blobs.")
    .aliases(&["ls"])
    .flags(&[FLAGS, shared::JSON])
    .run(run);

/// An index blob as kopia prints it. What superseded it is never known.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    length: u64,
    #[serde(with = "kopist_format::json::time")]
    timestamp: Timestamp,
    #[serde(rename = "Superseded")]
    superseded: (),
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        let mut list = output.list(&app.console)?;
        let mut blobs = index_blobs(&session.repo, matches.flag("superseded"))
            .context("error listing index blobs")?;
        match matches.text("sort").as_deref() {
            Some("size") => blobs.sort_by_key(|blob| blob.length),
            Some("name") => blobs.sort_by(|a, b| a.id.cmp(&b.id)),
            _ => blobs.sort_by_key(|blob| blob.timestamp),
        }
        for blob in &blobs {
            let (id, length, timestamp) = (blob.id.as_str(), blob.length, blob.timestamp);
            if output.json {
                list.item(&Listed { id, length, timestamp, superseded: () })?;
            } else {
                let time = app.globals.zone.show_precise(timestamp);
                app.console.line(format!("{id:<60} {length:>10} {time} []"))?;
            }
        }
        if matches.flag("summary") && !output.json {
            app.console.line(format!("total {} indexes", blobs.len()))?;
        }
        Ok(())
    })
}

/// The index blobs that count, or all.
pub(super) fn index_blobs(repo: &Repository, all: bool) -> Result<Vec<BlobMeta>, CommandError> {
    let mut blobs = list_prefixes(repo.store().as_ref(), &["n", "xn", "xs", "xr"], 4)?;
    if !all {
        let (active, _) = repo.active_index_blobs()?;
        let active: HashSet<_> = active.into_iter().collect();
        blobs.retain(|blob| active.contains(&blob.id));
    }
    blobs.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(blobs)
}
