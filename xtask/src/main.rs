//! The project's chores, so that a checkout needs nothing but cargo.
//!
//! `cargo xtask` alone lists them.

// A chore talks to the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod demo;
mod fuzz;
mod image;
mod pages;
mod sbom;
mod servers;
mod step;
mod stores;
mod test;

use std::{path::Path, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask CHORE

  demo [DIR]        back up DIR (default: this checkout's crates) through the mover, restore it
                    elsewhere, compare
  test              everything that must hold: format, lints, licences, tests, image; installs the
                    servers first
  servers           install the servers that the tests of the stores start, where that can be done
  image [--full] [TAG]
                    build the container image with buildah; the larger flavour has ssh and rclone
  sbom [FILE [TARGET]]
                    list what the binary is made of, as CycloneDX (default kopist.cdx.json)
  image-test        only the image's part of `test`: build it, back up and restore in it, run the
                    mover's scenarios in it
  pages [DIR [PROGRAM]]
                    write the manual page and the completions (bash, zsh, fish) into DIR
  fuzz [SECONDS]    run every fuzz target for SECONDS (default 60)
  bench [ROUNDS]    measure kopist and kopia in turns, print a table (default 3 rounds)
  bench-s3 [ROUNDS] the same on S3 that is 30 ms away, counting requests (needs versitygw)
  stores            lint kopist-cloud with each kind of storage alone
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(rest.first().map(Path::new)),
        Some("test") => test::run(),
        Some("servers") => servers::install(),
        Some("image") => image::build_release(rest),
        Some("sbom") => parts(rest),
        Some("pages") => {
            let dir = rest.first().map_or(Path::new("pages"), Path::new);
            pages::write(dir, rest.get(1).map(Path::new))
        }
        Some("image-test") => image::test(),
        Some("fuzz") => step::number(rest.first(), 60).and_then(fuzz::run),
        Some("bench") => step::number(rest.first(), 3).and_then(bench::run),
        Some("bench-s3") => step::number(rest.first(), 3).and_then(bench::run_remote),
        Some("stores") => stores::run(),
        Some(bench::MEASURE) => bench::measure_child(rest),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `[FILE [TARGET]]`
fn parts(arguments: &[String]) -> step::Result {
    let file = arguments.first().map_or(Path::new("kopist.cdx.json"), Path::new);
    let target = match arguments.get(1) {
        Some(target) => target.clone(),
        None => image::host()?,
    };
    sbom::write(file, &target)
}
