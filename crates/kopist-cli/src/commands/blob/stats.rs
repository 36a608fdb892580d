//! `blob stats`

use std::ops::ControlFlow;

use kopist_blob::BlobStore as _;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::histogram::{Histogram, bytes},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("raw", "Print plain numbers.").short('r'),
    Flag::text("prefix", "Only ids with this prefix."),
];

/// `blob stats`
pub(super) static COMMAND: Command =
    Command::new("stats", "Count blobs and their sizes.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let raw = matches.flag("raw");
        let prefix = matches.text("prefix").unwrap_or_default();
        let (mut count, mut total, mut histogram) = (0_u64, 0_u64, Histogram::default());
        session.repo.store().list(&prefix, &mut |blob| {
            count += 1;
            total += blob.length;
            histogram.add(blob.length);
            ControlFlow::Continue(())
        })?;
        app.console.line(format!("Count: {count}"))?;
        app.console.line(format!("Total: {}", bytes(app, raw, total)))?;
        let Some(average) = total.checked_div(count) else { return Ok(()) };
        app.console.line(format!("Average: {}", bytes(app, raw, average)))?;
        histogram.print(app, raw)
    })
}
