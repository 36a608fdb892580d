//! The same scenarios through the reference's script and through this program, each on
//! repositories of its own: what is in the repository, what is in the destination, the exit
//! status and what the operator reads must be the same.
//!
//! `KOPIST_ENTRY_SH` names the script, unchanged. It runs twice for each scenario: with kopia, as
//! the judge of this program; and with kopist in the place of kopia, as a test of the command line.
//! `KOPIST_SCENARIOS=B01,B02` runs only those.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kopist_testkit::oracle;
use serde_json::{Value, json};

use crate::container::{Container, Ended};
use crate::expect::{listing, source_of};
use crate::operator;
use crate::rooted::RootFs;
use crate::scenario::{Scenario, Scenarios};
use crate::setup::Oracle;
use crate::walk::{container, play};

const SCRIPT: &str = "KOPIST_ENTRY_SH";
/// The command line of this build, if it does not lie where cargo puts it.
const PROGRAM: &str = "KOPIST_TEST_PROGRAM";

/// Names the scenarios to compare, with commas between; without it all are.
const CHOSEN: &str = "KOPIST_SCENARIOS";

/// Lines that the operator, its tests or people's alerts look for, and that the script prints.
const LINES: [&str; 23] = [
    "=== ENVIRONMENT VARIABLES STATUS ===",
    "=== Log Configuration ===",
    "=== Applying policy configuration ===",
    "Global policy applied successfully",
    "== Directory is empty skipping backup ===",
    "=== Applying compression policy ===",
    "Compression policy applied successfully",
    "Creating snapshot for ",
    "Snapshot created successfully",
    "Snapshot restore completed successfully",
    "Selected snapshot with id: ",
    "No eligible snapshots found",
    "=== No data will be restored ===",
    "=== Discovery Mode: Available Snapshots ===",
    "=== End Discovery Mode ===",
    "File deletion enabled - cleaning destination directory before restore",
    "No snapshots found for ",
    "invalid repository password",
    "=== OPERATION SUMMARY ===",
    "OPERATION_RESULT: SUCCESS",
    "OPERATION_RESULT: FAILURE",
    "MAINTENANCE_STATUS: SUCCESS",
    "MAINTENANCE_STATUS: FAILURE",
];

/// A scenario, or `*` for all, and what may differ in it.
type Allowed = (&'static str, &'static str);

/// Where this program differs on purpose although the scenario asks for the same. `docs/mover.md`
/// explains each.
const IMPROVEMENTS: &[Allowed] = &[
    // The script creates before it takes the identity: the owner is a pod that is gone.
    ("*", "owner"),
    // Nothing to save is no failure.
    ("B04", "OPERATION_RESULT: FAILURE"),
    ("B05", "OPERATION_RESULT: FAILURE"),
    // Only a backup makes a repository.
    ("R17", "repositories"),
    ("M10", "repositories"),
    // And so there was nothing to maintain.
    ("M10", "OPERATION_RESULT: SUCCESS"),
    ("M10", "MAINTENANCE_STATUS: SUCCESS"),
    // Refused with the other errors of the environment, before anything is begun.
    ("B35", "Creating snapshot for "),
    // The script selects the snapshot `null`.
    ("R04", "Selected snapshot with id: "),
    // Each `policy set` of kopia clears the mark `manual`; here, what nobody states stays.
    ("B86", "policies"),
];

/// Each scenario once through the script, once through this program, and once through the script
/// with this program's command line as kopia.
#[test]
fn script_and_program_agree() {
    let Some(bench) = Bench::find("the script as a judge") else { return };
    let program = program();
    if program.is_none() {
        oracle::skipped("the script with kopist as kopia", "the program is not built");
    }
    let differing = bench.each(|scenario| {
        let theirs = bench.script(scenario, &bench.kopia);
        let mut found = differences(&theirs, &bench.ours(scenario), scenario, IMPROVEMENTS);
        if let Some(program) = &program {
            let with_kopist = bench.script(scenario, program);
            let wrong = differences(&theirs, &with_kopist, scenario, &[]).wrong;
            found
                .wrong
                .extend(wrong.into_iter().map(|what| format!("with kopist as kopia: {what}")));
        }
        found
    });
    let count = differing.scenarios.len();
    assert!(count == 0, "{count} differ\n{}", differing.scenarios.join("\n\n"));
    // Nobody improves on what is the same.
    if std::env::var_os(CHOSEN).is_none() {
        let unused: Vec<_> =
            IMPROVEMENTS.iter().filter(|part| !differing.improved.contains(part)).collect();
        assert!(unused.is_empty(), "no longer different: {unused:?}");
    }
}

