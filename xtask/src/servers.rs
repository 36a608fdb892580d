//! Installs the servers that the tests of the stores start, from the package registries.
//!
//! What is there already stays as it is. Servers in Go and JavaScript go into a folder of their
//! own ([`servers::tools`]), which needs no rights and is kept between runs. Debian's packages
//! need root: root installs them, and so does a machine of CI that may use `sudo`; anybody else
//! is told the command. A server that cannot be had is named in a line that begins with
//! `skipped:`, and so is every test that wants it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kopist_testkit::servers;

use crate::step::{self, Result, headline, skipped};

/// Programs, and the packages of Debian that have them.
const DEBIAN: [(&str, &[&str]); 8] = [
    ("apache2", &["apache2"]),
    ("sshd", &["openssh-server", "openssh-sftp-server"]),
    ("ssh", &["openssh-client"]),
    ("rclone", &["rclone"]),
    ("curl", &["curl"]),
    ("openssl", &["openssl"]),
    ("python3", &["python3"]),
    ("gnome-keyring-daemon", &["gnome-keyring"]),
];

/// Programs, and the packages of Go that they are built from.
const GO: [(&str, &str); 2] = [
    ("versitygw", "github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
    ("fake-gcs-server", "github.com/fsouza/fake-gcs-server@v1.56.1"),
];

/// Azure's emulator, and its package of npm.
const AZURITE: (&str, &str) = ("azurite-blob", "azurite@3.35.0");

/// The account of that emulator is a host, as Azure's accounts are.
const AZURITE_HOST: &str = "devstoreaccount1.blob.localhost";

/// A slow build must not eat the time of the tests.
const PATIENCE: Duration = Duration::from_mins(5);

/// Installs what is missing and can be had; what cannot is skipped, in so many words.
pub(crate) fn install() -> Result {
    headline("servers of storage");
    let tools = servers::tools();
    std::fs::create_dir_all(tools.join("bin"))
        .map_err(|e| format!("cannot make {}: {e}", tools.display()))?;
    debian();
    for (program, package) in GO {
        if missing(program) && !go(package, &tools) {
            skipped(program, &format!("`go install {package}` does not work here"));
        }
    }
    let (program, package) = AZURITE;
    if missing(program) && !npm(package, &tools) {
        skipped(program, &format!("`npm install {package}` does not work here"));
    }
    host();
    Ok(())
}

fn missing(program: &str) -> bool {
    servers::find(program).is_none()
}

fn debian() {
    let packages: Vec<&str> = DEBIAN
        .iter()
        .filter(|(program, _)| missing(program))
        .flat_map(|(_, packages)| *packages)
        .copied()
        .collect();
    if packages.is_empty() {
        return;
    }
    let list = packages.join(" ");
    // The index of packages may be missing or old; then the installation says what is wrong.
    as_root(&["apt-get", "update", "--quiet"]);
    let mut command =
        vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet"];
    command.push("--no-install-recommends");
    command.extend(packages);
    if !as_root(&command) {
        skipped(&list, &format!("install them with `apt-get install {list}`"));
    }
}

fn go(package: &str, tools: &Path) -> bool {
    let mut command = Command::new("go");
    command.args(["install", package]).env("GOBIN", tools.join("bin"));
    command.env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
    step::works(&mut command, PATIENCE)
}

fn npm(package: &str, tools: &Path) -> bool {
    let mut command = Command::new("npm");
    command.args(["install", "--silent", "--prefix"]).arg(tools).arg(package);
    step::works(&mut command, PATIENCE)
}

/// The emulator's host, where the resolver does not know that `*.localhost` is this machine.
fn host() {
    let known = std::fs::read_to_string("/etc/hosts").is_ok_and(|h| h.contains(AZURITE_HOST));
    let line = format!("127.0.0.1 {AZURITE_HOST}");
    if !known && !as_root(&["sh", "-c", &format!("echo '{line}' >> /etc/hosts")]) {
        skipped(AZURITE_HOST, &format!("add `{line}` to /etc/hosts, if it is not found"));
    }
}

/// Whether the command worked, as root. Who is not root and not a machine of CI is not asked for
/// more rights.
fn as_root(command: &[&str]) -> bool {
    let root = rustix::process::geteuid().is_root();
    let words: Vec<&str> = match (root, std::env::var_os("CI")) {
        (true, _) => command.to_vec(),
        (false, Some(_)) => [&["sudo", "--non-interactive"], command].concat(),
        (false, None) => return false,
    };
    let Some((program, arguments)) = words.split_first() else { return false };
    step::works(Command::new(program).args(arguments).stdin(Stdio::null()), PATIENCE)
}
