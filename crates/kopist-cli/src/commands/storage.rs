//! From the flags of a storage provider to the configuration of its storage.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use kopist_blob::{BlobError, BlobStore, StorageConfig, filesystem::FilesystemConfig};
use kopist_cloud::{ConnectError, ConnectOptions};
use kopist_repo::{LocalConfig, config::token};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    env::expand_home,
    error::{CommandError, Context},
    grammar::{Command, Matches},
    output::duration,
};

/// What the storage is configured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A repository that exists.
    Connect,
    /// A copy of a repository, which may begin here.
    Copy,
    /// A new repository of this format version, 0 being the default.
    Create(i64),
}

/// A storage, and the password if a token contained it.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) storage: StorageConfig,
    pub(super) password: Option<SecretString>,
}

/// The providers of the command line, and the types of storage that they are.
const PROVIDERS: [(&str, &str); 9] = [
    ("filesystem", "filesystem"),
    ("s3", "s3"),
    ("azure", "azureBlob"),
    ("gcs", "gcs"),
    ("b2", "b2"),
    ("sftp", "sftp"),
    ("webdav", "webdav"),
    ("rclone", "rclone"),
    ("gdrive", "gdrive"),
];

/// Whether a command is about a kind of storage that this build lacks.
pub(crate) fn unsupported_provider(path: &[&'static Command]) -> bool {
    let word = path.last().map_or("", |command| command.name);
    let kind = PROVIDERS.iter().find(|(provider, _)| *provider == word).map(|(_, kind)| *kind);
    kind.is_some_and(|kind| {
        !kopist_cloud::kinds().any(|known| known.name == kind && known.included)
    })
}

/// The storage that the flags of the provider's command describe.
pub(super) fn from_flags(
    app: &App,
    matches: &Matches,
    purpose: Purpose,
) -> Result<Chosen, CommandError> {
    let provider = matches.path().last().map_or("", |command| command.name);
    let storage = match provider {
        "filesystem" => filesystem(app, matches, purpose)?,
        "s3" => s3(matches)?,
        "azure" => azure(matches),
        "gcs" => gcs(matches)?,
        "b2" => b2(matches),
        "gdrive" => gdrive(matches)?,
        "rclone" => rclone(matches, purpose)?,
        "sftp" => sftp(matches, purpose)?,
        "webdav" => webdav(app, matches, purpose)?,
        "from-config" => return from_config(matches, purpose),
        other => {
            return Err(CommandError::not_supported(&format!("a repository on '{other}'")));
        }
    };
    Ok(Chosen { storage, password: None })
}

/// Opens the storage. Kinds that this build lacks are refused as not supported.
pub(super) fn open(
    storage: &StorageConfig,
    options: &ConnectOptions,
    purpose: Purpose,
) -> Result<Arc<dyn BlobStore>, CommandError> {
    let opened = match purpose {
        Purpose::Connect => kopist_cloud::connect(storage, options),
        Purpose::Copy => match kopist_cloud::connect(storage, options) {
            // As with kopia, only SFTP makes its directory for a copy.
            Err(ConnectError::Store(BlobError::Inaccessible { source, .. }))
                if storage.kind == "sftp" && source.kind() == io::ErrorKind::NotFound =>
            {
                kopist_cloud::create(storage, options)
            }
            connected => connected,
        },
        Purpose::Create(_) => kopist_cloud::create(storage, options),
    };
    opened.map_err(|error| match error {
        ConnectError::NotIncluded { title, .. } => {
            CommandError::not_supported(&format!("a repository on {title}"))
        }
        error => error.into(),
    })
}

/// Builds the keys of a configuration in kopia's order; absent values are left out.
#[derive(Default)]
struct Keys(Map<String, Value>);

impl Keys {
    fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    fn text(self, key: &str, matches: &Matches, flag: &str) -> Self {
        let value = matches.text(flag).unwrap_or_default();
        self.set(key, value)
    }

    fn text_if_given(self, key: &str, matches: &Matches, flag: &str) -> Self {
        match matches.non_empty(flag) {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    fn switch_if_on(self, key: &str, matches: &Matches, flag: &str) -> Self {
        if matches.flag(flag) { self.set(key, true) } else { self }
    }

    /// The keys of stores that keep blobs as files.
    fn sharding(mut self, matches: &Matches, purpose: Purpose) -> Self {
        self = self.set("dirShards", json!(shards(matches, purpose)));
        match matches.count("list-parallelism") {
            None | Some(0) => self,
            Some(count) => self.set("listParallelism", count),
        }
    }

    /// Speed limits stand at the end of every configuration.
    fn finish(mut self, kind: &str, matches: &Matches) -> StorageConfig {
        for (key, flag) in [
            ("maxUploadSpeedBytesPerSecond", "max-upload-speed"),
            ("maxDownloadSpeedBytesPerSecond", "max-download-speed"),
        ] {
            if let Some(limit) = matches.float(flag).filter(|limit| *limit != 0.0) {
                self = self.set(key, limit);
            }
        }
        StorageConfig::new(kind, Value::Object(self.0))
    }
}

fn filesystem(
    app: &App,
    matches: &Matches,
    purpose: Purpose,
) -> Result<StorageConfig, CommandError> {
    let path = expand_home(matches.os("path").unwrap_or_default(), app.env.os("HOME"));
    if !path.is_absolute() {
        return Err(CommandError::new("filesystem repository path must be absolute"));
    }
    let number = |flag: &str| matches.text(flag).and_then(|v| v.parse().ok());
    let mode = |flag: &str, default| {
        let given = matches.text(flag).and_then(|v| u32::from_str_radix(&v, 8).ok());
        given.unwrap_or(default)
    };
    let mut config = FilesystemConfig::new(path);
    config.file_mode = mode("file-mode", 0o600);
    config.dir_mode = mode("dir-mode", 0o700);
    config.uid = number("owner-uid");
    config.gid = number("owner-gid");
    config.list_parallelism = matches.count("list-parallelism").unwrap_or(0);
    config.dir_shards = shards(matches, purpose);
    config.limits.download_bytes_per_second = matches.float("max-download-speed").unwrap_or(0.0);
    config.limits.upload_bytes_per_second = matches.float("max-upload-speed").unwrap_or(0.0);
    Ok(config.to_storage())
}

/// The layout of a new store of files; `None` is the usual one.
fn shards(matches: &Matches, purpose: Purpose) -> Option<Vec<usize>> {
    match purpose {
        _ if matches.flag("flat") => Some(Vec::new()),
        // Programs of the time of format 1 know no other layout.
        Purpose::Create(1) => Some(vec![3, 3]),
        _ => None,
    }
}

fn s3(matches: &Matches) -> Result<StorageConfig, CommandError> {
    let ca_text = matches.non_empty("root-ca-pem-base64");
    let ca = match (ca_text, matches.os("root-ca-pem-path").filter(|p| !p.is_empty())) {
        (Some(_), Some(_)) => {
            return Err(CommandError::new(
                "root-ca-pem-base64 and root-ca-pem-path are mutually exclusive",
            ));
        }
        (Some(text), None) => Some(text),
        (None, Some(path)) => {
            let pem = fs::read(path).context("error opening root-ca-pem-path")?;
            Some(base64(&pem)?)
        }
        (None, None) => None,
    };
    let mut keys = Keys::default()
        .text("bucket", matches, "bucket")
        .text_if_given("prefix", matches, "prefix")
        .text("endpoint", matches, "endpoint")
        .switch_if_on("doNotUseTLS", matches, "disable-tls")
        .switch_if_on("doNotVerifyTLS", matches, "disable-tls-verification");
    if let Some(ca) = ca {
        keys = keys.set("rootCA", ca);
    }
    Ok(keys
        .text("accessKeyID", matches, "access-key")
        .text("secretAccessKey", matches, "secret-access-key")
        .text("sessionToken", matches, "session-token")
        .set("roleARN", "")
        .set("sessionName", "")
        .set("duration", "0s")
        .set("roleEndpoint", "")
        .set("roleRegion", "")
        .text_if_given("region", matches, "region")
        .text_if_given("pointInTime", matches, "point-in-time")
        .finish("s3", matches))
}

/// Base64 as it stands in JSON made by Go.
fn base64(bytes: &[u8]) -> Result<String, CommandError> {
    struct Bytes<'a>(&'a [u8]);
    impl serde::Serialize for Bytes<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            kopist_format::json::bytes::serialize(&self.0, serializer)
        }
    }
    let json = serde_json::to_value(Bytes(bytes))?;
    Ok(json.as_str().unwrap_or_default().to_owned())
}

