//! Measuring kopist against kopia.
//!
//! Both programs do the same work on the same data, one after the other, round by round, so that
//! what else happens on the machine hits both. The table shows medians and their ratios.

mod data;
mod duel;
mod measure;
mod remote;

pub(crate) use measure::{MEASURE, measure_child};
pub(crate) use remote::run as run_remote;

use std::fmt::Write;
use std::path::Path;

use kopist_testkit::oracle::Client;

use crate::step::{self, Result, headline};
use duel::Programs;
use measure::{Cost, measure};

const JOBS: [&str; 3] = ["first backup", "same again, unchanged", "restore"];

/// Runs `rounds` rounds over each data set and prints a table.
pub(crate) fn run(rounds: u64) -> Result {
    let programs = Programs::find()?;
    let scratch = step::scratch("bench")?;
    let mut table = String::from(
        "| data | job | wall | CPU | peak memory | kopia | kopist |\n|---|---|---|---|---|---|---|\n",
    );
    for (number, set) in data::SETS.into_iter().enumerate() {
        headline(&format!("making {}", set.name));
        let source = scratch.path().join("source");
        (set.make)(&source)?;
        let [kopia, kopist] = programs.duel(rounds, set.name, |program, round, name| {
            // What restored many files is removed at the end only: for each new file ext4
            // looks through the inodes freed in the last minutes, which would cost more
            // than the restore itself.
            let place = scratch.path().join(format!("{number}-{round}-{name}"));
            let costs = jobs(program, &place, &source)?;
            for cost in &costs {
                println!("{}", cost.show());
            }
            std::fs::remove_dir_all(place.join("repository"))?;
            Ok(costs)
        })?;
        for (job, name) in JOBS.iter().enumerate() {
            let (theirs, ours) = (Cost::median(&kopia[job]), Cost::median(&kopist[job]));
            writeln!(
                table,
                "| {} | {name} | {:.2}× | {:.2}× | {:.2}× | {} | {} |",
                set.name,
                ours.wall / theirs.wall,
                ours.cpu / theirs.cpu,
                ours.memory / theirs.memory,
                theirs.show(),
                ours.show(),
            )?;
        }
        std::fs::remove_dir_all(&source)?;
    }
    headline("kopist's share of what kopia needs (below 1 is better), medians");
    println!("{table}");
    Ok(())
}

/// A new repository, then each of [`JOBS`].
fn jobs(program: &Path, place: &Path, source: &Path) -> Result<[Cost; JOBS.len()]> {
    let client = Client::new(program, &place.join("client"), "correct horse battery staple");
    let repository = place.join("repository");
    std::fs::create_dir_all(&repository)?;
    let (repository, source) = (step::text(&repository)?, step::text(source)?);
    client.ok(&["repository", "create", "filesystem", "--path", repository]);
    let backup = [
        "snapshot",
        "create",
        source,
        "--no-auto-maintenance",
        "--disable-file-logging",
        "--no-progress",
    ];
    let first = measure(&client, &backup)?;
    let again = measure(&client, &backup)?;
    let snapshots = client.json(&["snapshot", "list", source, "--json"]);
    let id = snapshots[0]["id"].as_str().ok_or("no snapshot is listed")?.to_owned();
    let target = place.join("restored");
    let restore = measure(
        &client,
        &[
            "snapshot",
            "restore",
            &id,
            step::text(&target)?,
            "--disable-file-logging",
            "--no-progress",
        ],
    )?;
    Ok([first, again, restore])
}