/// An hourly backup that finds nothing new: what the script starts, and what this program does.
#[test]
#[allow(clippy::print_stdout)] // the figures are the point
fn an_idle_backup_takes_one_process() {
    let Some(bench) = Bench::find("an idle backup beside the script") else { return };
    let scenarios = &bench.scenarios;
    let named = |id: &str| scenarios.all.iter().find(|scenario| scenario.id == id);
    let scenario = named("B01").expect("the simplest backup is there");
    let played = bench.script(scenario, &bench.kopia);
    let before = RootFs::calls(&played.container).len();
    let env = scenarios.env("backup", &scenario.run["env"]);
    let ended = played.container.mover(&["backup".to_owned()], &env);
    assert_eq!(ended.code(), 0, "{}", ended.log);
    let calls = RootFs::calls(&played.container).split_off(before);
    println!("the script starts kopia {} times for an idle backup", calls.len());
    assert!(calls.len() >= 5, "{calls:?}");
}

/// The command line of this build.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM) {
        return Some(PathBuf::from(named));
    }
    let tests = std::env::current_exe().ok()?;
    let program = tests.parent()?.parent()?.join("kopist");
    program.is_file().then_some(program)
}

/// What it takes to compare.
struct Bench {
    script: PathBuf,
    kopia: PathBuf,
    scenarios: Scenarios,
}

/// A scenario that was run.
struct Played {
    container: Container,
    ended: Ended,
    /// What is in every repository afterwards.
    repositories: BTreeMap<String, Value>,
    /// What is in the destination.
    restored: BTreeMap<String, String>,
}

impl Bench {
    fn find(test: &str) -> Option<Self> {
        let Some(script) = std::env::var_os(SCRIPT).map(PathBuf::from) else {
            oracle::skipped(test, &format!("{SCRIPT} names no script"));
            return None;
        };
        if let Some(obstacle) = RootFs::obstacle() {
            oracle::skipped(test, obstacle);
            return None;
        }
        let kopia = oracle::find_or_skip(test)?;
        Some(Self { script, kopia, scenarios: Scenarios::load() })
    }

    /// The scenarios in which the script does what is right, except for those in which the time
    /// of a signal decides.
    #[allow(clippy::print_stdout)] // progress of a long test
    fn each(&self, compare: impl Fn(&Scenario) -> Found) -> Differing {
        let chosen = std::env::var(CHOSEN).ok();
        let chosen =
            |id: &str| chosen.as_ref().is_none_or(|list| list.split(',').any(|item| item == id));
        let mut differing = Differing::default();
        let mut count = 0;
        for scenario in &self.scenarios.all {
            let comparable = scenario.same
                && scenario.run["mode"] != "resolve-storage"
                && scenario.run["signal"].is_null();
            if !comparable || !chosen(&scenario.id) {
                continue;
            }
            count += 1;
            let found =
                catch_unwind(AssertUnwindSafe(|| compare(scenario))).unwrap_or_else(|_| Found {
                    wrong: vec!["it ended with a panic, see above".to_owned()],
                    improved: vec![],
                });
            if found.wrong.is_empty() {
                println!("{}: the same", scenario.id);
            } else {
                let wrong = found.wrong.join("\n  ");
                let told = format!("{} {}:\n  {wrong}", scenario.id, scenario.title);
                println!("{told}");
                differing.scenarios.push(told);
            }
            differing.improved.extend(found.improved);
        }
        println!("{count} scenarios compared");
        assert!(count > 0, "there is nothing to compare");
        differing
    }

    fn script(&self, scenario: &Scenario, kopia: &Path) -> Played {
        let rootfs = RootFs {
            entry: Some(self.script.clone()),
            kopia: Some(kopia.to_owned()),
            tools: true,
            ..RootFs::default()
        };
        self.play(scenario, container(scenario).rooted(&Arc::new(rootfs)))
    }

    fn ours(&self, scenario: &Scenario) -> Played {
        self.play(scenario, container(scenario))
    }

    fn play(&self, scenario: &Scenario, container: Container) -> Played {
        let ended = play(&self.scenarios, scenario, &container, &self.kopia);
        // Where packs were taken away, nobody can say what is there.
        let damaged = scenario.setup.iter().any(|step| step["op"] == "remove-blobs");
        let repositories = if damaged { BTreeMap::new() } else { self.repositories(&container) };
        let restored = listing(&container.path("/restore/data"), &["content", "mode", "symlink"]);
        Played { container, ended, repositories, restored }
    }

