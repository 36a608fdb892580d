//! Running the fuzz targets of `fuzz/`.

use std::process::Command;

use crate::step::{self, Result, headline, installed};

/// Runs each target for `seconds`; what it finds stays in `fuzz/artifacts`.
pub(crate) fn run(seconds: u64) -> Result {
    if !installed("cargo-fuzz") {
        return Err("install cargo-fuzz with `cargo install --locked cargo-fuzz`; \
                    it needs a nightly toolchain"
            .into());
    }
    let fuzz = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        // The toolchain that started this chore must not be forced on cargo-fuzz.
        command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        command.arg("+nightly").arg("fuzz").args(arguments);
        command.current_dir(kopist_testkit::checkout());
        command
    };
    let listed = fuzz(&["list"]).output()?;
    let targets = String::from_utf8(listed.stdout)?;
    for target in targets.lines() {
        headline(&format!("fuzz {target} for {seconds} s"));
        let limit = format!("-max_total_time={seconds}");
        step::succeed(&mut fuzz(&["run", target, "--", &limit, "-rss_limit_mb=1024"]))?;
    }
    Ok(())
}
