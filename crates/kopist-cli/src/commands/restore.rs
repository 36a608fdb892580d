//! `restore`, also as `snapshot restore`

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use kopist_format::{directory::DirEntry, id::ObjectId};
use kopist_repo::Repository;
use kopist_snapshot::{
    SnapshotError, SourceInfo, browse,
    resolve::{SnapshotTime, by_path},
    restore::{RestoreOptions, RestoreStats, restore},
};

use crate::commands::shared;
use crate::grammar::Matches;
use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome, now},
    commands::sources::source,
    env::absolute,
    error::{CommandError, Context as _},
    progress::RestoreLine,
    session,
};

/// `restore`
pub(super) static COMMAND: Command =
    Command::new("restore", "Restore a directory or file from a snapshot.")
        .flags(&[shared::RESTORE])
        .args(&[Arg::text("sources", "").required().repeated()])
        .run(run);

/// What stands behind the name of a placeholder (`kopia:snapshot/restore/`).
const PLACEHOLDER: &str = ".kopia-entry";

/// Depth that `--shallow` must exceed for a full restore.
const UNLIMITED: i64 = i32::MAX as i64;

pub(super) fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let repo = &session.repo;
        let (from, target) =
            source_and_target(repo, matches).context("unable to initialize output")?;
        refuse_other_outputs(matches, &target)?;
        let options = options(matches);
        app.info(format!(
            "Restoring to local filesystem ({}) with parallelism={}...",
            target.display(),
            options.parallel
        ));
        let entry = find(app, matches, repo, &from)?;
        let line = RestoreLine::new(app);
        let stats = restore(repo, &entry, &target, &options, &line).context("error restoring")?;
        line.finish(&stats);
        summarize(app, &stats);
        Ok(())
    })
}

/// One source and its target, which is the source's own place if it is not named.
fn source_and_target(
    repo: &Repository,
    matches: &Matches,
) -> Result<(String, PathBuf), CommandError> {
    let given = matches.os_list("sources");
    if given.iter().any(|path| Path::new(path).to_string_lossy().ends_with(PLACEHOLDER)) {
        return Err(CommandError::not_supported("restoring placeholders of a shallow restore"));
    }
    match given.as_slice() {
        [from] => {
            let from = from.to_string_lossy().into_owned();
            let source = source(repo, &from)
                .context(format!("invalid path to be used as source: '{from}'"))?;
            let identity = repo.identity();
            if source.path.is_empty() {
                return Err(CommandError::new("the source must contain a path element"));
            }
            if source.host != identity.hostname || source.user_name != identity.username {
                return Err(CommandError::new(
                    "the source must be a path in with the same username/hostname to be used as \
                     a target too",
                ));
            }
            Ok((from, source.path.into()))
        }
        [from, target] => {
            let target = absolute(Path::new(target))?;
            Ok((from.to_string_lossy().into_owned(), target))
        }
        _ => Err(CommandError::new("restore requires a source and targetpath or placeholders")),
    }
}

/// Archives and placeholders are for another day.
fn refuse_other_outputs(matches: &Matches, target: &Path) -> Outcome {
    let mode = matches.text("mode").unwrap_or_default();
    let name = target.to_string_lossy();
    let archive = [".zip", ".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end));
    if mode != "local" && (mode != "auto" || archive) {
        return Err(CommandError::not_supported(
            "restoring to an archive (add --mode=local to restore to a directory of that name)",
        ));
    }
    if matches.int("shallow").unwrap_or(UNLIMITED) < UNLIMITED {
        return Err(CommandError::not_supported("a shallow restore"));
    }
    Ok(())
}

fn options(matches: &Matches) -> RestoreOptions {
    RestoreOptions {
        parallel: matches.count("parallel").unwrap_or(1),
        overwrite_directories: matches.flag("overwrite-directories"),
        overwrite_files: matches.flag("overwrite-files"),
        overwrite_symlinks: matches.flag("overwrite-symlinks"),
        sparse: matches.flag("write-sparse-files"),
        atomic: matches.flag("write-files-atomically"),
        flush_files: matches.flag("flush-files"),
        skip_owners: matches.flag("skip-owners"),
        skip_permissions: matches.flag("skip-permissions"),
        skip_times: matches.flag("skip-times"),
        ignore_permission_errors: matches.flag("ignore-permission-errors"),
        ignore_errors: matches.flag("ignore-errors"),
        skip_existing: matches.flag("skip-existing"),
        delete_extra: matches.flag("delete-extra"),
        ..RestoreOptions::default()
    }
}

/// Finds what is to be restored: an id with a path, else a path in the latest snapshot that has
/// it.
fn find(
    app: &App,
    matches: &Matches,
    repo: &Repository,
    from: &str,
) -> Result<DirEntry, CommandError> {
    let view = repo.manifests()?;
    let first = from.split('/').next().unwrap_or_default();
    if !first.is_empty() && (first.parse::<ObjectId>().is_ok() || view.meta(first).is_some()) {
        let consistent = matches.flag("consistent-attributes");
        let named = browse::resolve(repo, &view, from, consistent);
        return Ok(named.context("unable to get filesystem entry")?.entry);
    }
    let wanted = source(repo, from).context(format!("invalid directory: '{from}'"))?;
    let time = matches.text("snapshot-time").unwrap_or_default();
    let time = SnapshotTime::parse(&time, now(), &TimeZone::system())?;
    let found = by_path(repo, &view, &wanted, time).map_err(|error| match error {
        SnapshotError::NoSnapshot(_) => {
            CommandError::new(format!("no snapshots contain data for {from}"))
        }
        error => error.into(),
    })?;
    app.info(format!(
        "Restoring from\n   Snapshot source: {}\n   Snapshot time: {}\n   Relative path: {}\n   \
         Object ID: {}",
        SourceInfo::from(&found.snapshot.source),
        app.time(found.snapshot.start_time.to_timestamp()),
        found.relative,
        found.entry.object.map(|id| id.to_string()).unwrap_or_default()
    ));
    Ok(found.entry)
}

fn summarize(app: &App, stats: &RestoreStats) {
    let more = [
        (stats.deleted_directories, "deleted directories"),
        (stats.deleted_files, "deleted files"),
        (stats.deleted_symlinks, "deleted symbolic links"),
    ];
    let mut text = format!(
        "Restored {} files, {} directories and {} symbolic links ({})",
        stats.files,
        stats.directories,
        stats.symlinks,
        app.size(stats.bytes)
    );
    if stats.skipped > 0 {
        let size = app.size(stats.skipped_bytes);
        text = format!("{text}, skipped {} ({size})", stats.skipped);
    }
    for (count, what) in more {
        if count > 0 {
            text = format!("{text}, {what} {count}");
        }
    }
    if stats.ignored_errors > 0 {
        text = format!("{text}, ignored {} errors", stats.ignored_errors);
    }
    app.info(format!("{text}.\n"));
}
