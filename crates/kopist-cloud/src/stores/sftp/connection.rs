//! From settings to a session.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh_sftp::client::RawSftpSession;
use tokio::process::{Child, Command};

use super::config::{Config, invalid};
use super::known_hosts::HostKeys;
use crate::site::Site;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(30);

/// How long an answer may take, in seconds.
const SILENCE: u64 = 60;

/// How often somebody who waits for an answer looks whether there is a connection.
const LOOK: Duration = Duration::from_millis(500);

/// A session, and what keeps it alive.
pub(super) struct Session {
    pub(super) sftp: RawSftpSession,
    pub(super) can_sync: bool,
    pub(super) can_replace: bool,
    transport: Transport,
}

impl Session {
    /// Ends soon after the connection has.
    pub(super) async fn lost(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.transport.has_ended() {
                return;
            }
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

enum Transport {
    /// Our own SSH.
    Own(Handle<Host>),
    /// A command, which ends when this is dropped.
    Command(Mutex<Child>),
}

impl Transport {
    fn has_ended(&self) -> bool {
        match self {
            Self::Own(handle) => handle.is_closed(),
            Self::Command(child) => !matches!(child.lock().try_wait(), Ok(None)),
        }
    }
}

/// Knows the server by its key.
struct Host {
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
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(network(site, "no answer within 30 seconds", true)),
    }
}

/// An error of connecting.
fn network(site: &Site, what: impl std::fmt::Display, retriable: bool) -> BlobError {
    let text = format!("{what}; check {} and the network", site.settings.address);
    site.remote(Operation::Open, &site.target(), retriable, text)
}

async fn own(config: &Config, site: &Site) -> Result<Session, BlobError> {
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
        .map_err(|error| network(site, format!("no connection ({error})"), true))?;
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
            error => network(site, format!("no understanding ({error})"), true),
        })?;
    log_in(config, site, &mut handle, key).await?;
    let failed = |error: russh::Error| network(site, format!("no SFTP ({error})"), true);
    let channel = handle.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    start(RawSftpSession::new(channel.into_stream()), Transport::Own(handle), site).await
}

async fn log_in(
    config: &Config,
    site: &Site,
    handle: &mut Handle<Host>,
    key: Option<crate::settings::Secret>,
) -> Result<(), BlobError> {
    let failed = |error: russh::Error| network(site, format!("logging in failed ({error})"), true);
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
async fn by_command(config: &Config, site: &Site) -> Result<Session, BlobError> {
    let program = if config.ssh_command.is_empty() { "ssh" } else { &config.ssh_command };
    let mut child = Command::new(program)
        .args(config.ssh_arguments.split(' ').filter(|word| !word.is_empty()))
        .arg(format!("{}@{}", config.username, config.host))
        .args(["-s", "sftp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| invalid(format!("--ssh-command, {program}, cannot be run: {error}")))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(network(site, "the ssh command has no pipes", false));
    };
    let stream = tokio::io::join(output, input);
    start(RawSftpSession::new(stream), Transport::Command(Mutex::new(child)), site).await
}

async fn start(
    sftp: RawSftpSession,
    transport: Transport,
    site: &Site,
) -> Result<Session, BlobError> {
    sftp.set_timeout(SILENCE);
    let version =
        sftp.init().await.map_err(|error| network(site, format!("no SFTP ({error})"), true))?;
    let offers = |name: &str| version.extensions.contains_key(name);
    Ok(Session {
        sftp,
        can_sync: offers("fsync@openssh.com"),
        can_replace: offers("posix-rename@openssh.com"),
        transport,
    })
}
