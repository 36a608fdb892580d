//! Everything that must hold before a change is taken. CI runs exactly this.

use std::process::Command;

use crate::image;
use crate::servers;
use crate::step::{self, Result, cargo, headline, installed, skipped};

pub(crate) fn run() -> Result {
    let cargo = cargo();
    step::run(&cargo, &["fmt", "--all", "--check"])?;
    step::run(
        &cargo,
        &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"],
    )?;
    dependencies(&cargo)?;
    servers::install()?;
    // One failure does not hide the others.
    step::run(&cargo, &["test", "--workspace", "--locked", "--no-fail-fast"])?;
    documentation(&cargo)?;
    if kopist_testkit::oracle::find().is_none() {
        skipped("comparison with kopia", "no `kopia` on PATH and KOPIA_EXE is not set");
    }
    if installed("buildah") {
        image::test()?;
    } else {
        skipped("container image", "buildah is not installed");
    }
    headline("all passed");
    Ok(())
}

/// Licences, bans and sources of the dependencies, and what is known of their faults.
fn dependencies(cargo: &str) -> Result {
    if !installed("cargo-deny") {
        skipped("cargo deny", "install it with `cargo install --locked cargo-deny`");
        return Ok(());
    }
    step::run(cargo, &["deny", "--workspace", "check", "licenses", "bans", "sources"])?;
    headline("cargo deny --workspace check advisories");
    let mut command = Command::new(cargo);
    command.args(["deny", "--workspace", "check", "advisories"]);
    let output = command.current_dir(kopist_testkit::checkout()).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("failed to fetch advisory database") {
        skipped("advisories", "the advisory database cannot be fetched from here");
    } else if !output.status.success() {
        return Err(format!("cargo deny found advisories:\n{told}").into());
    }
    Ok(())
}

/// Documentation builds without a broken link.
fn documentation(cargo: &str) -> Result {
    headline("cargo doc --workspace --no-deps");
    let mut command = Command::new(cargo);
    command
        .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
        .env("RUSTDOCFLAGS", "--deny warnings")
        .current_dir(kopist_testkit::checkout());
    step::succeed(&mut command)
}
