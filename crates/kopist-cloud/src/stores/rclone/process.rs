//! Starting, watching and ending rclone.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde::Deserialize;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::config::{Config, KIND};
use super::folder::Folder;
use crate::ExtraRoots;
use crate::http::{Answer, Client, Request, Trust};
use crate::settings::Secret;
use crate::site::{Refusal, Settings, Site};
use crate::stores::webdav::{self, Behind, DavTree};

const SETTINGS: Settings = Settings {
    address: "--rclone-exe, --rclone-args and --rclone-env",
    trust: "--rclone-exe",
    credentials: "the configuration of rclone",
    place: "--remote-path",
};

/// The folder of further authorities.
const ROOTS: &str = "roots";
/// Names the folders of authorities to a program in Go.
const ROOT_FOLDERS: &str = "SSL_CERT_DIR";
/// What that is when it is not set (go:crypto/x509/root_linux.go).
const USUAL_ROOTS: &str = "/etc/ssl/certs:/etc/pki/tls/certs";

/// A running rclone. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    /// What it serves.
    pub(super) files: DavTree,
    control: Control,
    child: Mutex<Child>,
    _folder: Folder,
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What rclone says of itself while it starts.
enum Said {
    Files(String),
    Control(String),
    /// Something else.
    Line(String),
}

impl Process {
    pub(super) fn start(
        config: &Config,
        name: &str,
        roots: &ExtraRoots,
    ) -> Result<Self, BlobError> {
        // Our own connection is to the certificate that we make; rclone's go out.
        let ours = ExtraRoots::default();
        let site = Site { kind: KIND, name: name.to_owned(), settings: SETTINGS, roots: ours };
        let cannot =
            |what: &dyn std::fmt::Display| site.invalid(format!("cannot start rclone: {what}"));
        let folder = Folder::make().map_err(|error| cannot(&error))?;
        let user = format!("u{}", random().map_err(|error| cannot(&error))?);
        let password = format!("p{}", random().map_err(|error| cannot(&error))?);
        let fingerprint = prepare(folder.path(), config, &user, &password, roots)
            .map_err(|error| cannot(&error))?;
        let behind = Arc::new(Behind::default());
        let command = command(config, folder.path(), roots);
        let (mut child, said) = spawn(command, config.debug, Arc::clone(&behind))
            .map_err(|error| cannot_run(config, &site, &error))?;
        let (files_url, control_url) = match addresses(&said, config) {
            Ok(found) => found,
            Err(failure) => {
                // Nothing is left behind when it does not start as it should.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failure.told(&site));
            }
        };
        let password = Secret::from(password);
        let pair = format!("{user}:{}", password.expose());
        let authorization = Secret::from(format!("Basic {}", STANDARD.encode(pair)));
        let trust = Trust::Fingerprint(fingerprint.clone());
        let client = Client::new(&control_url, &trust, site.clone())?;
        let control = Control { client, url: control_url, authorization };
        let atomic_writes = config.atomic_writes && !control.can_move(&config.remote_path);
        let dav = webdav::Config {
            url: files_url,
            username: user,
            password,
            trusted_server_certificate_fingerprint: fingerprint,
            atomic_writes,
            sharding: config.sharding.clone(),
        };
        let files = DavTree::new(&dav, site)?.of_rclone(behind);
        let child = Mutex::new(child);
        Ok(Self { files, control, child, _folder: folder })
    }

    /// Whether it has not ended.
    pub(super) fn runs(&self) -> bool {
        matches!(self.child.lock().try_wait(), Ok(None))
    }

    /// Makes it forget the directories that it remembers.
    pub(super) fn forget(&self) -> Result<(), BlobError> {
        self.control.ask("vfs/forget", b"{}").map(drop)
    }
}

/// The remote control of a running rclone.
#[derive(Debug)]
struct Control {
    client: Client,
    url: String,
    authorization: Secret,
}

impl Control {
    fn ask(&self, command: &str, parameters: &[u8]) -> Result<Answer, BlobError> {
        let site = self.client.site();
        let target = site.target();
        let body = [parameters];
        let request = Request::new("POST", format!("{}{command}", self.url))
            .header("authorization", self.authorization.expose())
            .header("content-type", "application/json")
            .body(&body);
        let answer = self.client.send(&request, Operation::Get, &target)?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(site.refused(&Refusal::by_status(&answer), Operation::Get, &target))
    }

