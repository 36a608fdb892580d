//! What must be true after a scenario.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::container::{Container, Ended, USUAL_UID};
use crate::operator;
use crate::setup::{Connected, Oracle};

/// Everything that is wrong, in words.
pub(crate) fn check(
    expect: &Value,
    container: &Container,
    ended: &Ended,
    kopia: Option<&Path>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, value) in expect.as_object().unwrap() {
        match key.as_str() {
            "exit" => {
                let fits = match value.as_i64() {
                    Some(code) => i64::from(ended.code()) == code,
                    None => ended.code() != 0,
                };
                if !fits {
                    wrong.push(format!("exit status {} instead of {value}", ended.code()));
                }
            }
            "log_contains" => wrong.extend(
                texts(value)
                    .filter(|text| !ended.log.contains(text))
                    .map(|text| format!("the log lacks {text:?}")),
            ),
            "log_absent" => wrong.extend(
                texts(value)
                    .filter(|text| ended.log.contains(text))
                    .map(|text| format!("the log has {text:?}")),
            ),
            "log_regex" => wrong.extend(
                texts(value)
                    .filter(|text| !multi_line(text).is_match(&ended.log))
                    .map(|text| format!("the log has nothing like {text:?}")),
            ),
            "exists" => wrong.extend(
                texts(value)
                    .filter(|path| !container.path(path).exists())
                    .map(|path| format!("{path} does not exist")),
            ),
            "not_exists" => wrong.extend(
                texts(value)
                    .filter(|path| container.path(path).exists())
                    .map(|path| format!("{path} exists")),
            ),
            "dest" => wrong.extend(tree(value, container, &container.path("/restore/data"))),
            "data" => wrong.extend(tree(value, container, &container.path("/data"))),
            "operator" => wrong.extend(operator_status(value, &ended.log)),
            "if_exit_zero" => {
                if ended.code() == 0 {
                    wrong.extend(check(value, container, ended, kopia));
                }
            }
            "repo" => {
                let kopia = kopia.expect("kopia is there");
                let one = std::slice::from_ref(value);
                for repo in value.as_array().map_or(one, Vec::as_slice) {
                    wrong.extend(repository(repo, container, kopia));
                }
            }
            // Wall clocks decide nothing here; benchmarks do.
            "max_seconds" => {}
            other => wrong.push(format!("the expectation {other} is not understood")),
        }
    }
    wrong
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn multi_line(pattern: &str) -> Regex {
    Regex::new(&format!("(?m){pattern}")).unwrap()
}

fn operator_status(expect: &Value, log: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = operator::status(log, expect["destination"].as_bool().unwrap());
    for text in texts(&expect["status_logs_contains"]) {
        if !status.contains(text) {
            wrong.push(format!("the status lacks {text:?}: {status}"));
        }
    }
    for pattern in texts(&expect["status_logs_regex"]) {
        if !multi_line(pattern).is_match(&status) {
            wrong.push(format!("the status has nothing like {pattern:?}: {status}"));
        }
    }
    let parsed = operator::parse(&status);
    if let Some(requested) = expect["requestedIdentity"].as_str()
        && parsed.requested.as_deref() != Some(requested)
    {
        wrong.push(format!("requested identity {:?}", parsed.requested));
    }
    wrong
}

/// Compares a directory with what is expected of it.
fn tree(expect: &Value, container: &Container, directory: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(other) = expect["equals"].as_str() {
        let what: Vec<&str> = match expect["compare"].as_array() {
            Some(what) => what.iter().filter_map(Value::as_str).collect(),
            None => vec!["content"],
        };
        let (left, right) = (listing(directory, &what), listing(&container.path(other), &what));
        if left != right {
            wrong.push(format!("{} differs from {other}: {left:?} {right:?}", directory.display()));
        }
    }
    let no_files = serde_json::Map::new();
    let files = expect["files"].as_object().unwrap_or(&no_files);
    for (name, expected) in files {
        let path = directory.join(name);
        let (content, owner) = match expected {
            Value::String(content) => (content.as_str(), None),
            other => {
                // The scenarios name their usual user; this container's may be another.
                let owner = other["owner"].as_u64().map(|owner| match owner {
                    usual if usual == u64::from(USUAL_UID) => u64::from(container.uid),
                    owner => owner,
                });
                (other["content"].as_str().unwrap(), owner)
            }
        };
        match std::fs::read(&path) {
            Ok(found) if found == content.as_bytes() => {}
            Ok(_) => wrong.push(format!("{name} has other content")),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
        if let (Some(owner), Ok(metadata)) = (owner, std::fs::symlink_metadata(&path))
            && u64::from(metadata.uid()) != owner
        {
            wrong.push(format!("{name} belongs to {} instead of {owner}", metadata.uid()));
        }
    }
    if expect["exact"] == true {
        for name in listing(directory, &[]).into_keys() {
            if !files.keys().any(|file| *file == name) && !directory.join(&name).is_dir() {
                wrong.push(format!("{name} should not be there"));
            }
        }
    }
    for name in texts(&expect["absent"]) {
        if directory.join(name).exists() {
            wrong.push(format!("{name} should be absent"));
        }
    }
    wrong
}

/// Each entry with what is to be compared of it.
pub(crate) fn listing(directory: &Path, what: &[&str]) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for entry in walkdir::WalkDir::new(directory).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let metadata = entry.path().symlink_metadata().unwrap();
        let name = entry.path().strip_prefix(directory).unwrap().to_string_lossy().into_owned();
        let mut shown = String::new();
        for what in what {
            let part = match *what {
                "content" if metadata.is_file() => {
                    use sha2::Digest;
                    hex::encode(sha2::Sha256::digest(std::fs::read(entry.path()).unwrap()))
                }
                "mode" if !metadata.is_symlink() => format!("{:o}", metadata.mode()),
                "mtime" => format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()),
                "owner" => metadata.uid().to_string(),
                "symlink" if metadata.is_symlink() => {
                    std::fs::read_link(entry.path()).unwrap().display().to_string()
                }
                _ => String::new(),
            };
            shown.push_str(&part);
            shown.push(' ');
        }
        entries.insert(name, shown);
    }
    entries
}

