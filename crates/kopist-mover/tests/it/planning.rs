//! Scenarios that need no repository: where would the mover look for it?

use base64::Engine;
use kopist_mover::env::Env;
use kopist_mover::plan::{MoverPlan, Refusal, plan};
use kopist_mover::probe::HostProbe;
use kopist_mover::root::ContainerRoot;
use serde_json::Value;

use crate::container::Container;
use crate::scenario::{Scenario, Scenarios, arguments};
use crate::setup;

/// Plans a scenario in prepared directories.
pub(crate) fn plan_of(
    scenarios: &Scenarios,
    scenario: &Scenario,
    container: &Container,
) -> Result<MoverPlan, Refusal> {
    let mode = scenario.run["env_base"].as_str().or(scenario.run["mode"].as_str()).unwrap();
    let env: Env = scenarios.env(mode, &scenario.run["env"]).into_iter().collect();
    let probe = HostProbe::new(ContainerRoot::at(container.root()));
    plan(&arguments(&scenario.run, mode), &env, &probe)
}

#[test]
fn storage_is_resolved_as_the_scenarios_say() {
    let scenarios = Scenarios::load();
    let mut count = 0;
    for scenario in &scenarios.all {
        if scenario.run["mode"] != "resolve-storage" {
            continue;
        }
        count += 1;
        let container = Container::new(rustix::process::geteuid().as_raw());
        setup::files(&container, &scenario.setup);
        let planned = plan_of(&scenarios, scenario, &container);
        check(scenario, &container, planned);
    }
    assert!(count > 20, "only {count} scenarios of that kind");
}

fn check(scenario: &Scenario, container: &Container, planned: Result<MoverPlan, Refusal>) {
    let Scenario { id, title, expect, .. } = scenario;
    if let Some(text) = expect["error"].as_str() {
        let errors = planned.expect_err(id).errors;
        let found = errors.iter().any(|error| error.to_string().contains(text));
        assert!(found, "{id} {title}: {errors:?}");
        return;
    }
    let plan = planned.unwrap_or_else(|refusal| panic!("{id} {title}: {refusal:?}"));
    let storage = &plan.storage[0];
    let expected = &expect["storage"];
    assert_eq!(expected["type"], storage.kind(), "{id} {title}");
    let config = storage.config();
    for (key, value) in expected["config"].as_object().unwrap() {
        if key == "rootCA_file" {
            let encoded = config["rootCA"].as_str().unwrap();
            let pem = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
            let file = container.path(value.as_str().unwrap());
            assert_eq!(pem, std::fs::read(file).unwrap(), "{id} {title}");
        } else {
            let found = config.get(key).unwrap_or(&Value::Null);
            assert_eq!(found, value, "{id} {title}: {key}");
        }
    }
    // What changes the place or the way must not be set beside what is expected.
    let known = expected["config"].as_object().unwrap();
    for key in ["prefix", "region", "sessionToken", "doNotUseTLS", "sasToken", "storageDomain"] {
        assert!(known.contains_key(key) || config.get(key).is_none(), "{id} {title}: {key} is set");
    }
    let shown = plan.show() + &format!("{plan:?}");
    for absent in expect["log_absent"].as_array().into_iter().flatten() {
        assert!(!shown.contains(absent.as_str().unwrap()), "{id} {title}: {shown}");
    }
}
