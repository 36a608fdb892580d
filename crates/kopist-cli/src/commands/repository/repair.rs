//! `repository repair`: the format blob of an old repository, from the copies in its packs.

use kopist_blob::{BlobId, BlobStore as _, PutOptions};
use kopist_cloud::ConnectOptions;
use kopist_format::format_blob::FORMAT_BLOB;
use kopist_repo::recover_format_blob;

use crate::commands::providers::for_each_storage;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::storage::{self, Purpose},
    error::{CommandError, Context as _},
    grammar::Matches,
};

const FLAGS: &[Flag] = &[
    Flag::one_of("recover-format", &["auto", "yes", "no"], "Recover the format blob.")
        .default("auto"),
    Flag::text(
        "recover-format-block-prefixes",
        "Prefixes of blobs to recover the format blob from.",
    )
    .repeated(),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
];

/// `repository repair`
pub(super) static COMMAND: Command = Command::new("repair", "Repair a repository.")
    .hidden()
    .flags(&[FLAGS])
    .commands(for_each_storage!("Repair a repository", |command| command.hidden().run(run)));

fn run(app: &App, matches: &Matches) -> Outcome {
    app.require_dangerous()?;
    let chosen = storage::from_flags(app, matches, Purpose::Connect);
    let chosen = chosen.context("can't connect to storage")?;
    let store = storage::open(&chosen.storage, &ConnectOptions::default(), Purpose::Connect)
        .context("can't connect to storage")?;
    let id = BlobId::from(FORMAT_BLOB);
    match matches.text("recover-format").as_deref() {
        Some("no") => return Ok(()),
        Some("yes") => {}
        _ => {
            app.info("looking for format blob...");
            match store.metadata(&id) {
                Ok(_) => {
                    app.info(
                        "format blob already exists, not recovering, pass --recover-format=yes",
                    );
                    return Ok(());
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error).context("cannot tell whether there is one"),
            }
        }
    }
    let given = matches.texts("recover-format-block-prefixes");
    let prefixes: Vec<&str> = match given.as_slice() {
        [] => vec!["p", "q"],
        given => given.iter().map(String::as_str).collect(),
    };
    let found = recover_format_blob(store.as_ref(), &prefixes)?
        .ok_or_else(|| CommandError::new("could not find a replica of a format blob"))?;
    if !matches.flag("dry-run") {
        store.put(&id, &[&found], &PutOptions::default()).context("error writing format blob")?;
    }
    app.info("recovered the format blob from a replica");
    Ok(())
}
