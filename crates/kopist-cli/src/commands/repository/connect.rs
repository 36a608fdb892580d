//! `repository connect`: a new connection to an existing repository.

use kopist_cloud::ConnectOptions;

use crate::commands::{providers, shared};
use crate::grammar::Matches;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{
        repository::connection::connect,
        storage::{self, Purpose},
    },
    error::Context as _,
};

const SERVER_FLAGS: &[Flag] = &[
    Flag::text("url", "URL of the server.").required(),
    Flag::text("server-cert-fingerprint", "SHA-256 fingerprint of the server's certificate."),
    Flag::one_of(
        "local-cache-key-derivation-algorithm",
        &["scrypt-65536-8-1", "pbkdf2-sha256-600000"],
        "Key derivation of the local cache.",
    )
    .default("scrypt-65536-8-1")
    .hidden(),
];

/// `repository connect server`
pub(super) static SERVER: Command =
    Command::new("server", "Connect to a repository server.").flags(&[SERVER_FLAGS]);

/// `repository connect azure`
pub(super) static AZURE: Command =
    Command::new("azure", "Connect to a repository in Azure Blob Storage.")
        .flags(&[providers::AZURE])
        .run(run);

/// `repository connect b2`
pub(super) static B2: Command =
    Command::new("b2", "Connect to a repository in Backblaze B2.").flags(&[providers::B2]).run(run);

/// `repository connect filesystem`
pub(super) static FILESYSTEM: Command =
    Command::new("filesystem", "Connect to a repository on a file system.")
        .flags(&[providers::FILESYSTEM])
        .run(run);

/// `repository connect from-config`
pub(super) static FROM_CONFIG: Command = Command::new(
    "from-config",
    "Connect to a repository from the storage of a configuration file or token.",
)
.flags(&[providers::FROM_CONFIG])
.run(run);

/// `repository connect gcs`
pub(super) static GCS: Command =
    Command::new("gcs", "Connect to a repository in Google Cloud Storage.")
        .flags(&[providers::GCS])
        .run(run);

/// `repository connect gdrive`
pub(super) static GDRIVE: Command =
    Command::new("gdrive", "Connect to a repository in Google Drive.")
        .flags(&[providers::GDRIVE])
        .run(run);

/// `repository connect rclone`
pub(super) static RCLONE: Command =
    Command::new("rclone", "Connect to a repository on an rclone remote.")
        .flags(&[providers::RCLONE])
        .run(run);

/// `repository connect s3`
pub(super) static S3: Command =
    Command::new("s3", "Connect to a repository in S3-compatible storage.")
        .flags(&[providers::S3])
        .run(run);

/// `repository connect sftp`
pub(super) static SFTP: Command =
    Command::new("sftp", "Connect to a repository on an SFTP server.")
        .flags(&[providers::SFTP])
        .run(run);

/// `repository connect webdav`
pub(super) static WEBDAV: Command =
    Command::new("webdav", "Connect to a repository on a WebDAV server.")
        .flags(&[providers::WEBDAV])
        .run(run);

/// `repository connect`
pub(super) static COMMAND: Command =
    Command::new("connect", "Connect to a repository.").flags(&[shared::CONNECT]).commands(&[
        &SERVER,
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
    let chosen =
        storage::from_flags(app, matches, Purpose::Connect).context("can't connect to storage")?;
    let options =
        ConnectOptions { read_only: matches.flag("readonly"), ..ConnectOptions::default() };
    let store = storage::open(&chosen.storage, &options, Purpose::Connect)
        .context("can't connect to storage")?;
    let password = match chosen.password {
        Some(password) => password,
        None => app.connect_password().context("getting password")?,
    };
    connect(app, matches, chosen.storage, store.as_ref(), &password)
        .context("error connecting to repository")
}
