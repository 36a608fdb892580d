//! `repository repair`: the format blob of an old repository, from the copies in its packs.

use kopist_blob::{BlobId, BlobStore as _, PutOptions};
use kopist_cloud::ConnectOptions;
use kopist_format::format_blob::FORMAT_BLOB;
use kopist_repo::recover_format_blob;

use crate::commands::providers;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::storage::{self, Purpose},
    error::{CommandError, Context as _},
    grammar::Matches,
};

/// `repository repair azure`
static AZURE: Command = Command::new("azure", "Repair a repository in Azure Blob Storage.")
    .hidden()
    .flags(&[providers::AZURE])
    .run(run);

/// `repository repair b2`
static B2: Command = Command::new("b2", "Repair a repository in Backblaze B2.")
    .hidden()
    .flags(&[providers::B2])
    .run(run);

/// `repository repair filesystem`
static FILESYSTEM: Command = Command::new("filesystem", "Repair a repository on a file system.")
    .hidden()
    .flags(&[providers::FILESYSTEM])
    .run(run);

/// `repository repair from-config`
static FROM_CONFIG: Command = Command::new(
    "from-config",
    "Repair a repository from the storage of a configuration file or token.",
)
.hidden()
.flags(&[providers::FROM_CONFIG])
.run(run);

/// `repository repair gcs`
static GCS: Command = Command::new("gcs", "Repair a repository in Google Cloud Storage.")
    .hidden()
    .flags(&[providers::GCS])
    .run(run);

/// `repository repair gdrive`
static GDRIVE: Command = Command::new("gdrive", "Repair a repository in Google Drive.")
    .hidden()
    .flags(&[providers::GDRIVE])
    .run(run);

/// `repository repair rclone`
static RCLONE: Command = Command::new("rclone", "Repair a repository on an rclone remote.")
    .hidden()
    .flags(&[providers::RCLONE])
    .run(run);

/// `repository repair s3`
static S3: Command = Command::new("s3", "Repair a repository in S3-compatible storage.")
    .hidden()
    .flags(&[providers::S3])
    .run(run);

/// `repository repair sftp`
static SFTP: Command = Command::new("sftp", "Repair a repository on an SFTP server.")
    .hidden()
    .flags(&[providers::SFTP])
    .run(run);

/// `repository repair webdav`
static WEBDAV: Command = Command::new("webdav", "Repair a repository on a WebDAV server.")
    .hidden()
    .flags(&[providers::WEBDAV])
    .run(run);

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
pub(super) static COMMAND: Command =
    Command::new("repair", "Repair a repository.").hidden().flags(&[FLAGS]).commands(&[
        &AZURE,
        &B2,
        &FILESYSTEM,
        &FROM_CONFIG,
        &GCS,
        &GDRIVE,
        &RCLONE,
        &S3,
        &SFTP,
        &WEBDAV,
    ]);

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
