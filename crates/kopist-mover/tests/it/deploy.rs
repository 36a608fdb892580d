//! The examples of `deploy/` are what this program understands.

use std::collections::{BTreeMap, BTreeSet};

use kopist_mover::env::Env;
use kopist_mover::plan::plan;
use kopist_mover::probe::HostProbe;
use kopist_mover::root::ContainerRoot;
use kopist_testkit::checkout;
use regex::Regex;
use serde_json::Value;

use crate::container::Container;
use crate::scenario::Scenarios;

fn example(name: &str) -> String {
    std::fs::read_to_string(checkout().join("deploy").join(name)).unwrap()
}

/// The entries below a key of the top level: their names, and their values in one line or, behind
/// a bar, in a block.
fn entries(text: &str, key: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, String>::new();
    let mut name = None;
    let below = text.lines().skip_while(|line| *line != format!("{key}:")).skip(1);
    for line in below.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        if let (Some(rest), Some(name)) = (line.strip_prefix("    "), &name) {
            let block: &mut String = found.entry(String::clone(name)).or_default();
            block.push_str(rest);
            block.push('\n');
        } else if let Some((left, right)) = line.trim().split_once(':')
            && !left.starts_with('#')
        {
            name = (right.trim() == "|").then(|| left.to_owned());
            if name.is_none() {
                found.insert(left.to_owned(), right.trim().to_owned());
            }
        }
    }
    found
}

#[test]
fn secret_and_settings_make_a_plan() {
    let secret = entries(&example("secret.yaml"), "stringData");
    let files = entries(&example("policy-configmap.yaml"), "data");
    assert!(secret.contains_key("KOPIA_PASSWORD") && files.contains_key("repository.config"));
    let container = Container::new(rustix::process::geteuid().as_raw());
    for (name, text) in &files {
        let parsed: Value = serde_json::from_str(text).expect(name);
        assert!(parsed.is_object(), "{name}");
        std::fs::write(container.path("/kopia-config").join(name), text).unwrap();
    }
    for mode in ["backup", "restore", "maintenance"] {
        let mut changes: Value = serde_json::to_value(&secret).unwrap();
        if mode != "maintenance" {
            for (name, file) in [
                ("KOPIA_CONFIG_PATH", ""),
                ("KOPIA_GLOBAL_POLICY_FILE", "/global-policy.json"),
                ("KOPIA_REPOSITORY_CONFIG_FILE", "/repository.config"),
            ] {
                changes[name] = Value::from(format!("/kopia-config{file}"));
            }
            // The operator hands on only what it knows.
            changes.as_object_mut().unwrap().retain(|name, _| !name.starts_with("KOPIST_"));
        }
        let env: Env = Scenarios::load().env(mode, &changes).into_iter().collect();
        let arguments = if mode == "maintenance" { vec![] } else { vec![mode.to_owned()] };
        let probe = HostProbe::new(ContainerRoot::at(container.root()));
        let plan = plan(&arguments, &env, &probe).expect(mode);
        assert_eq!(plan.storage[0].kind(), "s3");
        assert!(plan.notices.is_empty(), "{mode}: {:?}", plan.notices);
        assert_eq!(plan.jitter.is_some(), mode == "backup", "{mode}");
    }
}

#[test]
fn checks_make_a_plan() {
    let mut env = entries(&example("secret.yaml"), "stringData");
    env.extend(entries(&example("checks.yaml"), "stringData"));
    assert!(env.contains_key("KOPIST_TARGET_KOPIA_REPOSITORY"));
    let container = Container::new(rustix::process::geteuid().as_raw());
    env.insert("KOPIA_CACHE_DIR".to_owned(), "/cache".to_owned());
    let env: Env = env.into_iter().collect();
    for mode in ["test-restore", "replicate"] {
        assert!(example("checks.yaml").contains(&format!("args: [{mode}]")));
        let probe = HostProbe::new(ContainerRoot::at(container.root()));
        let plan = plan(&[mode.to_owned()], &env, &probe).expect(mode);
        assert!(plan.notices.is_empty(), "{mode}: {:?}", plan.notices);
    }
}

/// Alerts and dashboard ask for what runs send.
#[test]
fn metrics_exist() {
    let source = checkout().join("crates/kopist-mover/src/telemetry/families.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let name = Regex::new("kopist_[a-z_]+").unwrap();
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = example(file);
        let asked: BTreeSet<&str> = name.find_iter(&text).map(|found| found.as_str()).collect();
        assert!(asked.len() > 5, "{file}: {asked:?}");
        for asked in asked {
            assert!(source.contains(&format!("\"{asked}\"")), "{file}: no run sends {asked}");
        }
    }
}

#[test]
fn every_file_is_well_formed() {
    let mut count = 0;
    for entry in std::fs::read_dir(checkout().join("deploy")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = example(&name);
        let kind = name.rsplit('.').next().unwrap();
        match kind {
            "json" => drop(serde_json::from_str::<Value>(&text).expect(&name)),
            "yaml" => {
                for (number, line) in text.lines().enumerate() {
                    let indent = line.len() - line.trim_start().len();
                    let odd = indent % 2 != 0 || line.contains('\t') || line.ends_with(' ');
                    assert!(!odd, "{name}:{}: {line:?}", number + 1);
                }
            }
            "md" => {
                // Each of the others is told of.
                for other in std::fs::read_dir(checkout().join("deploy")).unwrap() {
                    let other = other.unwrap().file_name().into_string().unwrap();
                    assert!(other == name || text.contains(&format!("({other})")), "{other}");
                }
            }
            other => panic!("{name}: nothing is known of files of kind {other}"),
        }
        count += 1;
    }
    assert!(count >= 8, "{count}");
}
