//! What differs between two trees.
//!
//! Entries are compared by name; the same object ends the descent. Facts:
//! `kopia:internal/diff/diff.go`.

use std::collections::HashMap;

use kopist_format::directory::{DirEntry, EntryType};
use kopist_repo::Repository;
use serde::Serialize;

use crate::browse;
use crate::error::{Result, SnapshotError};

/// Counts of one kind of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryStats {
    /// Only in the second tree.
    pub added: u32,
    /// Only in the first tree.
    pub removed: u32,
    /// In both and not the same. One that differs in attributes and in content counts twice, as
    /// in kopia.
    pub modified: u32,
    /// The same object with other attributes.
    pub same_content_but_different_metadata: u32,
    /// Of these: other permissions.
    pub same_content_but_different_mode: u32,
    /// Another time.
    pub same_content_but_different_modification_time: u32,
    /// Another owner.
    pub same_content_but_different_user_owner: u32,
    /// Another group.
    pub same_content_but_different_group_owner: u32,
}

/// Counts of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffStats {
    /// Files and everything else that is no directory.
    pub file_entries: EntryStats,
    /// Directories.
    pub directory_entries: EntryStats,
}

/// A difference.
#[derive(Clone, Copy, Debug)]
pub enum Difference<'a> {
    /// Only in the second tree.
    Added(&'a DirEntry),
    /// Only in the first tree.
    Removed(&'a DirEntry),
    /// Other attributes; shown before [`Changed`](Self::Changed).
    Attributes(&'a DirEntry, &'a DirEntry),
    /// A directory that is something else in the second tree, or the other way round.
    Kind(&'a DirEntry, &'a DirEntry),
    /// A file with other content.
    Changed(&'a DirEntry, &'a DirEntry),
}

/// Is shown each difference with its path, which begins with `.`.
pub type Visit<'v, E> = dyn FnMut(&str, Difference<'_>) -> Result<(), E> + 'v;

/// Compares two directories and returns the counts. An error of `visit` ends the comparison.
pub fn diff<E: From<SnapshotError>>(
    repo: &Repository,
    first: &DirEntry,
    second: &DirEntry,
    visit: &mut Visit<'_, E>,
) -> Result<DiffStats, E> {
    let mut comparison = Comparison { repo, visit, stats: DiffStats::default() };
    // Pairs that are still to be compared, the next one last.
    let mut open = vec![(".".to_owned(), Some(first.clone()), Some(second.clone()))];
    while let Some((path, first, second)) = open.pop() {
        if comparison.pair(&path, first.as_ref(), second.as_ref())? {
            let mut below = comparison.below(&path, first.as_ref(), second.as_ref())?;
            below.reverse();
            open.extend(below);
        }
    }
    Ok(comparison.stats)
}

type Pair = (String, Option<DirEntry>, Option<DirEntry>);

struct Comparison<'a, 'v, E> {
    repo: &'a Repository,
    visit: &'a mut Visit<'v, E>,
    stats: DiffStats,
}

impl<E> Comparison<'_, '_, E> {
    /// Compares two entries of one name and tells whether to compare what is in them.
    fn pair(
        &mut self,
        path: &str,
        first: Option<&DirEntry>,
        second: Option<&DirEntry>,
    ) -> Result<bool, E> {
        let (first, second) = match (first, second) {
            (Some(first), Some(second)) => (first, second),
            (None, Some(entry)) => {
                self.stats_of(entry).added += 1;
                (self.visit)(path, Difference::Added(entry))?;
                return Ok(entry.is_dir());
            }
            (Some(entry), None) => {
                self.stats_of(entry).removed += 1;
                (self.visit)(path, Difference::Removed(entry))?;
                return Ok(entry.is_dir());
            }
            (None, None) => return Ok(false),
        };
        if first.object == second.object {
            self.same_object(first, second);
            return Ok(false);
        }
        let both_directories = first.is_dir() && second.is_dir();
        if !same_attributes(first, second) {
            let stats = &mut self.stats;
            let stats = if both_directories {
                &mut stats.directory_entries
            } else {
                &mut stats.file_entries
            };
            stats.modified += 1;
            (self.visit)(path, Difference::Attributes(first, second))?;
        }
        if both_directories {
            return Ok(true);
        }
        if first.is_dir() || second.is_dir() {
            (self.visit)(path, Difference::Kind(first, second))?;
        } else if first.kind == EntryType::File && second.kind == EntryType::File {
            self.stats.file_entries.modified += 1;
            (self.visit)(path, Difference::Changed(first, second))?;
        }
        Ok(false)
    }

    fn stats_of(&mut self, entry: &DirEntry) -> &mut EntryStats {
        if entry.is_dir() {
            &mut self.stats.directory_entries
        } else {
            &mut self.stats.file_entries
        }
    }

    fn same_object(&mut self, first: &DirEntry, second: &DirEntry) {
        let is_same_mode = same_mode(first, second);
        let stats = self.stats_of(first);
        let differences = [
            (!is_same_mode, &mut stats.same_content_but_different_mode),
            (first.mtime != second.mtime, &mut stats.same_content_but_different_modification_time),
            (first.uid != second.uid, &mut stats.same_content_but_different_user_owner),
            (first.gid != second.gid, &mut stats.same_content_but_different_group_owner),
        ];
        let mut any = false;
        for (differs, counter) in differences {
            *counter += u32::from(differs);
            any |= differs;
        }
        stats.same_content_but_different_metadata += u32::from(any);
    }

    /// The pairs in two directories: everything in the second one, then what only the first has.
    fn below(
        &self,
        path: &str,
        first: Option<&DirEntry>,
        second: Option<&DirEntry>,
    ) -> Result<Vec<Pair>> {
        let children = |entry: Option<&DirEntry>, which| {
            entry.map_or(Ok(Vec::new()), |entry| {
                browse::children(self.repo, entry).map_err(|source| SnapshotError::Compare {
                    which,
                    path: path.to_owned(),
                    source: Box::new(source),
                })
            })
        };
        let (first, second) = (children(first, "first")?, children(second, "second")?);
        let order: Vec<_> = first.iter().map(|entry| entry.name.clone()).collect();
        let mut first: HashMap<_, _> =
            first.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let mut pairs = Vec::with_capacity(second.len());
        for entry in second {
            let path = format!("{path}/{}", entry.name_text());
            pairs.push((path, first.remove(&entry.name), Some(entry)));
        }
        for name in order {
            if let Some(entry) = first.remove(&name) {
                pairs.push((format!("{path}/{}", entry.name_text()), Some(entry), None));
            }
        }
        Ok(pairs)
    }
}

/// The mode as kopia compares it has the type in it.
fn same_mode(first: &DirEntry, second: &DirEntry) -> bool {
    first.kind == second.kind && first.mode == second.mode
}

fn same_attributes(first: &DirEntry, second: &DirEntry) -> bool {
    same_mode(first, second)
        && first.size == second.size
        && first.mtime == second.mtime
        && first.uid == second.uid
        && first.gid == second.gid
}