    /// Every repository below `/mnt`, as kopia sees it.
    fn repositories(&self, container: &Container) -> BTreeMap<String, Value> {
        let places = std::fs::read_dir(container.path("/mnt")).unwrap().flatten();
        let names = places.map(|place| place.file_name().to_string_lossy().into_owned());
        let repository =
            |name: &String| container.path("/mnt").join(name).join("kopia.repository.f").exists();
        let names: Vec<String> = names.filter(repository).collect();
        let state = |name: String| {
            let at = format!("/mnt/{name}");
            let state = self.state(container, &at);
            (at, state)
        };
        names.into_iter().map(state).collect()
    }

    fn state(&self, container: &Container, at: &str) -> Value {
        let client = Oracle::new(container, &self.kopia).client("judge", "judge", at, "pw");
        let snapshots = client.json(&["snapshot", "list", "--all", "--json", "--incomplete"]);
        let snapshots: Vec<Value> = snapshots.as_array().unwrap().iter().map(essence).collect();
        let info = client.json(&["maintenance", "info", "--json"]);
        let status = client.json(&["repository", "status", "--json"]);
        json!({
            "snapshots": snapshots,
            "policies": client.json(&["policy", "export"]),
            "owner": info["owner"],
            "maintenance": {"quick": info["quick"], "full": info["full"]},
            "format": status["contentFormat"],
            "objects": status["objectFormat"],
        })
    }
}

/// What of a snapshot must be the same.
fn essence(snapshot: &Value) -> Value {
    json!({
        "source": source_of(snapshot),
        "summary": {
            "files": snapshot["rootEntry"]["summ"]["files"],
            "dirs": snapshot["rootEntry"]["summ"]["dirs"],
            "symlinks": snapshot["rootEntry"]["summ"]["symlinks"],
            "size": snapshot["rootEntry"]["summ"]["size"],
            "errors": snapshot["rootEntry"]["summ"]["numFailed"],
        },
        "incomplete": snapshot["incomplete"],
        "description": snapshot["description"],
        "tags": snapshot["tags"],
        "pins": snapshot["pins"],
        "retention": snapshot["retentionReason"],
    })
}

/// What differs in one scenario.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    improved: Vec<Allowed>,
}

/// What differs in all of them.
#[derive(Default)]
struct Differing {
    scenarios: Vec<String>,
    improved: BTreeSet<Allowed>,
}

fn differences(theirs: &Played, ours: &Played, scenario: &Scenario, allowed: &[Allowed]) -> Found {
    let mut found = Found::default();
    let mut differ = |what: &str, theirs: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug| {
        let fits = |(id, part): &&Allowed| ["*", &scenario.id].contains(id) && *part == what;
        match allowed.iter().find(fits) {
            Some(improvement) => found.improved.push(*improvement),
            None => found
                .wrong
                .push(format!("{what}: the script has\n    {theirs:?}\n  and not\n    {ours:?}")),
        }
    };
    if theirs.ended.code() != ours.ended.code() {
        differ("exit status", &theirs.ended.code(), &ours.ended.code());
    }
    if theirs.restored != ours.restored {
        differ("destination", &theirs.restored, &ours.restored);
    }
    let places = |played: &Played| played.repositories.keys().cloned().collect::<Vec<_>>();
    if places(theirs) != places(ours) {
        differ("repositories", &places(theirs), &places(ours));
    }
    for (place, state) in &theirs.repositories {
        let Some(other) = ours.repositories.get(place) else { continue };
        for (part, value) in state.as_object().unwrap() {
            if *value != other[part] {
                differ(part, &value.to_string(), &other[part].to_string());
            }
        }
    }
    for line in LINES {
        if theirs.ended.log.contains(line) && !ours.ended.log.contains(line) {
            differ(line, &"that line", &"the line");
        }
    }
    let destination = scenario.run["mode"] == "restore";
    let read = |played: &Played| operator::parse(&operator::status(&played.ended.log, destination));
    let (theirs, ours) = (read(theirs), read(ours));
    if theirs.requested.is_some() && theirs.requested != ours.requested {
        differ("requested identity", &theirs.requested, &ours.requested);
    }
    for identity in theirs.available.keys() {
        if !ours.available.contains_key(identity) {
            differ("available identities", identity, &ours.available);
        }
    }
    found
}
