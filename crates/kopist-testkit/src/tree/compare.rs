//! Comparing two listings.

use std::collections::BTreeMap;
use std::fmt;

use super::Entry;

/// What is compared besides type, size, digest and link target.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Owner and group; only root can restore them.
    pub owners: bool,
    /// Modification times.
    pub times: bool,
    /// Modification times of directories. A restored directory has the newest time below it, as
    /// in kopia, which is not the time of the directory that was backed up.
    pub directory_times: bool,
    /// Permission bits.
    pub modes: bool,
    /// Whether the root's own attributes count.
    pub root: bool,
}

impl Comparison {
    /// Everything; owners only when this process can set them.
    pub fn full() -> Self {
        let owners = rustix::process::geteuid().is_root();
        Self { owners, times: true, directory_times: true, modes: true, root: true }
    }

    /// A restored tree against the tree that was backed up.
    pub fn restored() -> Self {
        Self { directory_times: false, ..Self::full() }
    }

    /// Only what the files hold.
    pub fn contents() -> Self {
        Self { owners: false, times: false, directory_times: false, modes: false, root: false }
    }
}

/// How two listings differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Paths of the expected listing that are not in the actual one.
    pub missing: Vec<String>,
    /// Paths of the actual listing that are not in the expected one.
    pub unexpected: Vec<String>,
    /// Paths of both, with what differs.
    pub different: Vec<(String, String)>,
}

impl Differences {
    /// Whether the listings are equal.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.different.is_empty()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        let lines = (self.missing.iter().map(|path| format!("missing {path}")))
            .chain(self.unexpected.iter().map(|path| format!("unexpected {path}")))
            .chain(self.different.iter().map(|(path, what)| format!("different {path}: {what}")));
        let count = self.missing.len() + self.unexpected.len() + self.different.len();
        for line in lines.take(SHOWN) {
            writeln!(f, "  {line}")?;
        }
        if count > SHOWN {
            writeln!(f, "  and {} more", count - SHOWN)?;
        }
        Ok(())
    }
}

/// Compares `actual` with `expected`.
pub fn compare(expected: &[Entry], actual: &[Entry], what: Comparison) -> Differences {
    let by_path = |entries: &'_ [Entry]| -> BTreeMap<String, Entry> {
        entries
            .iter()
            .filter(|entry| what.root || entry.path != ".")
            .map(|entry| (entry.path.clone(), entry.clone()))
            .collect()
    };
    let (expected, mut actual) = (by_path(expected), by_path(actual));
    let mut found = Differences::default();
    for (path, expected) in expected {
        match actual.remove(&path) {
            None => found.missing.push(path),
            Some(actual) => {
                let what = difference(&expected, &actual, what);
                if !what.is_empty() {
                    found.different.push((path, what.join(", ")));
                }
            }
        }
    }
    found.unexpected = actual.into_keys().collect();
    found
}

fn difference(expected: &Entry, actual: &Entry, what: Comparison) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |name: &str, relevant: bool, expected: String, actual: String| {
        if relevant && expected != actual {
            found.push(format!("{name} {actual} instead of {expected}"));
        }
    };
    let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    check("type", true, expected.kind.to_string(), actual.kind.to_string());
    check("size", true, format!("{:?}", expected.size), format!("{:?}", actual.size));
    check("sha256", true, show(&expected.sha256), show(&actual.sha256));
    check("target", true, show(&expected.target), show(&actual.target));
    check("mode", what.modes, show(&expected.mode), show(&actual.mode));
    let times = what.times && (what.directory_times || expected.kind != 'd');
    let same = times_agree(expected, actual);
    check("mtime", times && !same, expected.mtime_ns.to_string(), actual.mtime_ns.to_string());
    check("uid", what.owners, expected.uid.to_string(), actual.uid.to_string());
    check("gid", what.owners, expected.gid.to_string(), actual.gid.to_string());
    found
}

/// Whether the times are equal; those of symbolic links, to the microsecond, because kopia
/// restores them no finer.
fn times_agree(expected: &Entry, actual: &Entry) -> bool {
    let tolerated = if expected.kind == 's' { 1_000 } else { 1 };
    expected.mtime_ns.abs_diff(actual.mtime_ns) < tolerated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64) -> Entry {
        Entry {
            path: path.to_owned(),
            kind: 'f',
            mode: Some("0644".to_owned()),
            mtime_ns: 1,
            uid: 0,
            gid: 0,
            size: Some(size),
            sha256: Some(format!("{size:064x}")),
            target: None,
        }
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let expected = [file("a", 1), file("b", 1), file("c", 1)];
        let mut changed = file("c", 1);
        changed.mtime_ns = 2;
        let actual = [file("a", 1), changed, file("d", 1)];
        let all = Comparison { owners: true, ..Comparison::full() };

        let found = compare(&expected, &actual, all);

        assert_eq!(found.missing, ["b"]);
        assert_eq!(found.unexpected, ["d"]);
        assert_eq!(found.different, [("c".to_owned(), "mtime 2 instead of 1".to_owned())]);
        assert!(compare(&expected, &expected, all).is_empty());
        let contents = compare(&expected, &actual, Comparison::contents());
        assert!(contents.different.is_empty());
    }
}
