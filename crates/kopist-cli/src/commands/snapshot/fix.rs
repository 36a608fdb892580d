//! `snapshot fix`

use std::collections::BTreeMap;

use kopist_format::{id::ObjectId, snapshot::SnapshotManifest};
use kopist_repo::RepositoryWriter;
use kopist_snapshot::{
    SourceInfo,
    fix::{FixOptions, Fixer, Handling, InvalidFiles, Pattern, RemoveFiles, Rule},
    store::{all_snapshots, load_policies, load_snapshot, snapshots_of, update_snapshot},
    verify::FileVerifier,
};

use crate::grammar::{Command, Flag, Matches, go_quote};
use crate::{
    app::{App, Outcome},
    commands::{shared, sources::source},
    error::{CommandError, Context as _},
    session,
};

const INVALID_FILES_FLAGS: &[Flag] = &[
    Flag::one_of(
        "invalid-file-handling",
        &["fail", "stub", "keep", "remove"],
        "What to do with files that cannot be read.",
    )
    .default("stub"),
    Flag::float("verify-files-percent", "Percentage of files to read in full.").default("0"),
];

/// `snapshot fix invalid-files`
static INVALID_FILES: Command =
    Command::new("invalid-files", "Replace or remove files that cannot be read.")
        .flags(&[INVALID_FILES_FLAGS, shared::FIX])
        .run(invalid_files);

const REMOVE_FILES_FLAGS: &[Flag] = &[
    Flag::text("object-id", "Object ids of the files to remove.").repeated(),
    Flag::text("filename", "Patterns of the names of the files to remove.").repeated(),
];

/// `snapshot fix remove-files`
static REMOVE_FILES: Command = Command::new("remove-files", "Remove files from snapshots.")
    .flags(&[REMOVE_FILES_FLAGS, shared::FIX])
    .run(remove_files);

/// `snapshot fix`
pub(super) static COMMAND: Command =
    Command::new("fix", "Repair snapshots.").commands(&[&INVALID_FILES, &REMOVE_FILES]);

fn invalid_files(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let percent = matches.float("verify-files-percent").unwrap_or(0.0);
        let verifier =
            FileVerifier::new(&session.repo, percent).context("unable to read blob map")?;
        let handling = handling(matches, "invalid-file-handling");
        let verb = match handling {
            Handling::Keep => "keeping",
            Handling::Stub | Handling::Fail | Handling::Remove => "removing",
        };
        let rule = InvalidFiles {
            verifier,
            found: &|path, error| {
                app.warn(format!("{verb} invalid file {path} due to: {error}"));
            },
        };
        fix(app, matches, &session.repo, writer, &rule, handling)
    })
}

fn remove_files(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let (objects, names) = (matches.texts("object-id"), matches.texts("filename"));
        if objects.is_empty() && names.is_empty() {
            return Err(CommandError::new("must specify files to remove"));
        }
        let objects: Result<Vec<ObjectId>, _> = objects.iter().map(|id| id.parse()).collect();
        let names: Result<Vec<Pattern>, _> = names.iter().map(|n| Pattern::parse(n)).collect();
        let rule = RemoveFiles {
            objects: objects.context("invalid object ID")?,
            names: names?,
            removed: &|path| app.info(format!("will remove file {path}")),
        };
        fix(app, matches, &session.repo, writer, &rule, Handling::Fail)
    })
}

fn handling(matches: &Matches, flag: &str) -> Handling {
    match matches.text(flag).as_deref() {
        Some("stub") => Handling::Stub,
        Some("keep") => Handling::Keep,
        Some("remove") => Handling::Remove,
        _ => Handling::Fail,
    }
}

