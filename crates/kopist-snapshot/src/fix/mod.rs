//! Repairing snapshots: their trees are written anew without what is unwanted or unreadable.
//!
//! A [`Rule`] looks at every entry. What it removes is left out; what it finds invalid, and
//! directories that cannot be read, are handled as [`Handling`] says. A directory in which
//! nothing changed stays the object that it is; the others are written from the bottom up, with
//! new summaries. The same directory in many snapshots is looked at once.
//!
//! Facts: `kopia:snapshot/snapshotfs/dir_rewriter.go`. Deliberately different: kopia writes
//! every directory again and forgets meanwhile which entries the backup could not read.

mod pattern;
mod rules;
mod stub;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use kopist_format::compression::Compressor;
use kopist_format::directory::{
    DirBuilder, DirEntry, DirSummary, DirectoryManifest, FailedEntry, write_directory, write_entry,
};
use kopist_format::id::IdPrefix;
use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::{ObjectOptions, RepositoryWriter};
use parking_lot::Mutex;
use rayon::prelude::*;

pub use pattern::{InvalidPattern, Pattern};
pub use rules::{InvalidFiles, RemoveFiles};

use crate::error::{Result, SnapshotError};
use crate::store;

/// What to do with something that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Stop.
    Fail,
    /// Put a file in its place that tells what was there.
    Stub,
    /// Leave it.
    Keep,
    /// Leave it out.
    Remove,
}

/// What a rule says of an entry.
#[derive(Debug)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// It cannot be read.
    Invalid(SnapshotError),
}

/// Looks at entries; called from several threads.
pub trait Rule: Sync {
    /// What becomes of an entry. The path is below the snapshot's root, which itself is `.`.
    fn judge(&self, path: &str, entry: &DirEntry) -> Verdict;
}

/// How to repair.
#[derive(Clone, Copy, Debug)]
pub struct FixOptions {
    /// Threads; 0 takes the number of processors.
    pub parallel: usize,
    /// What to do with files that a rule finds invalid.
    pub files: Handling,
    /// What to do with directories that cannot be read.
    pub directories: Handling,
}

/// Deeper trees are refused: no system could have been backed up so.
const MAX_DEPTH: usize = 5000;

/// Each level of a tree takes some stack.
const STACK: usize = 256 << 20;

/// Rewrites the trees of snapshots.
pub struct Fixer<'a> {
    writer: &'a RepositoryWriter,
    rule: &'a dyn Rule,
    options: FixOptions,
    pool: rayon::ThreadPool,
    /// Compressor of stubs' lists of chunks.
    stub_compressor: Option<Compressor>,
    /// What became of directories, by hashes of their entries.
    seen: Mutex<HashMap<u128, Outcome>>,
    hashers: [RandomState; 2],
}

/// What became of an entry.
#[derive(Clone, Debug)]
enum Outcome {
    Same,
    Changed(Box<DirEntry>),
    Gone,
}

