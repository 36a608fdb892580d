//! `snapshot verify`

use std::sync::atomic::{AtomicI64, Ordering};

use kopist_blob::list_all;
use kopist_format::{directory::DirEntry, snapshot::SnapshotManifest};
use kopist_repo::{ManifestView, Repository};
use kopist_snapshot::{
    SourceInfo, browse,
    store::{all_snapshots, load_snapshot, snapshots_of},
    verify::{Damage, VerifyOptions, VerifyProgress, VerifyStats, verify},
    walk::Root,
};
use parking_lot::Mutex;
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome, now},
    commands::sources::source,
    error::{CommandError, Context as _, full_message},
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::int("max-errors", "Number of errors after which verification stops.").default("0"),
    Flag::text("directory-id", "Directory objects to verify.").repeated(),
    Flag::text("file-id", "File objects to verify.").repeated(),
    Flag::switch("all-sources", "Accepted, without effect.")
        .moot("all sources are the default")
        .hidden(),
    Flag::text("sources", "Sources to include.").repeated(),
    Flag::int("parallel", "Number of parallel operations.").default("8"),
    Flag::int("file-queue-length", "Length of the queue of files.")
        .moot("the queue is as long as there are threads")
        .default("20000"),
    Flag::int("file-parallelism", "Number of files to verify in parallel."),
    Flag::float("verify-files-percent", "Percentage of files to read in full.").default("0"),
];

/// `snapshot verify`
pub(super) static COMMAND: Command = Command::new("verify", "Verify that snapshots can be read.")
    .flags(&[FLAGS, shared::JSON])
    .args(&[Arg::text("snapshot-ids", "").repeated()])
    .run(run);

/// The result as kopia prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    stats: Stats,
    error_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error_strings: Vec<String>,
}

/// What was verified, and what the summaries of the roots say there is.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    processed_object_count: u64,
    processed_bytes: u64,
    read_file_count: u64,
    read_bytes: u64,
    expected_total_object_count: u64,
    expected_total_file_count: u64,
    expected_total_bytes: u64,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        app.info("Listing blobs...");
        let blobs =
            list_all(session.repo.store().as_ref(), "").context("unable to read blob map")?;
        app.info(format!("Listed {} blobs.", blobs.len()));
        drop(blobs);
        // What is named wrongly is reported like damage, after everything else was verified.
        let mut roots = Vec::new();
        let unknown = add_roots(app, matches, &session.repo, &mut roots).err();
        let options = VerifyOptions {
            parallel: matches.count("file-parallelism").unwrap_or_else(processors),
            files_percent: matches.float("verify-files-percent").unwrap_or(0.0),
            // None given means the first one; a negative number means all.
            max_errors: match matches.int("max-errors").unwrap_or(0) {
                0 => Some(1),
                most => u64::try_from(most).ok(),
            },
            ..VerifyOptions::default()
        };
        let observer = Observer {
            app,
            output,
            expected: expected(&roots),
            errors: Mutex::default(),
            last: AtomicI64::new(now().as_millisecond()),
        };
        let mut stats = verify(&session.repo, &roots, &options, &observer)?;
        if let Some(error) = unknown {
            stats.errors += 1;
            observer.report("tree walker enqueue", error.to_string());
        }
        let errors = observer.errors.lock().clone();
        if output.json {
            // Without a limit kopia tells the first one only.
            let told = options.max_errors.and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
            let report = Report {
                stats: observer.stats(&stats),
                error_count: stats.errors,
                error_strings: errors.iter().take(told).cloned().collect(),
            };
            app.console.line(output.text_behind(&report, "  ")?)?;
        } else {
            app.info(format!("Finished processing {}", observer.text(&stats)));
        }
        match errors.as_slice() {
            [] => Ok(()),
            [error] => Err(CommandError::new(error)),
            errors => Err(CommandError::new(format!("encountered {} errors", errors.len()))),
        }
    })
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What is to be verified: everything, if nothing is named. What comes before an error counts.
fn add_roots(app: &App, matches: &Matches, repo: &Repository, roots: &mut Vec<Root>) -> Outcome {
    let view = repo.manifests()?;
    let ids = matches.texts("snapshot-ids");
    let sources = matches.texts("sources");
    let objects = [matches.texts("directory-id"), matches.texts("file-id")].concat();
    let mut manifests = Vec::new();
    if ids.is_empty() && sources.is_empty() && objects.is_empty() {
        manifests = all_snapshots(&view, &std::collections::BTreeMap::new());
    }
    for text in &sources {
        let source = source(repo, text).context(format!("error parsing {text:?}"))?;
        manifests.extend(snapshots_of(&view, &source));
    }
    manifests.extend(by_ids(&view, &ids)?);
    for manifest in manifests {
        let source = SourceInfo::from(&manifest.source);
        let label = format!("{source}@{}", app.time(manifest.start_time.to_timestamp()));
        if let Some(entry) = manifest.root_entry {
            roots.push(Root { label, entry });
        }
    }
    for text in objects {
        let entry = browse::resolve(repo, &view, &text, false);
        let entry = entry.context(format!("unable to parse {text:?}"))?.entry;
        roots.push(Root { label: text, entry });
    }
    Ok(())
}

