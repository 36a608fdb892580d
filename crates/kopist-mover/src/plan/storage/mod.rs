//! Which store, and how to reach it: from the variables of nine backends to one
//! typed setting.
//!
//! The reference looks at the backends in a fixed order and takes the first whose
//! variable is set. That order comes first here, too, because it decides where
//! existing repositories are. Only when it selects nothing do the other spellings
//! count: URLs of the other schemes and names that the documentation offers.
//!
//! | file | store |
//! | --- | --- |
//! | `s3` | S3 and everything that speaks it |
//! | `cloud` | Azure, Google Cloud Storage, Google Drive, B2 |
//! | `server` | WebDAV, SFTP, Rclone |
//! | `filesystem` | a mounted directory |
//! | `content` | whether a value is a credential or the path of one |

mod cloud;
mod content;
mod filesystem;
mod s3;
mod server;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::error::{Findings, PlanError};
use crate::env::Env;
use crate::probe::Probe;

/// A file of the container, or its content given directly.
#[derive(Debug, Clone)]
pub enum PathOrContent {
    /// Container path of an existing file.
    Path(PathBuf),
    /// The content; never shown.
    Content(SecretString),
}

/// A store with everything needed to reach it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Storage {
    /// S3 or a compatible service.
    S3 {
        /// Bucket.
        bucket: String,
        /// Prefix of all names; empty or ending in `/`.
        prefix: String,
        /// Host, with port if not the usual one.
        endpoint: String,
        /// Region; empty lets the service decide.
        region: String,
        /// Static keys; `None` means the ambient chain (roles, web identity).
        keys: Option<S3Keys>,
        /// Plain HTTP.
        no_tls: bool,
        /// Further root certificates (PEM).
        root_ca: Option<Vec<u8>>,
    },
    /// Azure blob storage.
    Azure {
        /// Container.
        container: String,
        /// Prefix of all names.
        prefix: String,
        /// Account.
        account: String,
        /// Account key.
        key: Option<SecretString>,
        /// Shared access signature, without the leading `?`.
        sas: Option<SecretString>,
        /// Domain of the service when it is not Azure's own.
        domain: Option<String>,
    },
    /// Google Cloud Storage.
    Gcs {
        /// Bucket.
        bucket: String,
        /// Prefix of all names.
        prefix: String,
        /// Service account; `None` means ambient credentials.
        credentials: Option<PathOrContent>,
    },
    /// A mounted directory.
    Filesystem {
        /// Container path.
        path: PathBuf,
    },
    /// Backblaze B2.
    B2 {
        /// Bucket.
        bucket: String,
        /// Prefix of all names.
        prefix: String,
        /// Application key id.
        key_id: SecretString,
        /// Application key.
        key: SecretString,
    },
    /// WebDAV.
    WebDav {
        /// Base URL, possibly with credentials inside.
        url: SecretString,
        /// User.
        username: Option<String>,
        /// Password.
        password: Option<SecretString>,
    },
    /// SFTP.
    Sftp {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// User.
        username: String,
        /// Directory on the server.
        path: String,
        /// Password.
        password: Option<SecretString>,
        /// Private key.
        key: Option<PathOrContent>,
        /// Keys of known servers.
        known_hosts: Option<PathOrContent>,
    },
    /// Anything that rclone reaches.
    Rclone {
        /// `remote:path`.
        remote_path: String,
        /// The program; empty means `rclone` on the search path.
        exe: String,
        /// Its configuration.
        config: Option<PathOrContent>,
    },
    /// Google Drive.
    GoogleDrive {
        /// Folder.
        folder: String,
        /// Service account.
        credentials: Option<PathOrContent>,
    },
    /// Given ready-made as `storage` of a connection file.
    Given {
        /// The `type`.
        kind: String,
        /// The `config` object; credentials inside, never shown.
        config: SecretString,
    },
}

/// Static S3 credentials.
#[derive(Debug, Clone)]
pub struct S3Keys {
    /// Access key id.
    pub access_key: SecretString,
    /// Secret access key.
    pub secret_key: SecretString,
    /// Token of a temporary session.
    pub session_token: Option<SecretString>,
}

impl Storage {
    /// The `type` of a Kopia connection file.
    pub fn kind(&self) -> &str {
        match self {
            Self::S3 { .. } => "s3",
            Self::Azure { .. } => "azureBlob",
            Self::Gcs { .. } => "gcs",
            Self::Filesystem { .. } => "filesystem",
            Self::B2 { .. } => "b2",
            Self::WebDav { .. } => "webdav",
            Self::Sftp { .. } => "sftp",
            Self::Rclone { .. } => "rclone",
            Self::GoogleDrive { .. } => "gdrive",
            Self::Given { kind, .. } => kind,
        }
    }

