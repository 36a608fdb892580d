//! Walking a remote tree. Most of the time goes by in waiting for answers, so several
//! directories are asked for at once.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::sharded::{BLOB_SUFFIX, blob_of_file, leads_to};
use kopist_blob::{
    Attempts, BlobError, BlobId, BlobMeta, Leftovers, Operation, Target, in_parallel,
};
use parking_lot::Mutex;

use super::{Entry, Tree};

/// Directories asked for at once when the configuration does not say.
const DEFAULT_PARALLELISM: usize = 8;

/// Directories whose entries are held before they are reported.
const BATCH: usize = 64;

/// How old the remains of a write must be to be removed.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// A directory to read: its path, and its names joined, which start the ids of all blobs below.
struct Pending {
    path: String,
    names: String,
}

/// What happens to an entry of a directory.
type Visit<'a> = dyn FnMut(&Pending, Entry) -> Result<ControlFlow<()>, BlobError> + 'a;

/// Visits the entries of all directories that may hold blobs of this prefix.
fn walk(
    tree: &impl Tree,
    prefix: &str,
    parallelism: usize,
    attempts: &Attempts,
    visit: &mut Visit<'_>,
) -> Result<(), BlobError> {
    let parallelism = if parallelism == 0 { DEFAULT_PARALLELISM } else { parallelism };
    let mut waiting = vec![Pending { path: String::new(), names: String::new() }];
    while !waiting.is_empty() {
        let batch = waiting.split_off(waiting.len().saturating_sub(BATCH));
        let found = Mutex::new(Vec::with_capacity(batch.len()));
        let numbers: Vec<usize> = (0..batch.len()).collect();
        in_parallel(&numbers, parallelism, |number| {
            let Some(directory) = batch.get(*number) else { return Ok(()) };
            let entries = attempts.run(|| entries(tree, &directory.path))?;
            found.lock().push((*number, entries));
            Ok(())
        })?;
        for (number, entries) in found.into_inner() {
            let Some(directory) = batch.get(number) else { continue };
            for entry in entries {
                if entry.file.is_none() {
                    let names = format!("{}{}", directory.names, entry.name);
                    if leads_to(&names, prefix) {
                        let path = if directory.path.is_empty() {
                            entry.name
                        } else {
                            format!("{}/{}", directory.path, entry.name)
                        };
                        waiting.push(Pending { path, names });
                    }
                } else if visit(directory, entry)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// What is in a directory that its parent has named.
///
/// On some stores, such as the buckets behind rclone, a directory goes with its last file. Where
/// the parent still names one that is said to be missing, the answer is wrong, and to believe it
/// would lose sight of all blobs in it.
fn entries(tree: &impl Tree, path: &str) -> Result<Vec<Entry>, BlobError> {
    if let Some(found) = tree.entries(path)? {
        return Ok(found);
    }
    if is_named(tree, path)? {
        let text = "the server says that it is missing, and lists it in the directory above";
        return Err(BlobError::Remote {
            operation: Operation::List,
            target: Target::Path(path.into()),
            retriable: true,
            wait_seconds: 0,
            source: text.into(),
        });
    }
    Ok(Vec::new())
}

/// Whether the directory above names this one, or is missing where that above it names it.
fn is_named(tree: &impl Tree, path: &str) -> Result<bool, BlobError> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    match tree.entries(parent)? {
        Some(found) => Ok(found.iter().any(|entry| entry.file.is_none() && entry.name == name)),
        None if parent.is_empty() => Ok(false),
        None => is_named(tree, parent),
    }
}

/// Reports the blobs whose ids start with `prefix`.
pub(super) fn list(
    tree: &impl Tree,
    prefix: &str,
    parallelism: usize,
    attempts: &Attempts,
    visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
) -> Result<(), BlobError> {
    walk(tree, prefix, parallelism, attempts, &mut |directory, entry| {
        let blob = blob_of_file(&directory.names, &entry.name, prefix);
        let (Some(id), Some(stat)) = (blob, entry.file) else {
            return Ok(ControlFlow::Continue(()));
        };
        let meta = BlobMeta { id: BlobId::from(id), length: stat.length, timestamp: stat.time };
        Ok(visit(meta))
    })
}

/// Removes what interrupted writes left: `x.f.tmp.0123456789abcdef` and `x.f-123`.
pub(super) fn sweep(
    tree: &impl Tree,
    now: Timestamp,
    parallelism: usize,
    attempts: &Attempts,
) -> Result<Leftovers, BlobError> {
    let mut removed = Leftovers::default();
    let age = SignedDuration::try_from(LEFTOVER_AGE).unwrap_or_default();
    walk(tree, "", parallelism, attempts, &mut |directory, entry| {
        if let Some(stat) = entry.file
            && is_leftover(&entry.name)
            && now.duration_since(stat.time) >= age
        {
            let path = if directory.path.is_empty() {
                entry.name.clone()
            } else {
                format!("{}/{}", directory.path, entry.name)
            };
            attempts.run(|| tree.remove(&path, &BlobId::from(entry.name.as_str())))?;
            removed.files += 1;
            removed.bytes += stat.length;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(removed)
}

/// Whether the name is one that a write gives to a file that is not complete.
fn is_leftover(name: &str) -> bool {
    let Some((_, rest)) = name.rsplit_once(BLOB_SUFFIX) else { return false };
    if let Some(digits) = rest.strip_prefix(".tmp.") {
        return digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    }
    rest.strip_prefix('-')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use bytes::Bytes;
    use kopist_blob::pace::ManualTimer;
    use kopist_blob::{ByteRange, RetryPolicy};

    use super::super::Stat;
    use super::*;

    /// Directories and what is in them; names with a dot are files.
    #[derive(Debug, Default)]
    struct Names {
        directories: BTreeMap<&'static str, Vec<&'static str>>,
        /// How often each is said to be missing before it is there.
        missing: Mutex<BTreeMap<&'static str, u32>>,
    }

    impl Tree for Names {
        fn read(&self, _: &str, _: &BlobId, _: ByteRange) -> Result<Bytes, BlobError> {
            unreachable!("nothing is read")
        }

        fn stat(&self, _: &str, _: &BlobId) -> Result<Stat, BlobError> {
            unreachable!("nothing is asked for")
        }

        fn write(
            &self,
            _: &str,
            _: &BlobId,
            _: &[&[u8]],
            _: Option<Timestamp>,
        ) -> Result<Stat, BlobError> {
            unreachable!("nothing is written")
        }

        fn remove(&self, _: &str, _: &BlobId) -> Result<(), BlobError> {
            unreachable!("nothing is removed")
        }

        fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, BlobError> {
            if let Some(left) = self.missing.lock().get_mut(path).filter(|left| **left > 0) {
                *left -= 1;
                return Ok(None);
            }
            let stat = Stat { length: 1, time: Timestamp::UNIX_EPOCH };
            let entry = |name: &&str| Entry {
                name: (*name).to_owned(),
                file: name.contains('.').then_some(stat),
            };
            Ok(self.directories.get(path).map(|names| names.iter().map(entry).collect()))
        }

        fn sets_times(&self) -> bool {
            false
        }
    }

    fn listed(tree: &Names) -> Result<BTreeSet<String>, BlobError> {
        let attempts = Attempts::new(RetryPolicy::default(), Arc::new(ManualTimer::new()));
        let mut found = BTreeSet::new();
        list(tree, "", 2, &attempts, &mut |meta| {
            found.insert(meta.id.as_str().to_owned());
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn tree(missing: &[(&'static str, u32)]) -> Names {
        let directories = [("", vec!["x", "q", "a.f"]), ("x", vec!["n0"]), ("x/n0", vec!["b.f"])];
        Names {
            directories: directories.into(),
            missing: Mutex::new(missing.iter().copied().collect()),
        }
    }

    #[test]
    fn a_listing_is_whole_or_fails() {
        let all = ["a", "xn0b"].map(str::to_owned).into();
        // `q` has nothing in it, and went with the last file.
        let mut whole = tree(&[]);
        whole.directories.insert("q", Vec::new());
        assert_eq!(listed(&whole).unwrap(), all);
        let mut sometimes = tree(&[("x", 2), ("x/n0", 3)]);
        sometimes.directories.insert("q", Vec::new());
        assert_eq!(listed(&sometimes).unwrap(), all, "asked again, the server knows better");
        let error = listed(&tree(&[])).unwrap_err();
        assert!(error.to_string().contains('q'), "it is named and never there: {error}");
    }

    /// As in a bucket, where another client just deleted the last blob of a directory.
    #[test]
    fn a_directory_that_went_is_no_error() {
        let gone = Names { directories: [("", vec!["a.f"])].into(), ..Names::default() };
        for path in ["x", "x/n0"] {
            assert!(entries(&gone, path).unwrap().is_empty(), "{path}");
        }
    }

    #[test]
    fn only_incomplete_files_are_leftovers() {
        for name in ["a.f.tmp.0123456789abcdef", "a.f-8234592834752"] {
            assert!(is_leftover(name), "{name}");
        }
        for name in ["a.f", ".shards", "a.f.tmp.", "a.f-", "a.f-x", "a.tmp.0123456789abcdef", "a-1"]
        {
            assert!(!is_leftover(name), "{name}");
        }
    }
}