impl<'a> Fixer<'a> {
    /// Prepares to repair.
    pub fn new(
        writer: &'a RepositoryWriter,
        rule: &'a dyn Rule,
        options: FixOptions,
    ) -> Result<Self> {
        let policies = store::load_policies(&writer.manifests()?)?;
        let global = policies.effective(&crate::SourceInfo::global()).policy;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.parallel)
            .stack_size(STACK)
            .build()
            .map_err(|error| SnapshotError::Threads(error.to_string()))?;
        Ok(Self {
            writer,
            rule,
            options,
            pool,
            stub_compressor: global.metadata_compression.compressor(),
            seen: Mutex::default(),
            hashers: [RandomState::new(), RandomState::new()],
        })
    }

    /// Names a directory and how it is to be compressed: two hashes with secret keys, so that
    /// nobody can make two directories that are taken for one.
    fn key(&self, entry: &DirEntry, compressor: Option<Compressor>) -> u128 {
        let mut json = Vec::new();
        write_entry(&mut json, entry);
        json.extend(format!("{compressor:?}").bytes());
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one(&json));
        u128::from(high) << 64 | u128::from(low)
    }

    /// The snapshot with a repaired tree, not saved yet; `None` if nothing is to be repaired.
    /// Its directories are compressed as `compressor` says.
    pub fn snapshot(
        &self,
        manifest: &SnapshotManifest,
        compressor: Option<Compressor>,
    ) -> Result<Option<SnapshotManifest>> {
        let root = manifest
            .root_entry
            .as_ref()
            .ok_or_else(|| SnapshotError::NoObject(format!("root of snapshot {}", manifest.id)))?;
        let outcome = self.pool.install(|| self.entry(".", root, compressor, 0))?;
        let root = match outcome {
            Outcome::Same => return Ok(None),
            Outcome::Changed(root) => *root,
            // A snapshot needs a root, whatever the rule says.
            Outcome::Gone => match self.handle(
                self.options.directories,
                root,
                SnapshotError::EntryNotFound(format!("invalid root directory {}", manifest.id)),
            )? {
                Outcome::Changed(root) => *root,
                _ => return Ok(None),
            },
        };
        Ok(Some(SnapshotManifest { root_entry: Some(root), ..manifest.clone() }))
    }

    fn entry(
        &self,
        path: &str,
        entry: &DirEntry,
        compressor: Option<Compressor>,
        depth: usize,
    ) -> Result<Outcome> {
        let key = entry.is_dir().then(|| self.key(entry, compressor));
        if let Some(key) = &key
            && let Some(known) = self.seen.lock().get(key)
        {
            return Ok(known.clone());
        }
        let outcome = match self.rule.judge(path, entry) {
            Verdict::Remove => Outcome::Gone,
            Verdict::Invalid(error) => self.handle(self.options.files, entry, error)?,
            Verdict::Keep if entry.is_dir() => self.directory(path, entry, compressor, depth)?,
            Verdict::Keep => Outcome::Same,
        };
        // What is removed is told of every snapshot.
        if let Some(key) = key.filter(|_| !matches!(outcome, Outcome::Gone)) {
            self.seen.lock().insert(key, outcome.clone());
        }
        Ok(outcome)
    }

    fn directory(
        &self,
        path: &str,
        entry: &DirEntry,
        compressor: Option<Compressor>,
        depth: usize,
    ) -> Result<Outcome> {
        if depth > MAX_DEPTH {
            return Err(SnapshotError::TooDeep(path.to_owned()));
        }
        let children = match self.read(entry) {
            Ok(children) => children,
            Err(error) => return self.handle(self.options.directories, entry, error),
        };
        let outcomes: Vec<Outcome> = children
            .par_iter()
            .map(|child| {
                let name = child.name_text();
                let path = if path == "." { name.into_owned() } else { format!("{path}/{name}") };
                self.entry(&path, child, compressor, depth + 1)
            })
            .collect::<Result<_>>()?;
        if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Same)) {
            return Ok(Outcome::Same);
        }
        let own = own_failures(entry, &children);
        let mut builder = DirBuilder::default();
        for (child, outcome) in children.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Same => builder.add(child),
                Outcome::Changed(new) => builder.add(*new),
                Outcome::Gone => {}
            }
        }
        self.write(entry, builder, own, compressor).map(|new| Outcome::Changed(Box::new(new)))
    }

    fn read(&self, entry: &DirEntry) -> Result<Vec<DirEntry>> {
        let name = || entry.name_text().into_owned();
        let object = entry.object.ok_or_else(|| SnapshotError::NoObject(name()))?;
        let bytes = self.writer.repository().read_object(&object)?;
        let manifest = DirectoryManifest::parse(&bytes)
            .map_err(|source| SnapshotError::Directory { object, source })?;
        Ok(manifest.entries)
    }

    fn write(
        &self,
        entry: &DirEntry,
        builder: DirBuilder,
        own: OwnFailures,
        compressor: Option<Compressor>,
    ) -> Result<DirEntry> {
        let incomplete = entry.summary.as_ref().map_or("", |summary| &summary.incomplete);
        let (entries, mut summary) = builder.build(entry.mtime, incomplete);
        own.add_to(&mut summary);
        let mut bytes = Vec::new();
        write_directory(&mut bytes, &entries, &summary);
        let options = ObjectOptions {
            prefix: Some(IdPrefix::DIRECTORY),
            compressor,
            metadata_compressor: compressor,
            ..ObjectOptions::default()
        };
        let object = self.writer.write_object(&bytes, options)?;
        Ok(DirEntry { object: Some(object), summary: Some(Box::new(summary)), ..entry.clone() })
    }

    fn handle(&self, how: Handling, entry: &DirEntry, error: SnapshotError) -> Result<Outcome> {
        match how {
            Handling::Fail => Err(error),
            Handling::Keep => Ok(Outcome::Same),
            Handling::Remove => Ok(Outcome::Gone),
            Handling::Stub => {
                let stub = stub::write(self.writer, entry, &error, self.stub_compressor)?;
                Ok(Outcome::Changed(Box::new(stub)))
            }
        }
    }
}

/// The entries of a directory itself that could not be backed up.
struct OwnFailures {
    failed: i64,
    ignored: i64,
    errors: Vec<FailedEntry>,
}

/// What a directory's summary counts besides what the summaries below it count.
fn own_failures(entry: &DirEntry, children: &[DirEntry]) -> OwnFailures {
    let Some(all) = &entry.summary else {
        return OwnFailures { failed: 0, ignored: 0, errors: Vec::new() };
    };
    let mut own =
        OwnFailures { failed: all.failed, ignored: all.ignored_errors, errors: all.errors.clone() };
    for below in children.iter().filter_map(|child| child.summary.as_ref()) {
        own.failed -= below.failed;
        own.ignored -= below.ignored_errors;
        own.errors.retain(|error| !below.errors.contains(error));
    }
    own
}

impl OwnFailures {
    fn add_to(self, summary: &mut DirSummary) {
        summary.failed += self.failed.max(0);
        summary.ignored_errors += self.ignored.max(0);
        summary.errors.extend(self.errors);
        summary.errors.sort_by(|a, b| a.path.cmp(&b.path));
    }
}