    /// The place in words for people, without credentials.
    pub fn describe(&self) -> String {
        match self {
            Self::S3 { bucket, prefix, endpoint, .. } => {
                format!("S3 bucket {bucket}, prefix \"{prefix}\" at {endpoint}")
            }
            Self::Azure { container, prefix, account, .. } => {
                format!("Azure container {container}, prefix \"{prefix}\" of account {account}")
            }
            Self::Gcs { bucket, prefix, .. } => {
                format!("Google Cloud Storage bucket {bucket}, prefix \"{prefix}\"")
            }
            Self::Filesystem { path } => format!("directory {}", path.display()),
            Self::B2 { bucket, prefix, .. } => format!("B2 bucket {bucket}, prefix \"{prefix}\""),
            Self::WebDav { url, .. } => {
                format!("WebDAV server {}", without_user_info(url.expose_secret()))
            }
            Self::Sftp { host, port, path, .. } => {
                format!("SFTP server {host}, port {port}, path {path}")
            }
            Self::Rclone { remote_path, .. } => format!("rclone remote {remote_path}"),
            Self::GoogleDrive { folder, .. } => format!("Google Drive folder {folder}"),
            Self::Given { kind, .. } => format!("{kind} storage of the repository configuration"),
        }
    }

    /// The `config` object of a Kopia connection file, credentials included.
    pub fn config(&self) -> Value {
        let mut config = Map::new();
        let mut put = |key: &str, value: Value| {
            let empty = matches!(&value, Value::Null)
                || value.as_str() == Some("")
                || value == Value::Bool(false);
            if !empty {
                config.insert(key.to_owned(), value);
            }
        };
        match self {
            Self::S3 { bucket, prefix, endpoint, region, keys, no_tls, root_ca } => {
                put("bucket", json!(bucket));
                put("prefix", json!(prefix));
                put("endpoint", json!(endpoint));
                put("region", json!(region));
                put("doNotUseTLS", json!(no_tls));
                if let Some(keys) = keys {
                    put("accessKeyID", shown(&keys.access_key));
                    put("secretAccessKey", shown(&keys.secret_key));
                    put("sessionToken", maybe(keys.session_token.as_ref()));
                }
                if let Some(pem) = root_ca {
                    use base64::{Engine, engine::general_purpose::STANDARD};
                    put("rootCA", json!(STANDARD.encode(pem)));
                }
            }
            Self::Azure { container, prefix, account, key, sas, domain } => {
                put("container", json!(container));
                put("prefix", json!(prefix));
                put("storageAccount", json!(account));
                put("storageKey", maybe(key.as_ref()));
                put("sasToken", maybe(sas.as_ref()));
                put("storageDomain", json!(domain));
            }
            Self::Gcs { bucket, prefix, credentials } => {
                put("bucket", json!(bucket));
                put("prefix", json!(prefix));
                put_credentials(&mut put, credentials.as_ref());
            }
            Self::Filesystem { path } => put("path", json!(path)),
            Self::B2 { bucket, prefix, key_id, key } => {
                put("bucket", json!(bucket));
                put("prefix", json!(prefix));
                put("keyID", shown(key_id));
                put("key", shown(key));
            }
            Self::WebDav { url, username, password } => {
                put("url", shown(url));
                put("username", json!(username));
                put("password", maybe(password.as_ref()));
            }
            Self::Sftp { host, port, username, path, password, key, known_hosts } => {
                put("host", json!(host));
                put("port", json!(port));
                put("username", json!(username));
                put("path", json!(path));
                put("password", maybe(password.as_ref()));
                match key {
                    Some(PathOrContent::Path(path)) => put("keyfile", json!(path)),
                    Some(PathOrContent::Content(key)) => put("keyData", shown(key)),
                    None => {}
                }
                match known_hosts {
                    Some(PathOrContent::Path(path)) => put("knownHostsFile", json!(path)),
                    Some(PathOrContent::Content(hosts)) => put("knownHostsData", shown(hosts)),
                    None => {}
                }
            }
            Self::Rclone { remote_path, exe, config: own } => {
                put("remotePath", json!(remote_path));
                put("rcloneExe", json!(exe));
                match own {
                    Some(PathOrContent::Content(text)) => put("embeddedConfig", shown(text)),
                    Some(PathOrContent::Path(path)) => {
                        put("rcloneArgs", json!([format!("--config={}", path.display())]));
                    }
                    None => {}
                }
            }
            Self::GoogleDrive { folder, credentials } => {
                put("folderID", json!(folder));
                put_credentials(&mut put, credentials.as_ref());
            }
            Self::Given { config, .. } => {
                return serde_json::from_str(config.expose_secret()).unwrap_or(Value::Null);
            }
        }
        Value::Object(config)
    }
}

