//! From settings to a session.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use super::config::{Config, invalid};
use super::known_hosts::HostKeys;
use super::session::{Greeting, Session, greet};
use crate::site::Site;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(30);

/// How long the server may say nothing.
const SILENCE: Duration = Duration::from_mins(1);

/// How long a command that has failed may take to end.
const END: Duration = Duration::from_secs(5);

/// How much is kept of what a command says, in bytes.
const ENOUGH: usize = 4 << 10;

/// What keeps a session alive.
pub(super) enum Transport {
    /// Our own SSH.
    Own(Handle<Host>),
    /// A command, which ends when this is dropped.
    Command(Mutex<Child>),
}

impl Transport {
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Own(handle) => handle.is_closed(),
            Self::Command(child) => !matches!(child.lock().try_wait(), Ok(None)),
        }
    }
}

/// Knows the server by its key.
pub(super) struct Host {
    keys: HostKeys,
}

impl client::Handler for Host {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.keys.accept(key),
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

/// Connects and starts SFTP.
pub(super) async fn connect(config: &Config, site: &Site) -> Result<Session, BlobError> {
    let connecting = async {
        if config.external_ssh { by_command(config, site).await } else { own(config, site).await }
    };
    let (greeting, transport) = match tokio::time::timeout(CONNECT, connecting).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(network(site, "no answer within 30 seconds")),
    };
    Ok(Session::new(greeting, transport, config.silence.unwrap_or(SILENCE)))
}

/// An error of connecting that may pass.
fn network(site: &Site, what: impl std::fmt::Display) -> BlobError {
    let text = format!("{what}; check {} and the network", site.settings.address);
    site.remote(Operation::Open, &site.target(), true, text)
}

async fn own(config: &Config, site: &Site) -> Result<(Greeting, Transport), BlobError> {
    let key = config.private_key()?;
    let keys = HostKeys::find(&config.known_hosts()?, &config.host, config.port);
    if keys.is_empty() {
        let authority = if keys.by_authority {
            ", only one of an authority, which kopist cannot follow"
        } else {
            ""
        };
        return Err(invalid(format!(
            "{} has no key for {} port {}{authority}: add the line that \
             `ssh-keyscan -p {} {}` prints, after comparing it",
            site.settings.trust, config.host, config.port, config.port, config.host
        )));
    }
    let mut settings = client::Config {
        nodelay: true,
        keepalive_interval: Some(Duration::from_secs(30)),
        ..client::Config::default()
    };
    settings.preferred.key = keys.algorithms().into();
    let address = (config.host.as_str(), config.port);
    let socket = tokio::net::TcpStream::connect(address)
        .await
        .map_err(|error| network(site, format!("no connection ({error})")))?;
    // Not worth failing for: it only costs speed.
    let _ = socket.set_nodelay(true);
    let mut handle = client::connect_stream(Arc::new(settings), socket, Host { keys })
        .await
        .map_err(|error| match error {
            russh::Error::UnknownKey | russh::Error::NoCommonAlgo { .. } => {
                let text = format!(
                    "the server has another key than {} name ({error}): it may be another \
                     machine; check {} and {}",
                    site.settings.trust, site.settings.address, site.settings.trust
                );
                site.remote(Operation::Open, &site.target(), false, text)
            }
            error => network(site, format!("no understanding ({error})")),
        })?;
    log_in(config, site, &mut handle, key).await?;
    let failed = |error: russh::Error| network(site, format!("no SFTP ({error})"));
    let channel = handle.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    let greeting = greet(channel.into_stream());
    let greeting = greeting.await.map_err(|error| network(site, format!("no SFTP ({error})")))?;
    Ok((greeting, Transport::Own(handle)))
}

async fn log_in(
    config: &Config,
    site: &Site,
    handle: &mut Handle<Host>,
    key: Option<crate::settings::Secret>,
) -> Result<(), BlobError> {
    let failed = |error: russh::Error| network(site, format!("logging in failed ({error})"));
    let outcome = match key {
        None => {
            let password = config.password.expose();
            handle.authenticate_password(&config.username, password).await.map_err(failed)?
        }
        Some(key) => {
            let key = decode_secret_key(key.expose(), None).map_err(|error| match error {
                russh::keys::Error::KeyIsEncrypted => invalid(
                    "the private key is protected by a passphrase, which is not supported; use a \
                     key without one, or --external with an agent",
                ),
                error => invalid(format!("the private key cannot be read: {error}")),
            })?;
            let hash = handle.best_supported_rsa_hash().await.map_err(failed)?.flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            handle.authenticate_publickey(&config.username, key).await.map_err(failed)?
        }
    };
    if outcome.success() {
        return Ok(());
    }
    Err(BlobError::InvalidCredentials {
        store: site.name.clone(),
        message: format!("the server refuses the login; check {}", site.settings.credentials),
    })
}

/// The command of the user, as kopia calls it: `<command> <arguments…> <user>@<host> -s sftp`.
async fn by_command(config: &Config, site: &Site) -> Result<(Greeting, Transport), BlobError> {
    let program = if config.ssh_command.is_empty() { "ssh" } else { &config.ssh_command };
    let mut child = Command::new(program)
        .args(config.ssh_arguments.split(' ').filter(|word| !word.is_empty()))
        .arg(format!("{}@{}", config.username, config.host))
        .args(["-s", "sftp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| invalid(format!("--ssh-command, {program}, cannot be run: {error}")))?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(network(site, "the ssh command has no pipes"));
    };
    let said = Arc::new(Mutex::new(String::new()));
    let listening = tokio::spawn(listen(errors, Arc::clone(&said)));
    match greet(tokio::io::join(output, input)).await {
        Ok(greeting) => Ok((greeting, Transport::Command(Mutex::new(child)))),
        Err(error) => {
            // Why shows when it has ended. One that does not is killed, and others that it has
            // started may keep its voice.
            let status = tokio::time::timeout(END, child.wait()).await;
            let _ = tokio::time::timeout(END, listening).await;
            let ended = match status {
                Ok(Ok(status)) => format!("the ssh command ended ({status})"),
                _ => format!("the ssh command does not speak SFTP ({error})"),
            };
            Err(refused(site, &ended, said.lock().trim()))
        }
    }
}

/// Shows what the command says, and keeps the beginning.
async fn listen(errors: ChildStderr, said: Arc<Mutex<String>>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    while let Ok(1..) = errors.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        line.clear();
        if !text.is_empty() {
            tracing::warn!("ssh: {text}");
            let mut said = said.lock();
            if said.len() < ENOUGH {
                said.push_str(&text);
                said.push('\n');
            }
        }
    }
}

/// Why the command has not reached the server. OpenSSH has one exit status for all reasons; only
/// its words tell them apart.
fn refused(site: &Site, ended: &str, said: &str) -> BlobError {
    const COMMAND: &str = "--ssh-args and --ssh-command";
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let text = match said.lines().last() {
        Some(last) => format!("{ended}: {last}"),
        None => ended.to_owned(),
    };
    if says(&["Permission denied", "Too many authentication failures"]) {
        return BlobError::InvalidCredentials {
            store: site.name.clone(),
            message: format!("{text}; check --username, {COMMAND}"),
        };
    }
    let lasting = says(&[
        "Host key verification failed",
        "configuration option",
        "unknown option",
        "illegal option",
    ]);
    let text = format!("{text}; check --host, {COMMAND}");
    site.remote(Operation::Open, &site.target(), !lasting, text)
}