    /// Whether a remote can give a file another name. Those that can are mostly directories, and
    /// show a file while it is being written; those that cannot are mostly buckets, and do not.
    fn can_move(&self, remote: &str) -> bool {
        #[derive(Deserialize)]
        struct Info {
            #[serde(rename = "Features")]
            features: Features,
        }
        #[derive(Deserialize)]
        struct Features {
            #[serde(rename = "Move")]
            moves: bool,
        }
        let parameters = serde_json::json!({ "fs": remote }).to_string();
        let told = self
            .ask("operations/fsinfo", parameters.as_bytes())
            .map_err(|error| error.to_string())
            .and_then(|answer| {
                serde_json::from_slice::<Info>(&answer.body).map_err(|error| error.to_string())
            });
        match told {
            Ok(info) => info.features.moves,
            Err(error) => {
                // Then what the settings say counts.
                tracing::debug!(error, "rclone does not say what its remote can do");
                false
            }
        }
    }
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// Writes what rclone needs into a folder, and returns the SHA-256 of its certificate.
fn prepare(
    folder: &Path,
    config: &Config,
    user: &str,
    password: &str,
    roots: &ExtraRoots,
) -> Result<String, Box<dyn std::error::Error>> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    parameters.distinguished_name.push(DnType::OrganizationName, "Kopist");
    let certificate = parameters.self_signed(&key)?;
    let hash = STANDARD.encode(Sha1::digest(password));
    write(&folder.join("webdav.cert"), certificate.pem().as_bytes())?;
    write(&folder.join("webdav.key"), key.serialize_pem().as_bytes())?;
    write(&folder.join("htpasswd"), format!("{user}:{{SHA}}{hash}\n").as_bytes())?;
    if !config.embedded.is_empty() {
        write(&folder.join("rclone.conf"), config.embedded.expose().as_bytes())?;
    }
    if !roots.is_empty() {
        std::fs::create_dir(folder.join(ROOTS))?;
        write(&folder.join(ROOTS).join("further.pem"), roots.pem())?;
    }
    Ok(hex::encode(Sha256::digest(certificate.der())))
}

/// Writes a file that nobody else may read.
fn write(path: &Path, data: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(data)
}

/// The command line of kopia. Nothing on it is secret.
fn command(config: &Config, folder: &Path, roots: &ExtraRoots) -> Command {
    let mut command = Command::new(config.program());
    command.args(["-v", "serve", "webdav"]).arg(&config.remote_path).args(&config.rclone_args);
    if !config.embedded.is_empty() {
        command.arg("--config").arg(folder.join("rclone.conf"));
    }
    let (certificate, key) = (folder.join("webdav.cert"), folder.join("webdav.key"));
    let passwords = folder.join("htpasswd");
    command.args(["--addr", "127.0.0.1:0", "--rc", "--rc-addr", "127.0.0.1:0"]);
    for (name, file) in [
        ("--rc-cert", &certificate),
        ("--rc-key", &key),
        ("--rc-htpasswd", &passwords),
        ("--cert", &certificate),
        ("--key", &key),
        ("--htpasswd", &passwords),
    ] {
        command.arg(name).arg(file);
    }
    command.args(["--stats", "1s", "--stats-one-line"]);
    command.args(["--stats-one-line-date-format=STATS:KOPIA", "--vfs-write-back=0s"]);
    if !config.rclone_env.is_empty() {
        command.env_clear();
        command.envs(config.rclone_env.iter().filter_map(|pair| pair.expose().split_once('=')));
    }
    if !roots.is_empty() {
        command.env(ROOT_FOLDERS, root_folders(config, folder));
    }
    // Signals for us are not for it: it must live until our last request.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Where rclone looks for authorities: as without us, and in a folder of ours. (Its own option
/// `--ca-cert` would replace the others.)
fn root_folders(config: &Config, folder: &Path) -> OsString {
    let mut given = config.rclone_env.iter().filter_map(|pair| pair.expose().split_once('='));
    let given = given.rfind(|(name, _)| *name == ROOT_FOLDERS);
    let usual = match given {
        Some((_, value)) => Some(value.into()),
        None if config.rclone_env.is_empty() => std::env::var_os(ROOT_FOLDERS),
        None => None,
    };
    let mut folders = usual.filter(|value| !value.is_empty()).unwrap_or(USUAL_ROOTS.into());
    folders.push(":");
    folders.push(folder.join(ROOTS));
    folders
}

/// Starts rclone, and a thread that reads what it prints, as long as it prints, so that it never
/// waits for us. On Linux the kernel ends rclone with the thread that has started it; so that is
/// this one, which ends before rclone only if we are killed.
fn spawn(
    mut command: Command,
    debug: bool,
    behind: Arc<Behind>,
) -> std::io::Result<(Child, Receiver<Said>)> {
    let (started, child) = channel();
    let (sender, said) = channel();
    std::thread::Builder::new().name("rclone".to_owned()).spawn(move || {
        end_with_this_thread(&mut command);
        let mut spawned = command.spawn();
        let stderr = spawned.as_mut().ok().and_then(|child| child.stderr.take());
        // Who has asked waits for this.
        let _ = started.send(spawned);
        if let Some(stderr) = stderr {
            report(stderr, debug, &behind, &sender);
        }
    })?;
    Ok((child.recv().map_err(std::io::Error::other)??, said))
}

#[cfg(target_os = "linux")]
fn end_with_this_thread(command: &mut Command) {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let set = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec this makes one system call, and neither allocates nor locks.
    unsafe { command.pre_exec(set) };
}

#[cfg(not(target_os = "linux"))]
fn end_with_this_thread(_: &mut Command) {}

fn report(stderr: impl Read, debug: bool, behind: &Behind, sender: &Sender<Said>) {
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        behind.hear(&line);
        let is_news = !line.is_empty() && !line.contains("STATS:KOPIA");
        if debug {
            tracing::info!(rclone = %line);
        } else if is_news {
            tracing::debug!(rclone = %line);
        }
        if is_news {
            // Nobody listens once both addresses are known.
            let _ = sender.send(said(line));
        }
    }
}