fn azure(matches: &Matches) -> StorageConfig {
    Keys::default()
        .text("container", matches, "container")
        .text_if_given("prefix", matches, "prefix")
        .text_if_given("storageAccount", matches, "storage-account")
        .text_if_given("storageKey", matches, "storage-key")
        .text_if_given("sasToken", matches, "sas-token")
        .text_if_given("TenantID", matches, "tenant-id")
        .text_if_given("ClientID", matches, "client-id")
        .text_if_given("ClientSecret", matches, "client-secret")
        .text_if_given("clientCertificate", matches, "client-cert")
        .text_if_given("azureFederatedTokenFile", matches, "azure-federated-token-file")
        .text_if_given("storageDomain", matches, "storage-domain")
        .text_if_given("pointInTime", matches, "point-in-time")
        .finish("azureBlob", matches)
}

fn gcs(matches: &Matches) -> Result<StorageConfig, CommandError> {
    let mut keys = Keys::default()
        .text("bucket", matches, "bucket")
        .text_if_given("prefix", matches, "prefix");
    keys = google_credentials(keys, matches)?;
    Ok(keys
        .switch_if_on("readOnly", matches, "read-only")
        .text_if_given("pointInTime", matches, "point-in-time")
        .finish("gcs", matches))
}

fn google_credentials(keys: Keys, matches: &Matches) -> Result<Keys, CommandError> {
    match matches.os("credentials-file") {
        Some(file) if matches.flag("embed-credentials") => {
            let text = fs::read_to_string(file)
                .context("unable to open service account credentials file")?;
            let embedded: Value = serde_json::from_str(&text)
                .context(format!("credentials in {}", Path::new(file).display()))?;
            Ok(keys.set("credentials", embedded))
        }
        _ => Ok(keys.text_if_given("credentialsFile", matches, "credentials-file")),
    }
}

