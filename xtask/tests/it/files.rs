//! Files stay small enough to be read in one go.

use kopist_testkit::checkout;

/// Lines of a source file, at most. The aim is 100 to 400.
const LINES: usize = 800;

/// Tables, which are long without being hard to read.
const TABLES: &[&str] = &[];

#[test]
fn no_source_file_is_too_long() {
    let root = checkout();
    let mut long = Vec::new();
    for folder in ["crates", "tests", "xtask"] {
        for entry in walkdir::WalkDir::new(root.join(folder)) {
            let Ok(entry) = entry else { continue };
            let path = entry.path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            if path.extension().is_none_or(|extension| extension != "rs") || TABLES.contains(&name)
            {
                continue;
            }
            let lines = std::fs::read_to_string(path).unwrap().lines().count();
            if lines > LINES {
                long.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "split these by purpose: {long:#?}");
}
