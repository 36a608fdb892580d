//! Running the fuzz targets of `fuzz/`.

mod seeds;

use std::process::Command;

use crate::step::{self, Result, headline, installed};

/// Runs each target for `seconds`; what it finds stays in `fuzz/artifacts`.
pub(crate) fn run(seconds: u64) -> Result {
    if !installed("cargo-fuzz") {
        return Err("install cargo-fuzz with `cargo install --locked cargo-fuzz`; \
                    it needs a nightly toolchain"
            .into());
    }
    let seeds = step::target_directory().join("xtask/fuzz-seeds");
    seeds::write(&seeds)?;
    let listed = fuzz(&["list"]).output()?;
    for target in String::from_utf8(listed.stdout)?.lines() {
        headline(&format!("fuzz {target} for {seconds} s"));
        let corpus = kopist_testkit::checkout().join("fuzz/corpus").join(target);
        let seeds = seeds.join(target);
        for folder in [&corpus, &seeds] {
            std::fs::create_dir_all(folder)?;
        }
        // The code is safe Rust, so panics, hangs and memory are what there is to find. Address
        // sanitizing would look at the C libraries only, which another compiler may have built.
        let folders = [step::text(&corpus)?, step::text(&seeds)?];
        let mut command =
            fuzz(&[&["run", "--sanitizer", "none", target], &folders[..], &["--"]].concat());
        command.arg(format!("-max_total_time={seconds}")).arg("-rss_limit_mb=1024");
        step::succeed(&mut command)?;
    }
    Ok(())
}

fn fuzz(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    // The toolchain that started this chore must not be forced on cargo-fuzz.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command.arg("+nightly").arg("fuzz").args(arguments);
    command.current_dir(kopist_testkit::checkout());
    command
}
