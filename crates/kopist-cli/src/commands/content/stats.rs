//! `content stats`

use std::collections::BTreeMap;

use kopist_format::compression::Compressor;

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{
        histogram::{Histogram, bytes, saved},
        ids::{content_range, visit_contents},
    },
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[Flag::switch("raw", "Print plain numbers.").short('r')];

/// `content stats`
pub(super) static COMMAND: Command = Command::new("stats", "Count contents and their sizes.")
    .flags(&[FLAGS, shared::ID_RANGE])
    .run(run);

#[derive(Clone, Copy, Default)]
struct Totals {
    count: u64,
    original: u64,
    packed: u64,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let raw = matches.flag("raw");
        let mut all = Totals::default();
        let mut by_method: BTreeMap<u32, Totals> = BTreeMap::new();
        let mut histogram = Histogram::default();
        visit_contents(&session.repo, &content_range(matches)?, |entry| {
            if entry.deleted {
                return Ok(());
            }
            let method = by_method.entry(entry.compression).or_default();
            for totals in [&mut all, method] {
                totals.count += 1;
                totals.original += u64::from(entry.original_length);
                totals.packed += u64::from(entry.packed_length);
            }
            histogram.add(entry.packed_length.into());
            Ok(())
        })?;
        let show = |size| bytes(app, raw, size);
        app.console.line(format!("Count: {}", all.count))?;
        app.console.line(format!("Total Bytes: {}", show(all.original)))?;
        if all.packed < all.original {
            let (packed, part) = (show(all.packed), saved(all.original, all.packed));
            app.console.line(format!("Total Packed: {packed} (compression {part})"))?;
        }
        if by_method.len() > 1 {
            print_methods(app, raw, &by_method)?;
        }
        let Some(average) = all.original.checked_div(all.count) else { return Ok(()) };
        app.console.line(format!("Average: {}", show(average)))?;
        histogram.print(app, raw)
    })
}

fn print_methods(app: &App, raw: bool, by_method: &BTreeMap<u32, Totals>) -> Outcome {
    let show = |size| bytes(app, raw, size);
    app.console.line("By Method:")?;
    for (header, Totals { count, original, packed }) in by_method {
        let size = show(*original);
        if *header == 0 {
            app.console.line(format!("  {:<22} count: {count} size: {size}", "(uncompressed)"))?;
        } else if let Ok(method) = Compressor::by_header(*header) {
            app.console.line(format!(
                "  {:<22} count: {count} size: {size} packed: {} compression: {}",
                method.name(),
                show(*packed),
                saved(*original, *packed)
            ))?;
        }
    }
    Ok(())
}
