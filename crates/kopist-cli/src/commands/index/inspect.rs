//! `index inspect`

use jiff::Timestamp;
use kopist_blob::{BlobId, BlobMeta, BlobStore as _, ByteRange};
use kopist_format::{blob_crypto::open_blob, index::Index};
use kopist_repo::Repository;

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::index::list::index_blobs,
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Include everything."),
    Flag::switch("active", "Inspect all active index blobs."),
    Flag::text("content-id", "Only entries of this content.").repeated(),
    Flag::int("parallel", "Number of parallel operations.").default("8"),
];

/// `index inspect`
pub(super) static COMMAND: Command = Command::new("inspect", "Print the entries of index blobs.")
    .flags(&[FLAGS])
    .args(&[Arg::text("blobs", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let store = session.repo.store();
        let names = matches.texts("blobs");
        let blobs = if matches.flag("all") || matches.flag("active") {
            index_blobs(&session.repo, matches.flag("all")).context("error listing index blobs")?
        } else if names.is_empty() {
            return Err(CommandError::new(
                "must pass either --all, --active or provide a list of blob IDs to inspect",
            ));
        } else {
            let metadata = |name: &String| {
                let found = store.metadata(&BlobId::from(name.as_str()));
                found.context(format!("unable to get metadata for {name}"))
            };
            names.iter().map(metadata).collect::<Result<_, _>>()?
        };
        let wanted = matches.texts("content-id");
        for blob in &blobs {
            inspect(app, &session.repo, blob, &wanted)?;
        }
        Ok(())
    })
}

/// Prints the entries of one index blob.
fn inspect(app: &App, repo: &Repository, blob: &BlobMeta, wanted: &[String]) -> Outcome {
    let data = repo.store().get(&blob.id, ByteRange::Full);
    let data = data.context(format!("unable to get data for {}", blob.id))?;
    let damaged = || format!("unable to recover index from {}", blob.id);
    let cipher = repo.format().cipher()?;
    let opened = open_blob(&cipher, blob.id.as_str(), &data).context(damaged())?;
    let overhead = u32::try_from(cipher.overhead()).unwrap_or(u32::MAX);
    let index = Index::parse(opened, overhead).context(damaged())?;
    let zone = &app.globals.zone;
    let written = zone.show_precise(blob.timestamp);
    for entry in index.iter() {
        let entry = entry.context(damaged())?;
        let id = entry.id.to_string();
        if !wanted.is_empty() && !wanted.contains(&id) {
            continue;
        }
        let state = if entry.deleted { "deleted" } else { "created" };
        let time = Timestamp::from_second(entry.timestamp).unwrap_or_default();
        app.console.line(format!(
            "{written} {} {id} {state} {} {} {} {}",
            blob.id,
            zone.show_precise(time),
            entry.pack,
            entry.offset,
            entry.packed_length
        ))?;
    }
    Ok(())
}
