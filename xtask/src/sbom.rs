//! The list of what the binary is made of (a software bill of materials), as CycloneDX in JSON.
//!
//! `Cargo.lock` says which packages there are and what they hash to, `cargo metadata` which of
//! them the binary of a machine is built from, and under which licences. Tests' packages are not
//! in it. The same sources give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::step::{Result, cargo, headline};

/// The package whose parts are listed.
const PRODUCT: &str = "kopist";

/// Writes the list for a machine, by its name for the compiler, into a file.
pub(crate) fn write(file: &Path, target: &str) -> Result {
    headline(&format!("list of parts: {}", file.display()));
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let text = serde_json::to_string_pretty(&document(target)?)?;
    Ok(std::fs::write(file, text + "\n")?)
}

/// The list for a machine.
pub(crate) fn document(target: &str) -> Result<Value> {
    let mut command = Command::new(cargo());
    command
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .current_dir(kopist_testkit::checkout());
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let lock = std::fs::read_to_string(kopist_testkit::checkout().join("Cargo.lock"))?;
    assemble(&serde_json::from_slice(&output.stdout)?, &checksums(&lock))
}

fn assemble(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let packages: BTreeMap<&str, &Value> = array(&metadata["packages"])
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let needs: BTreeMap<&str, Vec<&str>> = array(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, needed(node))))
        .collect();
    let product = packages
        .iter()
        .find_map(|(id, package)| (package["name"] == PRODUCT).then_some(*id))
        .ok_or("cargo metadata knows no package kopist")?;
    let mut seen = BTreeSet::from([product]);
    let mut open = vec![product];
    while let Some(id) = open.pop() {
        open.extend(needs.get(id).into_iter().flatten().filter(|id| seen.insert(id)));
    }
    let package = |id: &str| packages.get(id).copied().unwrap_or(&Value::Null);
    let reference = |id: &str| purl(package(id));
    let components: Vec<Value> = seen
        .iter()
        .filter(|id| **id != product)
        .map(|id| component(package(id), "library", checksums))
        .collect();
    let dependencies: Vec<Value> = seen
        .iter()
        .map(|id| {
            let on: BTreeSet<String> =
                needs.get(id).into_iter().flatten().map(|id| reference(id)).collect();
            json!({"ref": reference(id), "dependsOn": on})
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(package(product), "application", checksums)},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// What a package is built with or from; not what its tests take.
fn needed(node: &Value) -> Vec<&str> {
    array(&node["deps"])
        .filter(|dependency| array(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev"))
        .filter_map(|dependency| dependency["pkg"].as_str())
        .collect()
}

fn component(package: &Value, kind: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut component = Map::new();
    let mut put = |key: &str, value: Value| component.insert(key.to_owned(), value);
    put("type", json!(kind));
    put("bom-ref", json!(purl(package)));
    put("name", json!(text("name")));
    put("version", json!(text("version")));
    put("purl", json!(purl(package)));
    if let Some(licence) = package["license"].as_str() {
        // Cargo once allowed a slash for "or".
        put("licenses", json!([{"expression": licence.replace('/', " OR ")}]));
    }
    if let Some(checksum) = checksums.get(&(text("name"), text("version"))) {
        put("hashes", json!([{"alg": "SHA-256", "content": checksum}]));
    }
    if let Some(repository) = package["repository"].as_str() {
        put("externalReferences", json!([{"type": "vcs", "url": repository}]));
    }
    Value::Object(component)
}

/// The name of a package for every ecosystem: <https://github.com/package-url/purl-spec>.
fn purl(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    // A version may have build metadata behind a plus.
    format!("pkg:cargo/{}@{}", text("name"), text("version").replace('+', "%2B"))
}

/// SHA-256 of each package of a `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for block in lock.split("[[package]]") {
        let value = |key: &str| {
            block.lines().find_map(|line| {
                let value = line.strip_prefix(key)?.strip_prefix(" = ")?;
                Some(value.trim_matches('"').to_owned())
            })
        };
        if let (Some(name), Some(version), Some(checksum)) =
            (value("name"), value("version"), value("checksum"))
        {
            found.insert((name, version), checksum);
        }
    }
    found
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Built from what the lock file has, so it needs no network.
    #[test]
    fn every_part_of_the_binary_is_listed() {
        let list = document("x86_64-unknown-linux-gnu").unwrap();
        let parts: BTreeSet<&str> = array(&list["components"])
            .map(|part| part["bom-ref"].as_str().unwrap())
            .chain(list["metadata"]["component"]["bom-ref"].as_str())
            .collect();
        let has = |name: &str| parts.iter().any(|part| part.contains(name));
        assert!(has("cargo/kopist@") && has("cargo/kopist-mover@") && has("cargo/rustls@"));
        assert!(!has("kopist-testkit"), "what tests need is not in the binary");
        for dependency in array(&list["dependencies"]) {
            for on in array(&dependency["dependsOn"]) {
                assert!(parts.contains(on.as_str().unwrap()), "{on} is not listed");
            }
        }
        for part in array(&list["components"]) {
            let name = part["name"].as_str().unwrap();
            if !name.starts_with("kopist") {
                assert_eq!(part["hashes"][0]["content"].as_str().unwrap().len(), 64, "{name}");
                assert!(part["licenses"][0]["expression"].is_string(), "{name}");
            }
        }
    }

    #[test]
    fn a_lock_file_is_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                    source = \"x\"\nchecksum = \"00ff\"\n\n[[package]]\nname = \"own\"\n\
                    version = \"0.1.0\"\n";
        let key = ("a".to_owned(), "1.0.0".to_owned());
        assert_eq!(checksums(lock), BTreeMap::from([(key, "00ff".to_owned())]));
    }
}
