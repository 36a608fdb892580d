//! The README's first command: a backup and a restore through the mover.
//!
//! It runs the release binary as the operator would: everything comes from the environment,
//! everything it does is told in its log. The restored directory is compared with the original,
//! byte for byte.

use std::path::Path;
use std::process::Command;

use kopist_testkit::tree::{self, Comparison};

use crate::step::{self, Result, headline};

pub(crate) fn run(directory: Option<&Path>) -> Result {
    let default = kopist_testkit::checkout().join("crates");
    let source = std::fs::canonicalize(directory.unwrap_or(&default))
        .map_err(|e| format!("the directory to back up: {e}"))?;
    let binary = step::build_release()?;
    let scratch = step::scratch("demo")?;
    let restored = scratch.path().join("restored");
    std::fs::create_dir(&restored)?;

    headline(&format!("a backup of {} into a new repository", source.display()));
    mover(&binary, scratch.path(), "backup", &source)?;
    headline("the same again: nothing changed, so nothing but a manifest is written");
    mover(&binary, scratch.path(), "backup", &source)?;
    headline("a restore into an empty directory");
    mover(&binary, scratch.path(), "restore", &restored)?;

    headline("comparing");
    let expected = tree::list(&source);
    let found = tree::compare(&expected, &tree::list(&restored), Comparison::restored());
    if !found.is_empty() {
        return Err(format!("the restored directory differs:\n{found}").into());
    }
    let bytes: u64 = expected.iter().filter_map(|entry| entry.size).sum();
    println!("{} entries, {bytes} bytes: every byte, mode, time and link is back", expected.len());
    Ok(())
}

/// Runs `kopist mover` in the environment that the operator gives a pod.
fn mover(binary: &Path, scratch: &Path, direction: &str, data: &Path) -> Result {
    let repository = format!("filesystem://{}", step::text(&scratch.join("repository"))?);
    let cache = scratch.join("cache");
    std::fs::create_dir_all(scratch.join("repository"))?;
    std::fs::create_dir_all(&cache)?;
    let environment = [
        ("KOPIA_REPOSITORY", repository.as_str()),
        ("KOPIA_PASSWORD", "correct horse battery staple"),
        ("KOPIA_OVERRIDE_USERNAME", "demo"),
        ("KOPIA_OVERRIDE_HOSTNAME", "home"),
        ("KOPIA_SOURCE_PATH_OVERRIDE", "/data"),
        ("KOPIA_CACHE_DIR", step::text(&cache)?),
        ("DATA_DIR", step::text(data)?),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    for (name, value) in &environment {
        println!("{name}='{value}' \\");
    }
    println!("kopist mover {direction}\n");
    let mut command = Command::new(binary);
    command.args(["mover", direction]).env_clear().envs(environment);
    step::succeed(&mut command)
}
