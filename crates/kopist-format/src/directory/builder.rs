//! Collects the entries of one directory and adds up its summary.

use super::{DirEntry, DirSummary, EntryType, FailedEntry, UtcNanos};

/// A directory while it is being put together. Entries may come in any order.
#[derive(Clone, Debug, Default)]
pub struct DirBuilder {
    entries: Vec<DirEntry>,
    summary: DirSummary,
}

impl DirBuilder {
    /// Adds an entry and counts it.
    pub fn add(&mut self, entry: DirEntry) {
        let total = &mut self.summary;
        total.max_time = total.max_time.max(entry.mtime);
        match entry.kind {
            EntryType::Symlink => total.symlinks += 1,
            EntryType::File => {
                total.files += 1;
                total.size = total.size.wrapping_add(entry.size);
            }
            EntryType::Directory => {
                if let Some(child) = &entry.summary {
                    total.files += child.files;
                    total.size = total.size.wrapping_add(child.size);
                    total.dirs += child.dirs;
                    total.symlinks += child.symlinks;
                    total.failed += child.failed;
                    total.ignored_errors += child.ignored_errors;
                    total.errors.extend_from_slice(&child.errors);
                    total.max_time = total.max_time.max(child.max_time);
                }
            }
            EntryType::Other(_) => {}
        }
        self.entries.push(entry);
    }

    /// Records an entry that could not be stored; `ignored` if a policy says to go on.
    pub fn add_failure(&mut self, path: Vec<u8>, ignored: bool, error: String) {
        let count =
            if ignored { &mut self.summary.ignored_errors } else { &mut self.summary.failed };
        *count += 1;
        self.summary.errors.push(FailedEntry { path, error });
    }

    /// Number of entries so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries so far, in the order in which they came.
    pub fn entries(&self) -> impl Iterator<Item = &DirEntry> {
        self.entries.iter()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The sorted entries and the summary. `own_mtime` is what an empty directory reports as
    /// its newest time; `incomplete` is empty for a complete directory.
    #[must_use]
    pub fn build(self, own_mtime: UtcNanos, incomplete: &str) -> (Vec<DirEntry>, DirSummary) {
        let Self { mut entries, mut summary } = self;
        summary.dirs += 1;
        if entries.is_empty() {
            summary.max_time = own_mtime;
        }
        incomplete.clone_into(&mut summary.incomplete);
        summary.errors.sort_by(|a, b| a.path.cmp(&b.path));
        entries.sort_by(|a, b| b.is_dir().cmp(&a.is_dir()).then_with(|| a.name.cmp(&b.name)));
        (entries, summary)
    }
}