fn by_ids(view: &ManifestView, ids: &[String]) -> Result<Vec<SnapshotManifest>, CommandError> {
    let found: Vec<_> = ids.iter().filter_map(|id| load_snapshot(view, id).ok()).collect();
    if found.len() != ids.len() {
        return Err(CommandError::new(format!(
            "found {} of the {} requested snapshot IDs to verify",
            found.len(),
            ids.len()
        )));
    }
    Ok(found)
}

/// The sum of the summaries of the roots.
fn expected(roots: &[Root]) -> Stats {
    let mut stats = Stats::default();
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    let summaries = roots.iter().map(|root: &Root| -> &DirEntry { &root.entry });
    for summary in summaries.filter_map(|entry| entry.summary.as_ref()) {
        let (files, dirs, links) = (summary.files, summary.dirs, summary.symlinks);
        stats.expected_total_object_count += positive(files) + positive(dirs) + positive(links);
        stats.expected_total_file_count += positive(files);
        stats.expected_total_bytes += positive(summary.size);
    }
    stats
}

/// Reports damage as it is found, and progress once a second.
struct Observer<'a> {
    app: &'a App,
    output: JsonOutput,
    expected: Stats,
    errors: Mutex<Vec<String>>,
    last: AtomicI64,
}

impl Observer<'_> {
    fn stats(&self, done: &VerifyStats) -> Stats {
        Stats {
            processed_object_count: done.objects,
            processed_bytes: done.bytes,
            read_file_count: done.read_files,
            read_bytes: done.read_bytes,
            ..self.expected
        }
    }

    fn report(&self, path: &str, error: String) {
        self.app.error(format!("error processing {path}: {error}"));
        self.errors.lock().push(error);
    }

    fn text(&self, done: &VerifyStats) -> String {
        format!(
            "{} objects ({}). Read {} files ({}).",
            done.objects,
            self.app.size(done.bytes),
            done.read_files,
            self.app.size(done.read_bytes)
        )
    }
}

impl VerifyProgress for Observer<'_> {
    fn progress(&self, stats: &VerifyStats) {
        let now = now().as_millisecond();
        let last = self.last.load(Ordering::Relaxed);
        let passes = now - last >= 1000
            && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !passes {
            return;
        }
        if self.output.json {
            if let Ok(text) = self.output.text(&self.stats(stats)) {
                self.app.info(text);
            }
        } else {
            self.app.info(format!("Processed {}", self.text(stats)));
        }
    }

    fn damaged(&self, damage: Damage) {
        self.report(&damage.path, full_message(&damage.error));
    }
}