fn gdrive(matches: &Matches) -> Result<StorageConfig, CommandError> {
    let keys = Keys::default().text("folderID", matches, "folder-id");
    Ok(google_credentials(keys, matches)?
        .switch_if_on("readOnly", matches, "read-only")
        .finish("gdrive", matches))
}

fn b2(matches: &Matches) -> StorageConfig {
    Keys::default()
        .text("bucket", matches, "bucket")
        .text_if_given("prefix", matches, "prefix")
        .text("keyID", matches, "key-id")
        .text("key", matches, "key")
        .finish("b2", matches)
}

fn sftp(matches: &Matches, purpose: Purpose) -> Result<StorageConfig, CommandError> {
    let external = matches.flag("external");
    let embed = !external && matches.flag("embed-credentials");
    // A file is embedded, or named by a path that holds in every directory.
    let file = |data_flag: &str, file_flag: &str, what: &str| {
        let data = matches.text(data_flag).unwrap_or_default();
        let file = matches.non_empty(file_flag).unwrap_or_default();
        if !data.is_empty() || file.is_empty() || external {
            return Ok((data, file));
        }
        if embed {
            let text = fs::read_to_string(&file).context(format!("unable to read {what} file"))?;
            return Ok((text, String::new()));
        }
        let path = std::path::absolute(&file).context("error getting absolute path")?;
        Ok::<_, CommandError>((data, path.display().to_string()))
    };
    let password = matches.text("sftp-password").unwrap_or_default();
    let (key_data, keyfile) = file("key-data", "keyfile", "key")?;
    let (known_hosts_data, known_hosts) = file("known-hosts-data", "known-hosts", "known hosts")?;
    if !external && password.is_empty() && key_data.is_empty() && keyfile.is_empty() {
        return Err(CommandError::new(
            "must provide either --sftp-password, --keyfile or --key-data",
        ));
    }
    if !external && known_hosts_data.is_empty() && known_hosts.is_empty() {
        return Err(CommandError::new("must provide either --known-hosts or --known-hosts-data"));
    }
    let mut keys = Keys::default()
        .text("path", matches, "path")
        .text("host", matches, "host")
        .set("port", matches.int("port").unwrap_or(22))
        .text("username", matches, "username")
        .set("password", password);
    for (key, value) in [
        ("keyfile", keyfile),
        ("keyData", key_data),
        ("knownHostsFile", known_hosts),
        ("knownHostsData", known_hosts_data),
    ] {
        if !value.is_empty() {
            keys = keys.set(key, value);
        }
    }
    Ok(keys
        .set("externalSSH", external)
        .text_if_given("sshCommand", matches, "ssh-command")
        .text_if_given("sshArguments", matches, "ssh-args")
        .sharding(matches, purpose)
        .finish("sftp", matches))
}

fn webdav(app: &App, matches: &Matches, purpose: Purpose) -> Result<StorageConfig, CommandError> {
    let username = matches.text("webdav-username").unwrap_or_default();
    let mut password = matches.text("webdav-password").unwrap_or_default();
    if !username.is_empty() && password.is_empty() {
        app.ask("Enter WebDAV password: ")?.expose_secret().clone_into(&mut password);
    }
    let mut keys = Keys::default().text("url", matches, "url").text_if_given(
        "username",
        matches,
        "webdav-username",
    );
    if !password.is_empty() {
        keys = keys.set("password", password);
    }
    Ok(keys
        .set("atomicWrites", matches.flag("atomic-writes"))
        .sharding(matches, purpose)
        .finish("webdav", matches))
}

