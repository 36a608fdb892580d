//! Running commands, and saying so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Anything that can go wrong in a chore; the text is all that is shown.
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Prints a headline.
pub(crate) fn headline(text: &str) {
    println!("\n==> {text}");
}

/// Prints that something is left out, in words that a search of the log finds.
pub(crate) fn skipped(what: &str, why: &str) {
    println!("\nskipped: {what}: {why}");
}

/// Runs a command in the checkout and shows it; an exit code other than 0 is an error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result {
    headline(&format!("{program} {}", arguments.join(" ")));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(kopist_testkit::checkout());
    succeed(&mut command)
}

/// Runs a command that is set up already; an exit code other than 0 is an error.
pub(crate) fn succeed(command: &mut Command) -> Result {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|e| format!("cannot start {name}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed: {status}").into()) }
}

/// Whether a command works that need not: it may be missing, fail, or take longer than it may.
pub(crate) fn works(command: &mut Command, patience: Duration) -> bool {
    let Ok(mut child) = command.spawn() else { return false };
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// Whether a program is on `PATH`.
pub(crate) fn installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// The cargo that runs this chore.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| kopist_testkit::checkout().join("target"), PathBuf::from)
}

/// Builds the release binary for this machine and returns its path.
pub(crate) fn build_release() -> Result<PathBuf> {
    run(&cargo(), &["build", "--release", "--locked", "--package", "kopist"])?;
    Ok(target_directory().join("release/kopist"))
}

/// The program to be measured: what `KOPIST_TEST_PROGRAM` names, else the release binary, built.
pub(crate) fn program() -> Result<PathBuf> {
    std::env::var_os("KOPIST_TEST_PROGRAM").map_or_else(build_release, |named| Ok(named.into()))
}

/// A directory of this chore's own, empty, on the file system of the build output.
pub(crate) fn scratch(name: &str) -> Result<tempfile::TempDir> {
    let parent = target_directory().join("xtask");
    std::fs::create_dir_all(&parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    Ok(tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(parent)?)
}

/// Parses an optional number of the command line.
pub(crate) fn number(argument: Option<&String>, default: u64) -> Result<u64> {
    argument.map_or(Ok(default), |text| {
        text.parse().map_err(|_| format!("{text:?} is not a number").into())
    })
}

/// The path as text; the chores only make paths that are.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}