/// Whether `part` is contained in `whole`, object by object.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|found| contains(found, value))),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => whole == part,
    }
}

pub(crate) fn source_of(snapshot: &Value) -> String {
    let text = |key: &str| snapshot["source"][key].as_str().unwrap_or_default();
    format!("{}@{}:{}", text("userName"), text("host"), text("path"))
}

/// Lets the reference look at the repository.
fn repository(expect: &Value, container: &Container, kopia: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let at = expect["path"].as_str().unwrap_or("/mnt/repo");
    let password = expect["password"].as_str().unwrap_or("pw");
    let client = Oracle::new(container, kopia).client("judge", "judge", at, password);
    if let Some(sources) = expect["snapshots"].as_object() {
        wrong.extend(snapshots(expect, sources, &client));
    }
    if let Some(policies) = expect["policies_defined"].as_object() {
        let defined = client.json(&["policy", "export"]);
        for (target, policy) in policies {
            let found = defined.get(target).unwrap_or(&Value::Null);
            if !contains(found, policy) {
                wrong.push(format!("the policy of {target} is {found}, not {policy}"));
            }
        }
    }
    if !expect["format"].is_null() {
        let status = client.json(&["repository", "status", "--json"]);
        if !contains(&status, &expect["format"]) {
            wrong.push(format!("the format is {status}"));
        }
    }
    if !expect["maintenance"].is_null() || !expect["maintenance_runs"].is_null() {
        let info = client.json(&["maintenance", "info", "--json"]);
        if !expect["maintenance"].is_null() && !contains(&info, &expect["maintenance"]) {
            wrong.push(format!("maintenance is {info}"));
        }
        for task in texts(&expect["maintenance_runs"]) {
            let runs = info["schedule"]["runs"][task].as_array();
            if runs.is_none_or(Vec::is_empty) {
                wrong.push(format!("maintenance never ran {task}"));
            }
        }
    }
    for (source, expected) in expect["oracle_restore"].as_object().into_iter().flatten() {
        let target = container.path("/oracle-restore");
        let _ = std::fs::remove_dir_all(&target);
        std::fs::create_dir(&target).unwrap();
        container.own(&target);
        let listed = client.json(&["snapshot", "list", source, "--json"]);
        let newest = listed.as_array().unwrap().iter().rev().find(|s| source_of(s) == *source);
        let Some(id) = newest.and_then(|snapshot| snapshot["id"].as_str()) else {
            wrong.push(format!("kopia finds no snapshot of {source}"));
            continue;
        };
        client.ok(&["snapshot", "restore", id, target.to_str().unwrap()]);
        wrong.extend(tree(expected, container, &target));
    }
    if expect["verify"] == true {
        let (success, _, stderr) =
            client.run(&["snapshot", "verify", "--verify-files-percent=100"]);
        if !success {
            wrong.push(format!("kopia's verification fails: {stderr}"));
        }
    }
    wrong
}

fn snapshots(
    expect: &Value,
    sources: &serde_json::Map<String, Value>,
    client: &Connected<'_>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed = client.json(&["snapshot", "list", "--all", "--json"]);
    let complete: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|snapshot| snapshot["incomplete"].as_str().unwrap_or_default().is_empty())
        .collect();
    for (source, expected) in sources {
        let found: Vec<_> = complete.iter().filter(|s| source_of(s) == *source).collect();
        let count = found.len() as u64;
        let fits = expected["count"].as_u64().is_none_or(|expected| expected == count)
            && expected["min"].as_u64().is_none_or(|min| min <= count);
        if !fits {
            wrong.push(format!("{count} snapshots of {source} instead of {expected}"));
        }
        let Some(latest) = found.last() else { continue };
        if let Some(files) = expected["files"].as_u64()
            && latest["rootEntry"]["summ"]["files"].as_u64() != Some(files)
        {
            wrong
                .push(format!("{} files instead of {files}", latest["rootEntry"]["summ"]["files"]));
        }
        if let Some(description) = expected["description"].as_str()
            && latest["description"].as_str().unwrap_or_default() != description
        {
            wrong.push(format!("the description is {}", latest["description"]));
        }
        if !expected["tags"].is_null() && !contains(&latest["tags"], &expected["tags"]) {
            wrong.push(format!("the tags are {}", latest["tags"]));
        }
    }
    if expect["only_listed_sources"] != false {
        for snapshot in &complete {
            let source = source_of(snapshot);
            if !sources.contains_key(&source) {
                wrong.push(format!("there is a snapshot of {source}"));
            }
        }
    }
    wrong
}
