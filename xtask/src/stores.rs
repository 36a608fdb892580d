//! Each kind of storage is a feature, and each must compile without the others.

use std::process::Command;
use std::time::Instant;

use crate::step::{self, Result, cargo, headline};

/// Lints `kopist-cloud` without any store and with each alone. What this builds lies in a folder
/// of its own, as other features mean other builds of what is below.
pub(crate) fn run() -> Result {
    let mut sets = vec![String::new()];
    sets.extend(features()?);
    for features in sets {
        let start = Instant::now();
        headline(&format!("kopist-cloud with {features:?} alone"));
        let mut command = Command::new(cargo());
        command
            .args(["clippy", "--package", "kopist-cloud", "--lib", "--locked", "--quiet"])
            .args(["--no-default-features", "--features", &features])
            .args(["--", "--deny", "warnings"])
            .env("CARGO_TARGET_DIR", step::target_directory().join("xtask/stores"))
            .current_dir(kopist_testkit::checkout());
        step::succeed(&mut command)?;
        println!("{:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The features that are on by default, which are the stores.
fn features() -> Result<Vec<String>> {
    let manifest = kopist_testkit::checkout().join("crates/kopist-cloud/Cargo.toml");
    let text = std::fs::read_to_string(manifest)?;
    let line = text.lines().find_map(|line| line.strip_prefix("default = "));
    let line = line.ok_or("kopist-cloud has no default features")?;
    Ok(serde_json::from_str(line)?)
}
