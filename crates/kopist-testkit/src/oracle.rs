//! kopia itself: the reference that both programs are compared with.
//!
//! A [`Client`] is one user at one machine: a program (kopia or kopist, which take the same
//! command lines) with a configuration, cache and log directory of its own.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Where kopia is: `KOPIA_EXE`, else the first `kopia` on `PATH`.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("KOPIA_EXE").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "KOPIA_EXE names {}, which is not a file", named.display());
        return Some(named);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("kopia")).find(|file| file.is_file())
}

/// Where kopia is; without it says that `test` is skipped.
pub fn find_or_skip(test: &str) -> Option<PathBuf> {
    let found = find();
    if found.is_none() {
        skipped(test, "no kopia");
    }
    found
}

/// Prints the line `skipped: WHAT: WHY`, past the test harness, which shows nothing of a test
/// that passes.
pub fn skipped(what: &str, why: &str) {
    let line = format!("skipped: {what}: {why}\n");
    let _ = rustix::io::write(std::io::stderr(), line.as_bytes());
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit code; −1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
}

#[allow(clippy::return_self_not_must_use)] // the expectation itself is often the point
impl Outcome {
    /// Whether the exit code is 0.
    pub fn succeeded(&self) -> bool {
        self.code == 0
    }

    /// Standard output and error together.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Panics with everything that was printed unless the exit code is 0.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(self.succeeded(), "{self}");
        self
    }

    /// Panics with everything that was printed if the exit code is 0, or if the program panicked.
    #[track_caller]
    pub fn expect_failure(self) -> Self {
        assert!(self.code > 0 && !self.output().contains("panicked"), "expected an error: {self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` ended with {}\n--- stdout\n{}--- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// One user at one machine, with a program.
#[derive(Clone, Debug)]
pub struct Client {
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Client {
    /// A client that keeps its configuration, cache and logs below `folder`.
    pub fn new(program: &Path, folder: &Path, password: &str) -> Self {
        std::fs::create_dir_all(folder).expect("the client's folder");
        let mut client = Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            environment: Vec::new(),
        };
        client.set("HOME", folder);
        client.set("TZ", "UTC");
        client.set("PATH", std::env::var_os("PATH").unwrap_or_default());
        client.set("KOPIA_PASSWORD", password);
        client.set("KOPIA_CONFIG_PATH", folder.join("repository.config"));
        client.set("XDG_CACHE_HOME", folder.join("cache"));
        client.set("KOPIA_LOG_DIR", folder.join("logs"));
        client.set("KOPIA_CHECK_FOR_UPDATES", "false");
        client.set("KOPIA_USE_KEYRING", "false");
        client
    }

    /// The folder of the configuration, cache and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds or replaces an environment variable.
    pub fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let name = name.as_ref().to_owned();
        self.environment.retain(|(existing, _)| *existing != name);
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// The command, ready to run; nothing of this process's environment reaches it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs and waits.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, b"")
    }

    /// Runs with something on standard input, and waits.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut command = self.command(arguments);
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let cannot = |e| -> ! { panic!("cannot run {}: {e}", self.program.display()) };
        let mut child = command.spawn().unwrap_or_else(|e| cannot(e));
        if let Some(mut stdin) = child.stdin.take() {
            // Whoever does not want it closes the pipe.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().unwrap_or_else(|e| cannot(e));
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: format!("{name} {}", arguments.join(" ")),
        }
    }

    /// Runs, and panics unless it succeeds; returns what it printed on standard output.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect_success().stdout
    }

    /// Runs with success and reads standard output as JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(arguments).expect_success().json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_isolated_and_reports_what_happened() {
        let folder = tempfile::tempdir().unwrap();
        let mut client = Client::new(Path::new("/bin/sh"), folder.path(), "secret");
        client.set("EXTRA", "1");
        let outcome = client.run(&["-c", "echo $HOME $KOPIA_PASSWORD $EXTRA; echo no >&2; exit 3"]);
        assert_eq!(outcome.code, 3);
        assert_eq!(outcome.stdout, format!("{} secret 1\n", folder.path().display()));
        assert_eq!(outcome.stderr, "no\n");
        assert!(std::panic::catch_unwind(|| outcome.expect_success()).is_err());
    }

    #[test]
    fn the_reference_opens_a_golden_repository() {
        let Some(kopia) = find_or_skip("the_reference_opens_a_golden_repository") else { return };
        let golden = crate::golden::get("ecc-1");
        let folder = tempfile::tempdir().unwrap();
        let repository = golden.unpack(folder.path());
        let client =
            Client::new(&kopia, &folder.path().join("client"), &golden.description.password);
        let path = repository.display().to_string();
        client.ok(&["repository", "connect", "filesystem", "--path", &path, "--readonly"]);
        let listed = client.json(&["snapshot", "list", "--all", "--json"]);
        assert_eq!(listed.as_array().unwrap().len(), golden.description.snapshots.len());
    }
}
