//! `snapshot estimate`

use kopist_snapshot::{
    SourceInfo,
    estimate::{CLASSES, EstimateEvent, Files, estimate},
    fs::Kind,
    store::load_policies,
    upload::Cancel,
};

use crate::commands::snapshot::create::local_tree;
use crate::grammar::{Arg, Command, Flag, Matches};
use crate::{
    app::{App, Outcome},
    env::absolute,
    error::{CommandError, Context as _},
    output::duration,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("show-files", "Show the files."),
    Flag::switch("quiet", "Print no progress.").short('q'),
    Flag::float("upload-speed", "Upload speed in Mbit/s.").default("10"),
    Flag::int("max-examples-per-bucket", "Number of examples for each size class.").default("10"),
];

/// `snapshot estimate`
pub(super) static COMMAND: Command =
    Command::new("estimate", "Estimate the size of a snapshot and the time it takes.")
        .flags(&[FLAGS])
        .args(&[Arg::existing_path("source", "Source").required()])
        .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let given = matches.os("source").unwrap_or_default();
        let path = absolute(given.as_ref())
            .context(format!("invalid path: '{}'", given.to_string_lossy()))?;
        let identity = session.repo.identity();
        let source =
            SourceInfo::new(&identity.username, &identity.hostname, path.to_string_lossy());
        let tree = local_tree(app, &path)?;
        if tree.metadata.kind != Kind::Directory {
            let path = path.display();
            return Err(CommandError::new(format!("invalid path: '{path}': must be a directory")));
        }
        let policies = load_policies(&session.repo.manifests()?)?.tree_with(&source, None);
        let quiet = matches.flag("quiet");
        let examples = matches.count("max-examples-per-bucket").unwrap_or(0);
        let found =
            estimate(&tree, &policies, examples, &Cancel::default(), &mut |event| match event {
                EstimateEvent::Entered { path } if !quiet => {
                    app.info(format!("Analyzing {path}..."));
                }
                EstimateEvent::Entered { .. } => {}
                EstimateEvent::Failed { path, error, ignored: true } => {
                    app.error(format!("Ignored error in {path}: {error}"));
                }
                EstimateEvent::Failed { path, error, .. } => {
                    app.error(format!("Error in {path}: {error}"));
                }
            });

        let Files { count, bytes, .. } = found.included;
        let total = app.size(bytes);
        app.console.line(format!("Snapshot includes {count} file(s), total size {total}"))?;
        show(app, &found.included, matches.flag("show-files"))?;
        app.console.line("")?;
        let Files { count, bytes, .. } = found.excluded;
        if count > 0 {
            let total = app.size(bytes);
            app.console.line(format!("Snapshot excludes {count} file(s), total size {total}"))?;
            show(app, &found.excluded, true)?;
        } else {
            app.console.line("Snapshot excludes no files.")?;
        }
        let count = found.excluded_directories;
        if count > 0 {
            app.console.line(format!("Snapshot excludes {count} directories. Examples:"))?;
            for path in &found.excluded_examples {
                app.console.line(format!(" - {path}"))?;
            }
        } else {
            app.console.line("Snapshot excludes no directories.")?;
        }
        if found.errors > 0 {
            app.console.line(format!("Encountered {} error(s).", found.errors))?;
        }
        let speed = matches.float("upload-speed").unwrap_or(10.0);
        let seconds = found.included.bytes as f64 * 8.0 / 1e6 / speed;
        // A speed of zero takes forever, which is as long as a number can say.
        let time = duration((seconds as i64).saturating_mul(1_000_000_000));
        app.console.line("")?;
        app.console.line(format!("Estimated upload time: {time} at {speed} Mbit/s"))?;
        Ok(())
    })
}

/// The classes that have files.
fn show(app: &App, files: &Files, with_examples: bool) -> Outcome {
    let mut above = None;
    for (class, least) in files.classes.iter().zip(CLASSES) {
        let size = app.size(least);
        let range = match above.replace(size.clone()) {
            None => format!("< {size:<6}"),
            Some(above) => format!("{size:<6}...{above:>6}"),
        };
        if class.count == 0 {
            continue;
        }
        let (count, total) = (class.count, app.size(class.bytes));
        app.console.line(format!("{range:>18}: {count:>7} files, total size {total}"))?;
        if with_examples {
            for (path, size) in &class.examples {
                app.console.line(format!(" - {path} - {}", app.size(*size)))?;
            }
        }
    }
    Ok(())
}
