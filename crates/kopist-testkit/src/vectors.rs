//! Test vectors: `testdata/vectors/NAME.json`, one file for each subject of the format.
//!
//! The expected values in them were computed by kopia's own code, so a test against a vector
//! is a test against kopia.

use serde::de::DeserializeOwned;

/// Reads `testdata/vectors/NAME.json` into the shape the test wants.
pub fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = crate::testdata().join("vectors").join(format!("{name}.json"));
    let text =
        std::fs::read(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    serde_json::from_slice(&text)
        .unwrap_or_else(|e| panic!("{} has another shape than expected: {e}", path.display()))
}

/// Names of all vector files, without `.json`, sorted.
pub fn names() -> Vec<String> {
    let folder = crate::testdata().join("vectors");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("cannot list {}: {e}", folder.display()))
        .filter_map(|entry| {
            let name = entry.expect("directory entry").file_name().into_string().ok()?;
            name.strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}
