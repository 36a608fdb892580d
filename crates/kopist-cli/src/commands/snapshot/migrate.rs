//! `snapshot migrate`

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopist_repo::{LocalConfig, Repository, RepositoryWriter};
use kopist_snapshot::{
    SourceInfo,
    migrate::{Migration, PolicyStep, Step},
    store::{load_policies, sources},
};

use crate::grammar::{Command, Flag, Matches, go_quote};
use crate::{
    app::{App, Outcome},
    commands::{snapshot::create::cancel_on_signals, sources::source},
    error::{CommandError, Context as _},
    progress::UploadLine,
    session::{self, Session},
};

const FLAGS: &[Flag] = &[
    Flag::existing_path("source-config", "Configuration file of the repository to migrate from.")
        .required(),
    Flag::text("sources", "Sources to include.").repeated(),
    Flag::switch("all", "Include everything."),
    Flag::switch("policies", "Migrate policies too.").default("true"),
    Flag::switch("overwrite-policies", "Overwrite existing policies."),
    Flag::switch("latest-only", "Only the latest snapshot of each source."),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("apply-ignore-rules", "Apply the current ignore rules."),
];

/// `snapshot migrate`
pub(super) static COMMAND: Command =
    Command::new("migrate", "Copy snapshots from another repository.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |_, writer| {
        let from = open_source(app, matches).context("can't open source repository")?;
        let sources = chosen(matches, &from).context("can't retrieve sources")?;
        let uploaded = || writer.stats().pack_bytes;
        let line = UploadLine::new(app, &uploaded);
        let migration = Migration {
            from: &from,
            writer,
            apply_ignore_rules: matches.flag("apply-ignore-rules"),
            latest_only: matches.flag("latest-only"),
            cancel: cancel_on_signals()?,
            progress: &line,
        };
        let mut failed = 0;
        if matches.flag("policies") {
            failed += policies(app, matches, &migration, &sources)
                .context("unable to migrate policies")?;
        }
        let parallel = matches.count("parallel").unwrap_or(1);
        failed += snapshots(app, &migration, &sources, parallel);
        line.finish();
        app.info("Migration finished.");
        flush_despite(writer, failed)
    })
}

/// What was migrated is kept also when something was not.
fn flush_despite(writer: &RepositoryWriter, failed: usize) -> Outcome {
    if failed == 0 {
        return Ok(());
    }
    writer.flush().context("error flushing writer")?;
    Err(CommandError::new(format!(
        "{failed} source(s) or policies could not be migrated completely; see the errors above \
         and migrate again"
    )))
}

/// The other repository. Its password may be stored beside its configuration.
fn open_source(app: &App, matches: &Matches) -> Result<Repository, CommandError> {
    let path = matches.os("source-config").unwrap_or_default();
    let path = crate::env::absolute(Path::new(&path))?;
    let config = LocalConfig::load(&path).context("error loading config file")?;
    let password = app.password_of(&path).context("source repository password")?;
    Session::open_with(app, &config, &password)
}

fn chosen(matches: &Matches, from: &Repository) -> Result<Vec<SourceInfo>, CommandError> {
    let texts = matches.texts("sources");
    if !texts.is_empty() {
        let parse = |text: &String| {
            source(from, text).context(format!("unable to parse {}", go_quote(text)))
        };
        return texts.iter().map(parse).collect();
    }
    if matches.flag("all") {
        return Ok(sources(&from.manifests()?));
    }
    Err(CommandError::new("must specify either --all or --sources"))
}

/// Copies policies: all, or those of the sources. Returns how many could not be.
fn policies(
    app: &App,
    matches: &Matches,
    migration: &Migration<'_>,
    sources: &[SourceInfo],
) -> Result<usize, CommandError> {
    let all = matches.flag("all");
    let targets: Vec<SourceInfo> = if all {
        let stored = load_policies(&migration.from.manifests()?)?;
        stored.all().iter().map(|stored| stored.target.clone()).collect()
    } else {
        sources.to_vec()
    };
    let mut failed = 0;
    for target in targets {
        match migration.policy(&target, matches.flag("overwrite-policies")) {
            Ok(PolicyStep::None) => {}
            Ok(PolicyStep::AlreadyHere) => app.info(format!("policy already set for {target}")),
            Ok(PolicyStep::Migrated) => app.info(format!("migrating policy for {target}")),
            Err(error) if all => {
                failed += 1;
                app.error(format!("unable to migrate policy for {target}: {error}"));
            }
            Err(error) => {
                let what = format!("unable to migrate policy for {target}");
                return Err(CommandError::from(error).context(what));
            }
        }
    }
    Ok(failed)
}

/// Copies the snapshots of sources, some sources at a time. Returns how many could not be.
fn snapshots(
    app: &App,
    migration: &Migration<'_>,
    sources: &[SourceInfo],
    parallel: usize,
) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            if migration.cancel.is_canceled() {
                break;
            }
            if !migrate(app, migration, source) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..parallel.min(sources.len()) {
            scope.spawn(work);
        }
        work();
    });
    failed.into_inner()
}

/// Copies the snapshots of one source; tells whether all of them could be.
fn migrate(app: &App, migration: &Migration<'_>, source: &SourceInfo) -> bool {
    let result = migration.source(source, &|snapshot, step| {
        let time = app.time(snapshot.start_time.to_timestamp());
        match step {
            Step::Incomplete => app.debug(format!("ignoring incomplete {source} at {time}")),
            Step::AlreadyHere => app.info(format!("already migrated {source} at {time}")),
            Step::Migrating => app.info(format!("migrating snapshot of {source} at {time}")),
        }
    });
    match result {
        Ok(0) => true,
        Ok(failed) => {
            app.error(format!("Found {failed} fatal error(s) while migrating {source}."));
            false
        }
        Err(error) => {
            app.error(format!("unable to migrate source: {error}"));
            false
        }
    }
}