fn rclone(matches: &Matches, purpose: Purpose) -> Result<StorageConfig, CommandError> {
    let mut keys = Keys::default().text("remotePath", matches, "remote-path").text_if_given(
        "rcloneExe",
        matches,
        "rclone-exe",
    );
    for (key, flag) in [("rcloneArgs", "rclone-args"), ("rcloneEnv", "rclone-env")] {
        let values = matches.texts(flag);
        if !values.is_empty() {
            keys = keys.set(key, values);
        }
    }
    let timeout = matches.duration("rclone-startup-timeout").unwrap_or_default();
    keys = keys
        .set("startupTimeout", duration(timeout))
        .switch_if_on("debug", matches, "rclone-debug")
        .switch_if_on("noWaitForTransfers", matches, "rclone-nowait-for-transfers");
    if let Some(file) = matches.os("embed-rclone-config").filter(|file| !file.is_empty()) {
        let text = fs::read_to_string(file).context("unable to read rclone config file")?;
        keys = keys.set("embeddedConfig", text);
    }
    Ok(keys
        .set("atomicWrites", matches.flag("atomic-writes"))
        .sharding(matches, purpose)
        .finish("rclone", matches))
}

fn from_config(matches: &Matches, purpose: Purpose) -> Result<Chosen, CommandError> {
    let file = matches.os("file").filter(|f| !f.is_empty());
    if let (Some(file), Purpose::Connect) = (file, purpose) {
        let config = LocalConfig::load(Path::new(file)).context("unable to open config")?;
        let storage = config.storage.ok_or_else(|| {
            CommandError::new(
                "connection file does not specify blob storage connection parameters, \
                 kopia server connections are not supported",
            )
        })?;
        return Ok(Chosen { storage, password: None });
    }
    let text = if let Some(token) = matches.non_empty("token") {
        token
    } else if let Some(file) = matches.os("token-file").filter(|f| !f.is_empty()) {
        fs::read_to_string(file).context("unable to open token file")?
    } else if matches.flag("token-stdin") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("unable to read token from stdin")?;
        text
    } else if purpose == Purpose::Connect {
        return Err(CommandError::new(
            "one of --file, --token-file, --token-stdin or --token must be provided",
        ));
    } else {
        return Err(CommandError::new(
            "one of --token-file, --token-stdin or --token must be provided",
        ));
    };
    let (storage, password) = token::decode(&text).context("invalid token")?;
    Ok(Chosen { storage, password })
}

/// Keys of storage configurations whose values are secret (`kopia:repo/blob/*/`).
const SECRETS: [&str; 9] = [
    "secretAccessKey",
    "sessionToken",
    "storageKey",
    "sasToken",
    "ClientSecret",
    "clientCertificate",
    "key",
    "password",
    "keyData",
];

/// The configuration for people to see: each secret text as asterisks of the same length.
///
/// Embedded credentials, which are not texts, become an empty object.
pub(super) fn without_secrets(storage: &StorageConfig) -> StorageConfig {
    let mut shown = storage.clone();
    if let Value::Object(keys) = &mut shown.config {
        for (key, value) in keys.iter_mut() {
            let is = |secret: &&&str| secret.eq_ignore_ascii_case(key);
            match value {
                Value::String(text) if SECRETS.iter().any(|s| is(&s)) => {
                    *text = "*".repeat(text.len());
                }
                Value::String(text) if key.eq_ignore_ascii_case("url") => hide_password(text),
                value if key.eq_ignore_ascii_case("credentials") => *value = json!({}),
                value if key.eq_ignore_ascii_case("embeddedConfig") => *value = json!(""),
                _ => {}
            }
        }
    }
    shown
}

/// Turns the password in a URL into asterisks of the same length.
fn hide_password(url: &mut String) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let Some(at) = url[start..end].rfind('@') else { return };
    let Some(colon) = url[start..start + at].find(':') else { return };
    let password = start + colon + 1..start + at;
    url.replace_range(password.clone(), &"*".repeat(password.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        for (url, expected) in [
            ("https://me:p%40ss@h:1/d?x=a:b@c", "https://me:******@h:1/d?x=a:b@c"),
            ("https://me:a@b@h/", "https://me:***@h/"),
            ("https://me@h/", "https://me@h/"),
            ("https://h:1/a:b@c", "https://h:1/a:b@c"),
            ("", ""),
        ] {
            let shown = without_secrets(&StorageConfig::new("webdav", json!({"url": url})));
            assert_eq!(shown.config["url"], expected);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = json!({"bucket": "b", "secretAccessKey": "abc", "credentials": {"k": "x"}});
        let shown = without_secrets(&StorageConfig::new("s3", config));
        let expected = json!({"bucket": "b", "secretAccessKey": "***", "credentials": {}});
        assert_eq!(shown.config, expected);
    }
}
