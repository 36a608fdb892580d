//! Walking a remote tree. Most of the time goes by in waiting for answers, so several
//! directories are asked for at once.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::sharded::{BLOB_SUFFIX, blob_of_file, leads_to};
use kopist_blob::{Attempts, BlobError, BlobId, BlobMeta, Leftovers, in_parallel};
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
            let entries = attempts.run(|| tree.entries(&directory.path))?;
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
    use super::*;

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
