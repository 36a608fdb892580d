//! The scenarios as they stand in the vector file.

use std::collections::BTreeMap;

use serde_json::Value;

/// One scenario.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// `B01`
    pub(crate) id: String,
    /// What it is about.
    pub(crate) title: String,
    /// Steps before the run.
    pub(crate) setup: Vec<Value>,
    /// What is run.
    pub(crate) run: Value,
    /// What must be true then.
    pub(crate) expect: Value,
    /// Whether the reference does the same.
    pub(crate) same: bool,
    /// User id of the process.
    pub(crate) uid: Option<u32>,
}

/// All scenarios, and the environments they start from.
pub(crate) struct Scenarios {
    pub(crate) all: Vec<Scenario>,
    defaults: BTreeMap<String, BTreeMap<String, String>>,
}

impl Scenarios {
    pub(crate) fn load() -> Self {
        let file: Value = kopist_testkit::vectors::load("mover-scenarios");
        let all = file["scenarios"].as_array().unwrap().iter().map(scenario).collect();
        let defaults = serde_json::from_value(file["env_defaults"].clone()).unwrap();
        Self { all, defaults }
    }

    /// The environment of a mode with the changes of a step; null removes a variable.
    pub(crate) fn env(&self, mode: &str, changes: &Value) -> Vec<(String, String)> {
        let mut env = self.defaults[mode].clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(env.remove(name)),
                value => drop(env.insert(name.clone(), value.as_str().unwrap().to_owned())),
            }
        }
        env.into_iter().collect()
    }
}

fn scenario(value: &Value) -> Scenario {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    Scenario {
        id: text("id"),
        title: text("title"),
        setup: value["setup"].as_array().cloned().unwrap_or_default(),
        run: value["run"].clone(),
        expect: value["expect"].clone(),
        same: value["compat"] == "same",
        uid: value["uid"].as_u64().and_then(|uid| u32::try_from(uid).ok()),
    }
}

/// The arguments of a run.
pub(crate) fn arguments(run: &Value, mode: &str) -> Vec<String> {
    match &run["args"] {
        Value::Array(args) => args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect(),
        _ if mode == "maintenance" => Vec::new(),
        _ => vec![mode.to_owned()],
    }
}
