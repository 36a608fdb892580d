//! `snapshot delete`

use kopist_format::{id::ObjectId, snapshot::SnapshotManifest};
use kopist_repo::{ManifestView, RepositoryWriter};
use kopist_snapshot::{
    SnapshotError, SourceInfo,
    store::{all_snapshots, delete_snapshot, load_snapshot, snapshots_of},
};

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::sources::source,
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("all-snapshots-for-source", "Delete all snapshots of the sources given."),
    Flag::switch("delete", "Confirm the deletion."),
    Flag::switch("unsafe-ignore-source", "Old name of --delete.").hidden(),
];

/// `snapshot delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete snapshots.")
    .flags(&[FLAGS])
    .args(&[Arg::text("id", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let view = writer.manifests()?;
        for text in matches.texts("id") {
            let doomed = if matches.flag("all-snapshots-for-source") {
                let source =
                    source(&session.repo, &text).context(format!("invalid source '{text}'"))?;
                of_source(&view, &source)?
            } else {
                by_id(&view, &text, "deleting")?
            };
            for manifest in doomed {
                delete(app, matches, writer, &manifest)
                    .context(format!("error deleting {text}"))?;
            }
        }
        Ok(())
    })
}

fn of_source(
    view: &ManifestView,
    source: &SourceInfo,
) -> Result<Vec<SnapshotManifest>, CommandError> {
    let mut found = snapshots_of(view, source);
    found.sort_by_key(|manifest| manifest.start_time);
    if found.is_empty() {
        return Err(CommandError::new(format!("no snapshots for source {source}")));
    }
    Ok(found)
}

/// The snapshot with this id, or all with this root object.
pub(super) fn by_id(
    view: &ManifestView,
    id: &str,
    doing: &str,
) -> Result<Vec<SnapshotManifest>, CommandError> {
    match load_snapshot(view, id) {
        Ok(manifest) => return Ok(vec![manifest]),
        Err(SnapshotError::Repository(error)) if error.is_not_found() => {}
        Err(error) => {
            return Err(CommandError::from(error).context(format!("error loading snapshot {id}")));
        }
    }
    let what = format!("error {doing} snapshots by root ID {id}");
    let root: ObjectId = id.parse().context("invalid object ID").context(&what)?;
    let mut found = all_snapshots(view, &std::collections::BTreeMap::new());
    found.retain(|manifest| manifest.root_object() == Some(root));
    found.sort_by_key(|manifest| manifest.start_time);
    if found.is_empty() {
        return Err(CommandError::new(format!("no snapshots matched {id}")).context(what));
    }
    Ok(found)
}

fn delete(
    app: &App,
    matches: &Matches,
    writer: &RepositoryWriter,
    manifest: &SnapshotManifest,
) -> Outcome {
    let what = format!(
        "snapshot {} of {} at {}",
        manifest.id,
        SourceInfo::from(&manifest.source),
        app.time(manifest.start_time.to_timestamp())
    );
    if !matches.flag("delete") && !matches.flag("unsafe-ignore-source") {
        app.info(format!("Would delete {what} (pass --delete to confirm)"));
        return Ok(());
    }
    app.info(format!("Deleting {what}..."));
    delete_snapshot(writer, &manifest.id).context("error deleting manifest")
}
