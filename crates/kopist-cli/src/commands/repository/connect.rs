//! `repository connect`: a new connection to an existing repository.

use kopist_cloud::ConnectOptions;

use crate::commands::{providers::for_each_storage, shared};
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

/// `repository connect`
pub(super) static COMMAND: Command = Command::new("connect", "Connect to a repository.")
    .flags(&[shared::CONNECT])
    .commands(for_each_storage!("Connect to a repository", SERVER, |command| command.run(run)));

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