/// What a line means.
fn said(line: String) -> Said {
    if let Some(url) = address(&line, "webdav server started on ") {
        Said::Files(url)
    } else if let Some(url) = address(&line, "serving remote control on ") {
        Said::Control(url)
    } else {
        Said::Line(line)
    }
}

/// The URL after some words, in brackets or not.
fn address(line: &str, words: &str) -> Option<String> {
    let at = line.to_ascii_lowercase().find(words)? + words.len();
    let rest = line.get(at..)?.trim_start_matches('[');
    let end = rest.find([' ', ']', ',']).unwrap_or(rest.len());
    let url = &rest[..end];
    url.starts_with("https://").then(|| format!("{}/", url.trim_end_matches('/')))
}

/// How a start has failed, and the last line that rclone has printed.
enum Failure {
    Ended(String),
    TimedOut(String),
}

impl Failure {
    /// What lies behind rclone may come back, and so may names that are asked for; what is wrong
    /// with the settings stays so.
    fn told(self, site: &Site) -> BlobError {
        let (what, last) = match self {
            Self::Ended(last) => ("it ended", last),
            Self::TimedOut(last) => {
                ("timed out waiting for rclone to start (--rclone-startup-timeout)", last)
            }
        };
        let saying = if last.is_empty() { String::new() } else { format!(", saying: {last}") };
        let text = format!(
            "cannot start rclone: {what}{saying}; check {} and {}",
            SETTINGS.place, SETTINGS.credentials
        );
        let lasting = [
            "didn't find section in config file",
            "didn't find backend",
            "unknown flag",
            "unknown shorthand flag",
            "Failed to load config file",
        ];
        if lasting.iter().any(|words| last.contains(words)) {
            return site.invalid(text);
        }
        site.remote(Operation::Open, &site.target(), true, text)
    }
}

/// The program itself cannot be run.
fn cannot_run(config: &Config, site: &Site, error: &std::io::Error) -> BlobError {
    use std::io::ErrorKind as K;
    let text = format!("--rclone-exe, {}, cannot be run: {error}", config.program());
    match error.kind() {
        // There may be memory or processes for it later.
        K::OutOfMemory | K::WouldBlock | K::ExecutableFileBusy => {
            site.remote(Operation::Open, &site.target(), true, text)
        }
        _ => site.invalid(text),
    }
}

/// Waits for both addresses.
fn addresses(said: &Receiver<Said>, config: &Config) -> Result<(String, String), Failure> {
    let deadline = Instant::now() + config.startup_timeout;
    let (mut files, mut control) = (None, None);
    let mut last = String::new();
    loop {
        if let (Some(files), Some(control)) = (&files, &control) {
            return Ok((String::clone(files), String::clone(control)));
        }
        match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Said::Files(url)) => files = Some(url),
            Ok(Said::Control(url)) => control = Some(url),
            Ok(Said::Line(line)) => last = line,
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::Ended(last)),
            Err(RecvTimeoutError::Timeout) => return Err(Failure::TimedOut(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_version_are_found() {
        let words = "webdav server started on ";
        for line in [
            "2026/11/21 NOTICE: Local file system at /r: WebDav Server started on https://127.0.0.1:4/",
            "NOTICE: WebDav Server started on [https://127.0.0.1:4/]",
        ] {
            assert_eq!(address(line, words).as_deref(), Some("https://127.0.0.1:4/"), "{line}");
        }
        assert_eq!(address("INFO: something else", words), None);
    }
}
