//! Real servers of storage, each started for one test and ended with it.
//!
//! What is not installed is skipped with one visible line. Programs are looked for on `PATH`, in
//! `/usr/sbin`, and in [`tools`], where `cargo xtask servers` puts them.

mod clouds;
mod files;
pub mod tls;

use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::oracle::skipped;

pub use clouds::{AZURE_ACCOUNT, AZURE_KEY, Azure, B2, B2_KEY, B2_KEY_ID, Drive, Gcs, S3};
pub use files::{Dav, Sftp};

/// How long a server may take to start: machines of CI are slow and busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// A program that runs as long as this lives.
#[derive(Debug)]
pub struct Server {
    child: Child,
    command: PathBuf,
    arguments: Vec<std::ffi::OsString>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    port: u16,
    forgetful: bool,
}

impl Server {
    /// Starts a program that will listen on `port`, and waits until it does.
    fn start(
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        environment: &[(&str, &str)],
        folder: &Path,
        port: u16,
    ) -> Self {
        let arguments = arguments.iter().map(|a| a.as_ref().to_owned()).collect::<Vec<_>>();
        let environment: Vec<_> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let log = folder.join(format!("server-{port}.log"));
        let child = spawn(program, &arguments, &environment, &log);
        let mut server = Self {
            child,
            command: program.to_owned(),
            arguments,
            environment,
            log,
            port,
            forgetful: false,
        };
        server.wait();
        server
    }

    /// It would lose what it has not written down yet: where others are killed, it is told to end.
    fn forgetful(mut self) -> Self {
        self.forgetful = true;
        self
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait().expect("the state of a server") {
                panic!("{} ended with {status}:\n{}", self.command.display(), self.log());
            }
            let name = self.command.display();
            assert!(start.elapsed() < PATIENCE, "{name} does not listen:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the server printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server as a power cut would, connections and all. What it has stored remains.
    pub fn kill(&mut self) {
        if self.forgetful {
            return self.end();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let start = Instant::now();
        while self.child.try_wait().expect("the state of a server").is_none() {
            let name = self.command.display();
            assert!(start.elapsed() < PATIENCE, "{name} does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again with what it had stored.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.command, &self.arguments, &self.environment, &self.log);
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    program: &Path,
    arguments: &[std::ffi::OsString],
    environment: &[(String, String)],
    log: &Path,
) -> Child {
    let log = std::fs::File::create(log).expect("the log of a server");
    let errors = log.try_clone().expect("the log of a server");
    Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()))
}

/// Where servers are installed that no system has: `$KOPIST_TEST_TOOLS`, or
/// `~/.cache/kopist-test-tools`.
pub fn tools() -> PathBuf {
    std::env::var_os("KOPIST_TEST_TOOLS").map_or_else(
        || {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
                .join(".cache/kopist-test-tools")
        },
        PathBuf::from,
    )
}

/// Where a program is.
pub fn find(name: &str) -> Option<PathBuf> {
    let tools = tools();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([tools.join("bin"), tools.join("node_modules/.bin"), "/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Where a program is; without it says that `test` is skipped.
pub fn find_or_skip(name: &str, test: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skipped(test, &format!("{name} is not installed"));
    }
    found
}

/// A port that nobody listens on now. Another process may take it before a server does, which is
/// rare, and then the server's log says so.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("server-").tempdir().expect("a folder for a server")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
