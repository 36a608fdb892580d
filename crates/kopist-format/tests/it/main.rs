//! Tests that need a repository on disk, or kopia itself.

// A failed precondition of a test is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod golden;
mod golden_index;
mod kopia_opens;
mod kopia_reads;

use std::{collections::BTreeMap, path::Path};

/// All blobs of a filesystem repository.
pub(crate) fn blobs(repository: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &name, found);
            } else if let Some(name) = name.strip_suffix(".f") {
                found.insert(name.to_owned(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(repository, "", &mut found);
    found
}