/// Repairs the snapshots that were chosen, source by source.
fn fix(
    app: &App,
    matches: &Matches,
    repo: &kopist_repo::Repository,
    writer: &RepositoryWriter,
    rule: &dyn Rule,
    files: Handling,
) -> Outcome {
    let options = FixOptions {
        parallel: matches.count("parallel").unwrap_or(0),
        files,
        directories: handling(matches, "invalid-directory-handling"),
    };
    let commit = matches.flag("commit");
    let fixer = Fixer::new(writer, rule, options)?;
    let policies = load_policies(&writer.manifests()?).context("unable to get policy tree")?;
    let mut fixed = 0;
    for (_, mut snapshots) in chosen(app, matches, repo, writer)? {
        snapshots.sort_by_key(|snapshot| (snapshot.start_time, snapshot.end_time));
        let Some(first) = snapshots.first() else { continue };
        let source = SourceInfo::from(&first.source);
        app.info(format!("Processing snapshot {source}"));
        let compression = policies.effective(&source).policy.metadata_compression;
        for old in snapshots {
            let time = app.time(old.start_time.to_timestamp());
            let new = fixer
                .snapshot(&old, compression.compressor())
                .context(format!("error processing snapshot {}", old.id))
                .context("error rewriting manifest")?;
            let Some(mut new) = new else {
                app.info(format!("  {time} unchanged ({})", old.id));
                continue;
            };
            if commit {
                update_snapshot(writer, &mut new).context("error updating snapshot")?;
            }
            app.info(format!("  {time} replaced manifest from {} to {}", old.id, new.id));
            let root = |of: &SnapshotManifest| {
                of.root_object().map(|object| object.to_string()).unwrap_or_default()
            };
            app.info(format!("    diff {} {}", root(&old), root(&new)));
            if let Some(delta) = delta(app, &old, &new) {
                app.info(format!("    delta:{delta}"));
            }
            fixed += 1;
        }
    }
    app.info(match (fixed, commit) {
        (0, _) => "No changes.".to_owned(),
        (_, true) => format!("Fixed and committed {fixed} snapshots."),
        (_, false) => format!(
            "Fixed {fixed} snapshots, but snapshot manifests were not updated. Pass --commit to \
             update snapshots."
        ),
    });
    Ok(())
}

/// How much larger or smaller a snapshot has become; nothing if it has not.
fn delta(app: &App, old: &SnapshotManifest, new: &SnapshotManifest) -> Option<String> {
    let size = |of: &SnapshotManifest| Some(of.root_entry.as_ref()?.summary.as_ref()?.size);
    let delta = size(new)?.checked_sub(size(old)?)?;
    let sign = match delta {
        0 => return None,
        ..0 => '-',
        _ => '+',
    };
    Some(format!("{sign}{}", app.size(delta.unsigned_abs())))
}

/// The snapshots to repair by their sources; all of them if none are named.
fn chosen(
    app: &App,
    matches: &Matches,
    repo: &kopist_repo::Repository,
    writer: &RepositoryWriter,
) -> Result<BTreeMap<String, Vec<SnapshotManifest>>, CommandError> {
    let view = writer.manifests()?;
    let mut found = Vec::new();
    for id in matches.texts("manifest-id") {
        let snapshot = load_snapshot(&view, &id);
        found.push(snapshot.context(format!("error loading snapshot {id}"))?);
    }
    for text in matches.texts("source") {
        app.info(format!("Listing snapshots for source {}...", go_quote(&text)));
        let source = source(repo, &text).context("unable to parse source")?;
        let snapshots = snapshots_of(&view, &source);
        if snapshots.is_empty() {
            return Err(CommandError::new(format!("no snapshots for {text}")));
        }
        found.extend(snapshots);
    }
    if found.is_empty() {
        app.info("Listing all snapshots...");
        found = all_snapshots(&view, &BTreeMap::new());
    }
    let mut by_source: BTreeMap<String, Vec<SnapshotManifest>> = BTreeMap::new();
    for snapshot in found {
        let source = SourceInfo::from(&snapshot.source).to_string();
        let group = by_source.entry(source).or_default();
        // Named twice it is repaired once.
        if group.iter().all(|other| other.id != snapshot.id) {
            group.push(snapshot);
        }
    }
    Ok(by_source)
}
