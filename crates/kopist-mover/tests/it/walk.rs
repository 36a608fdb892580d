//! Every scenario is run.
//!
//! `KOPIST_SCENARIOS=B01,B02` runs only those.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::container::{Container, Ended, USUAL_UID, is_root};
use crate::rooted::RootFs;
use crate::scenario::{Scenario, Scenarios, arguments};
use crate::{expect, setup};

#[test]
fn every_scenario_is_run() {
    let scenarios = Scenarios::load();
    let known: BTreeSet<&str> = scenarios.all.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(known.len(), scenarios.all.len(), "an identifier stands twice");
    for Scenario { id, run, .. } in &scenarios.all {
        let planned = run["mode"] == "resolve-storage";
        assert!(planned || id.starts_with(['V', 'B', 'R', 'M']), "{id} is run by nobody");
    }
}

#[test]
fn environment_and_log() {
    walk('V');
}

#[test]
fn backups() {
    walk('B');
}

#[test]
fn restores() {
    walk('R');
}

#[test]
fn maintenance() {
    walk('M');
}

/// A user that no image knows.
const UNKNOWN_UID: u32 = 417_253;
/// Names the root directory of an image; all scenarios run in it, then.
const IMAGE: &str = "KOPIST_IMAGE_ROOT";

/// The image to test, if one is named.
fn image() -> Option<PathBuf> {
    let image = PathBuf::from(std::env::var_os(IMAGE)?);
    assert!(image.is_dir(), "{IMAGE} names {}, which is no directory", image.display());
    assert_eq!(RootFs::obstacle(), None);
    Some(image)
}

#[allow(clippy::print_stdout)] // what was skipped should be seen
fn walk(kind: char) {
    let Some(kopia) = kopist_testkit::oracle::find_or_skip(&format!("scenarios {kind}")) else {
        return;
    };
    let image = image();
    let scenarios = Scenarios::load();
    let chosen = std::env::var("KOPIST_SCENARIOS").ok();
    let chosen =
        |id: &str| chosen.as_ref().is_none_or(|list| list.split(',').any(|item| item == id));
    let mut failures = Vec::new();
    let mut ran = 0;
    for scenario in &scenarios.all {
        if !scenario.id.starts_with(kind) || !chosen(&scenario.id) {
            continue;
        }
        if needs_root(scenario) && !is_root() {
            println!("skipped: {} needs another user's files: {}", scenario.id, scenario.title);
            continue;
        }
        ran += 1;
        let attempt = || run(&scenarios, scenario, &kopia, image.as_deref());
        // A scenario that cannot even be judged must not hide the others.
        let (wrong, log) = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
            (vec!["it ended with a panic, see above".to_owned()], String::new())
        });
        if !wrong.is_empty() {
            failures.push(format!(
                "{} {}:\n  {}\n{log}",
                scenario.id,
                scenario.title,
                wrong.join("\n  ")
            ));
        }
    }
    println!("{ran} scenarios {kind} ran");
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n\n"));
}

/// Whether the scenario is about the files of another user.
fn needs_root(scenario: &Scenario) -> bool {
    scenario.uid.is_some()
        || scenario.setup.iter().any(|step| !step["uid"].is_null() || step["op"] == "chown")
}

fn run(
    scenarios: &Scenarios,
    scenario: &Scenario,
    kopia: &Path,
    image: Option<&Path>,
) -> (Vec<String>, String) {
    let mut container = container(scenario);
    if let Some(image) = image {
        let rootfs = RootFs { image: Some(image.to_owned()), ..RootFs::default() };
        container = container.rooted(&Arc::new(rootfs));
    }
    let ended = play(scenarios, scenario, &container, kopia);
    let wrong = expect::check(&scenario.expect, &container, &ended, Some(kopia));
    (wrong, ended.log)
}

/// A container for a scenario.
pub(crate) fn container(scenario: &Scenario) -> Container {
    let usual = if std::env::var_os(IMAGE).is_some() { UNKNOWN_UID } else { USUAL_UID };
    Container::new(if is_root() {
        scenario.uid.unwrap_or(usual)
    } else {
        rustix::process::geteuid().as_raw()
    })
}

/// Prepares and runs a scenario.
pub(crate) fn play(
    scenarios: &Scenarios,
    scenario: &Scenario,
    container: &Container,
    kopia: &Path,
) -> Ended {
    setup::all(scenarios, container, Some(kopia), &scenario.setup);
    let run = &scenario.run;
    if let Some(several) = run["parallel"].as_array() {
        return in_parallel(scenarios, several, container);
    }
    let mode = run["mode"].as_str().unwrap();
    let env = scenarios.env(mode, &replaced(&run["env"], container));
    let mut running = container.start(&arguments(run, mode), &env);
    if let Some(text) = run["signal"]["after_log"].as_str() {
        running.wait_for(text);
        running.terminate();
    }
    running.end()
}

/// Commands of hooks name container paths; here they need the real ones.
fn replaced(env: &Value, container: &Container) -> Value {
    let mut env = env.clone();
    if container.is_rooted() {
        return env;
    }
    for name in ["KOPIA_BEFORE_SNAPSHOT", "KOPIA_AFTER_SNAPSHOT"] {
        if let Some(text) = env[name].as_str() {
            let mut text = text.to_owned();
            for directory in ["/data", "/cache"] {
                text = text.replace(directory, container.path(directory).to_str().unwrap());
            }
            env[name] = Value::from(text);
        }
    }
    env
}

/// All at the same time, on shared data and repositories; the largest exit status counts.
fn in_parallel(scenarios: &Scenarios, several: &[Value], container: &Container) -> Ended {
    let siblings: Vec<Container> = several.iter().map(|_| container.sibling()).collect();
    let running: Vec<_> = several
        .iter()
        .zip(&siblings)
        .map(|(run, sibling)| {
            let mode = run["mode"].as_str().unwrap();
            sibling.start(&arguments(run, mode), &scenarios.env(mode, &run["env"]))
        })
        .collect();
    let ended: Vec<Ended> = running.into_iter().map(crate::container::Running::end).collect();
    let log = ended.iter().map(|ended| ended.log.as_str()).collect();
    let worst = ended.into_iter().max_by_key(Ended::code).unwrap();
    Ended { status: worst.status, log }
}
