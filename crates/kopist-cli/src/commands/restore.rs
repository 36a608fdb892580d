//! `restore`, also as `snapshot restore`

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use kopist_format::{directory::DirEntry, id::ObjectId};
use kopist_repo::Repository;
use kopist_snapshot::{
    SnapshotError, SourceInfo, browse,
    resolve::{SnapshotTime, by_path},
    restore::{
        RestoreOptions, RestoreStats,
        archive::{ArchiveKind, restore_to_archive},
        placeholder, restore,
    },
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

/// The value of `--shallow` that stands for everything.
const UNLIMITED: i64 = i32::MAX as i64;

pub(super) fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let repo = &session.repo;
        let work = work(repo, matches).context("unable to initialize output")?;
        let options = options(matches)?;
        match work {
            Work::Snapshot { from, target } => {
                from_snapshot(app, matches, repo, &from, &target, &options)
            }
            Work::Placeholders(paths) => {
                if let Some(first) = paths.first().and_then(|path| placeholder::real_path(path)) {
                    announce_directory(app, &first, &options);
                }
                for path in &paths {
                    let line = RestoreLine::new(app);
                    let stats = placeholder::expand(repo, path, &options, &line);
                    finish(app, &line, &stats.context("error restoring")?);
                }
                Ok(())
            }
        }
    })
}

/// What the arguments ask for.
enum Work {
    /// Something from a snapshot goes to a path.
    Snapshot { from: String, target: PathBuf },
    /// Placeholders of an earlier shallow restore are replaced by what they stand for.
    Placeholders(Vec<PathBuf>),
}

/// One source and its target, which is the source's own place if it is not named; or
/// placeholders only.
fn work(repo: &Repository, matches: &Matches) -> Result<Work, CommandError> {
    let given = matches.os_list("sources");
    let mut placeholders = Vec::new();
    for path in given.iter().map(Path::new) {
        if placeholder::real_path(path).is_some() {
            placeholders.push(absolute(path)?);
        }
    }
    if !placeholders.is_empty() && placeholders.len() == given.len() {
        return Ok(Work::Placeholders(placeholders));
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
            Ok(Work::Snapshot { from, target: source.path.into() })
        }
        [from, target] if placeholders.is_empty() => {
            let target = absolute(Path::new(target))?;
            Ok(Work::Snapshot { from: from.to_string_lossy().into_owned(), target })
        }
        _ => Err(CommandError::new("restore requires a source and targetpath or placeholders")),
    }
}

fn from_snapshot(
    app: &App,
    matches: &Matches,
    repo: &Repository,
    from: &str,
    target: &Path,
    options: &RestoreOptions,
) -> Outcome {
    let Some(kind) = archive_kind(app, matches, target) else {
        announce_directory_if_auto(app, matches, target, options);
        let entry = find(app, matches, repo, from)?;
        let line = RestoreLine::new(app);
        let stats = restore(repo, &entry, target, options, &line).context("error restoring")?;
        finish(app, &line, &stats);
        return Ok(());
    };
    if options.shallow.is_some() {
        return Err(CommandError::new(
            "an archive cannot hold the placeholders of a shallow restore; leave out --shallow",
        ));
    }
    let entry = find(app, matches, repo, from)?;
    let mut file = File::create(target)
        .context(format!("unable to create output file {}", target.display()))?;
    let line = RestoreLine::new(app);
    let stats = restore_to_archive(repo, &entry, &mut file, kind, options, &line)
        .context("error restoring")?;
    // A pipe cannot be synchronized, and need not.
    if options.flush_files && file.metadata().is_ok_and(|meta| meta.is_file()) {
        file.sync_all().context("unable to flush the archive")?;
    }
    finish(app, &line, &stats);
    Ok(())
}

/// The kind of archive that is wanted, which is said if it is the target's name that tells; none
/// for a directory.
fn archive_kind(app: &App, matches: &Matches, target: &Path) -> Option<ArchiveKind> {
    match matches.text("mode").as_deref() {
        Some("zip") => return Some(ArchiveKind::Zip),
        Some("zip-nocompress") => return Some(ArchiveKind::ZipStored),
        Some("tar") => return Some(ArchiveKind::Tar),
        Some("tgz") => return Some(ArchiveKind::TarGzip),
        Some("local") => return None,
        _ => {}
    }
    let kind = ArchiveKind::of_name(target)?;
    let what = match kind {
        ArchiveKind::Zip | ArchiveKind::ZipStored => "a zip file",
        ArchiveKind::Tar => "an uncompressed tar file",
        ArchiveKind::TarGzip => "a tar+gzip file",
    };
    app.info(format!("Restoring to {what} ({})...", target.display()));
    Some(kind)
}

fn announce_directory_if_auto(
    app: &App,
    matches: &Matches,
    target: &Path,
    options: &RestoreOptions,
) {
    if matches.text("mode").as_deref() != Some("local") {
        announce_directory(app, target, options);
    }
}

fn announce_directory(app: &App, target: &Path, options: &RestoreOptions) {
    let (target, parallel) = (target.display(), options.parallel);
    app.info(format!("Restoring to local filesystem ({target}) with parallelism={parallel}..."));
}

fn finish(app: &App, line: &RestoreLine<'_>, stats: &RestoreStats) {
    line.finish(stats);
    summarize(app, stats);
}

fn options(matches: &Matches) -> Result<RestoreOptions, CommandError> {
    let shallow = match matches.int("shallow").unwrap_or(UNLIMITED) {
        depth if depth >= UNLIMITED => None,
        depth => Some(u32::try_from(depth).map_err(|_| {
            CommandError::new(format!("--shallow={depth}: the depth cannot be less than 0"))
        })?),
    };
    let min_size = matches.int("shallow-minsize").unwrap_or(0);
    Ok(RestoreOptions {
        shallow,
        shallow_min_size: u64::try_from(min_size).unwrap_or(0),
        parallel: parallelism(matches),
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
    })
}

/// The number of workers; 0 takes one for each processor.
fn parallelism(matches: &Matches) -> usize {
    match matches.count("parallel").unwrap_or(1) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
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
    let time = matches.text("snapshot-time").unwrap_or_default();
    if time.is_empty() {
        return Err(CommandError::new(
            "a snapshot time is needed to use a path as source: give --snapshot-time=latest or \
             leave the flag away",
        ));
    }
    let time = SnapshotTime::parse(&time, now(), &TimeZone::system())?;
    let wanted = source(repo, from).context(format!("invalid directory: '{from}'"))?;
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
