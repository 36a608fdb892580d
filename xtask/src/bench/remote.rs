//! Both programs on S3 behind a slow line: what a job takes, and how much it asks for.
//!
//! Client → line with latency → proxy that counts → server. The server runs on this machine, and
//! nothing limits how much is on its way at once, so that round trips are what costs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kopist_testkit::oracle::Client;
use kopist_testkit::proxy::{Faults, Line, Proxy, Weather};
use kopist_testkit::servers::S3;
use kopist_testkit::tree::Rng;

use super::duel::Programs;
use crate::step::{self, Result, headline};

/// There and back.
const LATENCY: Duration = Duration::from_millis(30);

const JOBS: [&str; 4] = ["first backup", "backup of changes", "backup without changes", "restore"];

const BUCKET: &str = "bench";

/// What one job took.
#[derive(Clone, Copy, Debug, Default)]
struct Toll {
    seconds: f64,
    requests: f64,
    sent: f64,
    received: f64,
}

impl Toll {
    const FIGURES: [fn(&Toll) -> f64; 4] =
        [|t| t.seconds, |t| t.requests, |t| t.sent, |t| t.received];

    /// The median of each figure by itself.
    fn median(tolls: &[Toll]) -> [f64; 4] {
        Self::FIGURES.map(|figure| {
            let mut figures: Vec<f64> = tolls.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        })
    }
}

fn show([seconds, requests, sent, received]: [f64; 4]) -> String {
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let (sent, received) = (mib(sent), mib(received));
    format!("{seconds:.2} s, {requests:.0} requests, {sent:.1} MiB up, {received:.1} MiB down")
}

/// The line and what stands behind it, for one repository.
struct Scene {
    server: S3,
    proxy: Proxy,
    line: Line,
}

impl Scene {
    fn new() -> Result<Self> {
        let server = S3::start("bench").ok_or("versitygw is not installed")?;
        server.make_bucket(BUCKET);
        let proxy = Proxy::start(server.server.port(), Faults::default());
        let weather = Weather { delay: LATENCY / 2, ..Weather::default() };
        let line = Line::start(proxy.port(), weather);
        Ok(Self { server, proxy, line })
    }

    /// A client that is new here, or makes the repository.
    fn client(&self, program: &Path, folder: &Path, action: &str) -> Client {
        let client = Client::new(program, folder, "correct horse battery staple");
        client.ok(&[
            "repository",
            action,
            "s3",
            "--bucket",
            BUCKET,
            "--region=us-east-1",
            "--endpoint",
            &self.line.address(),
            "--disable-tls",
            "--access-key",
            S3::KEY_ID,
            "--secret-access-key",
            S3::SECRET,
        ]);
        client
    }

    fn measure(&self, client: &Client, arguments: &[&str]) -> Toll {
        let traffic = self.proxy.traffic();
        let read = || {
            [&traffic.requests, &traffic.sent, &traffic.received]
                .map(|counter| counter.load(Ordering::Relaxed) as f64)
        };
        let (before, start) = (read(), Instant::now());
        client.ok(arguments);
        let seconds = start.elapsed().as_secs_f64();
        let after = read();
        let toll = Toll {
            seconds,
            requests: after[0] - before[0],
            sent: after[1] - before[1],
            received: after[2] - before[2],
        };
        println!("{}: {}", arguments[1], show(Toll::FIGURES.map(|figure| figure(&toll))));
        toll
    }
}

/// 4,000 small files in 80 directories and eight large ones: 180 MiB, a third of it text.
fn make(root: &Path) -> Result {
    let mut rng = Rng::new(3);
    for directory in 0..80 {
        let directory = root.join(format!("{:02}/{directory:03}", directory / 10));
        fs::create_dir_all(&directory)?;
        for number in 0..50 {
            let length = rng.below(24 << 10);
            let bytes = if number % 2 == 0 { rng.bytes(length) } else { rng.text(length) };
            fs::write(directory.join(format!("file-{number:03}")), bytes)?;
        }
    }
    for number in 0..8 {
        let length = 16 << 20;
        let bytes = if number % 4 == 0 { rng.text(length) } else { rng.bytes(length) };
        fs::write(root.join(format!("large-{number}")), bytes)?;
    }
    Ok(())
}

/// One file in twenty is another, and so is a part of a large one.
fn change(root: &Path, round: u64) -> Result {
    let mut rng = Rng::new(100 + round);
    for directory in 0..80 {
        let directory = root.join(format!("{:02}/{directory:03}", directory / 10));
        for number in [7, 23 + round % 20] {
            let length = rng.below(24 << 10);
            fs::write(directory.join(format!("file-{number:03}")), rng.bytes(length))?;
        }
    }
    let large = root.join("large-3");
    let mut bytes = fs::read(&large)?;
    rng.fill(&mut bytes[..1 << 20]);
    Ok(fs::write(large, bytes)?)
}

/// Runs `rounds` rounds and prints a table.
pub(crate) fn run(rounds: u64) -> Result {
    let programs = Programs::find()?;
    let scratch = step::scratch("bench-s3")?;
    let [kopia, kopist] = programs.duel(rounds, "S3", |program, round, name| {
        // Nothing is removed before the end: see `bench`.
        jobs(program, &scratch.path().join(format!("{round}-{name}")), round)
    })?;
    let mut table = String::from(
        "| S3, 30 ms away | time | requests | up | down | kopia | kopist |\n|---|---|---|---|---|---|---|\n",
    );
    for (job, name) in JOBS.iter().enumerate() {
        let (theirs, ours) = (Toll::median(&kopia[job]), Toll::median(&kopist[job]));
        write!(table, "| {name} |")?;
        for (ours, theirs) in ours.iter().zip(theirs) {
            // What neither does has no share.
            if theirs > 0.0 {
                write!(table, " {:.2}× |", ours / theirs)?;
            } else {
                table.push_str(" – |");
            }
        }
        writeln!(table, " {} | {} |", show(theirs), show(ours))?;
    }
    headline("kopist's share of what kopia needs (below 1 is better), medians");
    println!("{table}");
    Ok(())
}

/// A new repository, then each of [`JOBS`]; the restore is that of a machine that has nothing yet.
fn jobs(program: &Path, place: &Path, round: u64) -> Result<[Toll; JOBS.len()]> {
    let scene = Scene::new()?;
    let source = place.join("source");
    make(&source)?;
    let client = scene.client(program, &place.join("client"), "create");
    let backup = [
        "snapshot",
        "create",
        step::text(&source)?,
        "--no-auto-maintenance",
        "--disable-file-logging",
        "--no-progress",
    ];
    let first = scene.measure(&client, &backup);
    change(&source, round)?;
    let changes = scene.measure(&client, &backup);
    let same = scene.measure(&client, &backup);
    let snapshots = client.json(&["snapshot", "list", step::text(&source)?, "--json"]);
    let newest = snapshots.as_array().and_then(|all| all.last());
    let id = newest.and_then(|one| one["id"].as_str()).ok_or("no snapshot is listed")?.to_owned();
    let other = scene.client(program, &place.join("other"), "connect");
    let target = place.join("restored");
    let restore = scene.measure(
        &other,
        &[
            "snapshot",
            "restore",
            &id,
            step::text(&target)?,
            "--disable-file-logging",
            "--no-progress",
        ],
    );
    drop(scene.server);
    Ok([first, changes, same, restore])
}
