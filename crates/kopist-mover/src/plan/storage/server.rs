//! WebDAV, SFTP and Rclone.

use secrecy::SecretString;

use super::content::by_content;
use super::{PathOrContent, Source, Storage, split_host};
use crate::plan::error::{Findings, PlanError};

const SSH_PORT: u16 = 22;

pub(super) fn webdav(source: &Source<'_>, _: &mut Findings) -> Result<Storage, PlanError> {
    let url = match source.text("WEBDAV_URL") {
        Some(url) => url.to_owned(),
        None => match source.url("webdav") {
            Some(rest) if !split_host(rest).0.is_empty() => format!("https://{rest}"),
            _ => {
                return Err(PlanError::StoreIncomplete {
                    store: "WebDAV",
                    what: "an address",
                    variables: "WEBDAV_URL",
                });
            }
        },
    };
    Ok(Storage::WebDav {
        url: SecretString::from(url),
        username: source.text("WEBDAV_USERNAME").map(str::to_owned),
        password: source.env.secret("WEBDAV_PASSWORD"),
    })
}

/// `[user[:password]@]host[:port][/path]`
#[derive(Default)]
struct ServerUrl<'a> {
    host: &'a str,
    port: Option<&'a str>,
    user: Option<&'a str>,
    password: Option<&'a str>,
    path: &'a str,
}

fn server_url(rest: &str) -> ServerUrl<'_> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user_info, address) = match authority.rsplit_once('@') {
        Some((user_info, address)) => (Some(user_info), address),
        None => (None, authority),
    };
    let (user, password) = match user_info.map(|info| info.split_once(':').ok_or(info)) {
        Some(Ok((user, password))) => (Some(user), Some(password)),
        Some(Err(user)) => (Some(user), None),
        None => (None, None),
    };
    let (host, port) = match address.rsplit_once(':') {
        // An address in brackets has colons of its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    ServerUrl {
        host: host.trim_start_matches('[').trim_end_matches(']'),
        port,
        user,
        password,
        path,
    }
}

pub(super) fn sftp(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    let missing = |what, variables| PlanError::StoreIncomplete { store: "SFTP", what, variables };
    // Beside the host's variable the URL is only decoration, as everywhere.
    let url = if source.is_set("SFTP_HOST") {
        ServerUrl::default()
    } else {
        source.url("sftp").map(server_url).unwrap_or_default()
    };
    let host = source.text("SFTP_HOST").unwrap_or(url.host);
    if host.is_empty() {
        return Err(missing("a host", "SFTP_HOST"));
    }
    let port = match source.text("SFTP_PORT").or(url.port) {
        None => SSH_PORT,
        Some(text) => {
            text.parse().ok().filter(|port| *port != 0).ok_or_else(|| PlanError::BadValue {
                name: "SFTP_PORT".to_owned(),
                expected: "a port number from 1 to 65535",
            })?
        }
    };
    let key = by_content(source, "SFTP_KEY_FILE")?;
    let known_hosts = match source.env.raw("SFTP_KNOWN_HOSTS_DATA") {
        Some(data) => Some(PathOrContent::Content(SecretString::from(data))),
        None => known_hosts(source)?,
    };
    if known_hosts.is_none() {
        findings.notice(
            "no key of the SFTP server is known: set SFTP_KNOWN_HOSTS_DATA to the output of ssh-keyscan, or the connection will be refused",
        );
    }
    Ok(Storage::Sftp {
        host: host.to_owned(),
        port,
        username: source.text("SFTP_USERNAME").or(url.user).unwrap_or_default().to_owned(),
        path: source.text("SFTP_PATH").unwrap_or(url.path).to_owned(),
        password: source.text("SFTP_PASSWORD").or(url.password).map(SecretString::from),
        key,
        known_hosts,
    })
}

/// A line of known hosts has blanks in it, a path of the contract has none.
fn known_hosts(source: &Source<'_>) -> Result<Option<PathOrContent>, PlanError> {
    const NAME: &str = "SFTP_KNOWN_HOSTS";
    match (source.text(NAME), source.env.raw(NAME)) {
        (Some(text), Some(raw)) if text.contains(' ') => {
            Ok(Some(PathOrContent::Content(SecretString::from(raw))))
        }
        _ => by_content(source, NAME),
    }
}

pub(super) fn rclone(source: &Source<'_>, _: &mut Findings) -> Result<Storage, PlanError> {
    let remote_path = source
        .text("RCLONE_REMOTE_PATH")
        .or_else(|| source.url("rclone"))
        .filter(|path| !path.is_empty())
        .ok_or(PlanError::StoreIncomplete {
            store: "Rclone",
            what: "a remote",
            variables: "RCLONE_REMOTE_PATH",
        })?;
    Ok(Storage::Rclone {
        remote_path: remote_path.to_owned(),
        exe: source.text("RCLONE_EXE").unwrap_or_default().to_owned(),
        config: by_content(source, "RCLONE_CONFIG")?,
    })
}