fn shown(secret: &SecretString) -> Value {
    Value::from(secret.expose_secret())
}

fn maybe(secret: Option<&SecretString>) -> Value {
    secret.map_or(Value::Null, shown)
}

fn put_credentials(put: &mut impl FnMut(&str, Value), credentials: Option<&PathOrContent>) {
    match credentials {
        Some(PathOrContent::Path(path)) => put("credentialsFile", json!(path)),
        // Checked to be JSON when the plan was made.
        Some(PathOrContent::Content(text)) => {
            put("credentials", serde_json::from_str(text.expose_secret()).unwrap_or(Value::Null));
        }
        None => {}
    }
}

/// `scheme://user:password@host/…` without the part before the `@`.
fn without_user_info(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.rsplit('@').next().unwrap_or_default().to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// What the resolvers look at.
struct Source<'a> {
    env: &'a Env,
    probe: &'a dyn Probe,
    root_ca: Option<&'a [u8]>,
}

impl<'a> Source<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.env.text(name)
    }

    fn first(&self, names: &[&str]) -> Option<&'a str> {
        self.env.first(names).map(|(_, value)| value)
    }

    /// The text after `<scheme>://` of the repository URL.
    fn url(&self, scheme: &str) -> Option<&'a str> {
        self.text("KOPIA_REPOSITORY")?.strip_prefix(scheme)?.strip_prefix("://")
    }

    fn is_set(&self, name: &str) -> bool {
        self.env.is_set(name)
    }
}

type Resolver = fn(&Source<'_>, &mut Findings) -> Result<Storage, PlanError>;

/// Finds the store that the environment selects.
///
/// `root_ca` are further root certificates (PEM). Without any selection the answer
/// is `Err(NoRepository)`.
pub(super) fn resolve(
    env: &Env,
    probe: &dyn Probe,
    root_ca: Option<&[u8]>,
    findings: &mut Findings,
) -> Result<Storage, PlanError> {
    let source = Source { env, probe, root_ca };
    let resolver = select(&source).ok_or(PlanError::NoRepository)?;
    resolver(&source, findings)
}

fn select(source: &Source<'_>) -> Option<Resolver> {
    let set = |name: &str| source.is_set(name);
    let url = |scheme: &str| source.url(scheme).is_some();
    let filesystem =
        source.text("KOPIA_REPOSITORY").is_some_and(|text| text.starts_with("filesystem:"));
    let reference: [(bool, Resolver); 9] = [
        (set("KOPIA_S3_BUCKET") || url("s3"), s3::resolve),
        (set("KOPIA_AZURE_CONTAINER"), cloud::azure),
        (set("KOPIA_GCS_BUCKET"), cloud::gcs),
        (url("filesystem"), filesystem::resolve),
        (set("KOPIA_B2_BUCKET"), cloud::b2),
        (set("WEBDAV_URL"), server::webdav),
        (set("SFTP_HOST"), server::sftp),
        (set("RCLONE_REMOTE_PATH"), server::rclone),
        (set("GOOGLE_DRIVE_FOLDER_ID"), cloud::gdrive),
    ];
    let documented: [(bool, Resolver); 11] = [
        (filesystem, filesystem::resolve),
        (url("azure"), cloud::azure),
        (url("gcs") || url("gs"), cloud::gcs),
        (url("b2"), cloud::b2),
        (url("webdav"), server::webdav),
        (url("sftp"), server::sftp),
        (url("rclone"), server::rclone),
        (url("gdrive"), cloud::gdrive),
        (set("GCS_BUCKET"), cloud::gcs),
        (set("KOPIA_FS_PATH"), filesystem::former_path),
        (!set("KOPIA_REPOSITORY") && filesystem::has_former_place(source), filesystem::resolve),
    ];
    reference.into_iter().chain(documented).find_map(|(hit, resolver)| hit.then_some(resolver))
}

/// The rules for name prefixes: allowed characters, no `..`, runs of `/` become
/// one, a final `/` is added. Empty stays empty.
fn prefix_of(text: &str, store: &'static str) -> Result<String, PlanError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if text.contains("..") || !text.chars().all(allowed) {
        return Err(PlanError::Prefix(store));
    }
    let mut prefix = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if !(c == '/' && prefix.ends_with('/')) {
            prefix.push(c);
        }
    }
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    Ok(prefix)
}

/// `host/rest` of a URL without its scheme.
fn split_host(rest: &str) -> (&str, &str) {
    rest.split_once('/').unwrap_or((rest, ""))
}
