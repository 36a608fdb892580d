//! What a snapshot of a directory would hold: the same rules, without reading a file.
//!
//! What cannot be listed is counted and the walk goes on; kopia stops there.

use std::sync::Arc;

use crate::fs::{Folder, Found, Kind, describe};
use crate::ignore::{Candidate, Context, Verdict, code_points};
use crate::policy::PolicyTree;
use crate::upload::{Cancel, UploadSource, is_cache_directory, rules_of};

/// The least sizes of the classes that files are counted in, the largest first.
pub const CLASSES: [i64; 14] = [
    1_000_000_000_000_000,
    100_000_000_000_000,
    10_000_000_000_000,
    1_000_000_000_000,
    100_000_000_000,
    10_000_000_000,
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1_000,
    0,
];

/// Files of about one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Some of them: path and size.
    pub examples: Vec<(String, i64)>,
}

/// Files by size, in the order of [`CLASSES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The classes.
    pub classes: [Class; CLASSES.len()],
}

impl Files {
    fn add(&mut self, path: &[u8], size: i64, examples: usize) {
        let bytes = size.unsigned_abs();
        self.count += 1;
        self.bytes += bytes;
        let class = CLASSES.iter().position(|least| size >= *least);
        if let Some(class) = class.and_then(|index| self.classes.get_mut(index)) {
            class.count += 1;
            class.bytes += bytes;
            if class.examples.len() < examples {
                class.examples.push((text(path), size));
            }
        }
    }
}

/// What a snapshot would hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Files in it.
    pub included: Files,
    /// Files that rules leave out.
    pub excluded: Files,
    /// Directories, the top included.
    pub directories: u64,
    /// Directories that rules leave out, and caches whose content is left out.
    pub excluded_directories: u64,
    /// Some of those.
    pub excluded_examples: Vec<String>,
    /// What could not be listed.
    pub errors: u64,
    /// The same, where a policy says to ignore it.
    pub ignored_errors: u64,
}

/// What an estimation tells while it runs. Paths are relative, `.` for the top.
#[derive(Clone, Copy, Debug)]
pub enum EstimateEvent<'a> {
    /// A directory is listed.
    Entered {
        /// Which one.
        path: &'a str,
    },
    /// Something cannot be listed.
    Failed {
        /// Which one.
        path: &'a str,
        /// Why.
        error: &'a str,
        /// Whether a policy says to ignore it.
        ignored: bool,
    },
}

/// A directory to be listed.
struct Pending {
    parent: Option<Arc<Level>>,
    name: Vec<u8>,
    path: Vec<u8>,
    policies: PolicyTree,
    device: u64,
}

/// A directory whose children wait.
struct Level {
    folder: Arc<dyn Folder>,
    context: Context,
}

/// Walks a directory; `examples` is how many are kept for each class. Ends early when canceled.
pub fn estimate(
    source: &UploadSource,
    policies: &PolicyTree,
    examples: usize,
    cancel: &Cancel,
    event: &mut dyn FnMut(EstimateEvent<'_>),
) -> Estimate {
    let mut walk = Walk { found: Estimate::default(), examples, stack: Vec::new() };
    walk.stack.push(Pending {
        parent: None,
        name: Vec::new(),
        path: Vec::new(),
        policies: policies.clone(),
        device: source.metadata.device,
    });
    while let Some(pending) = walk.stack.pop().filter(|_| !cancel.is_canceled()) {
        let shown = if pending.path.is_empty() { ".".to_owned() } else { text(&pending.path) };
        event(EstimateEvent::Entered { path: &shown });
        walk.found.directories += 1;
        let ignored = pending.policies.effective().error_handling.ignore_directory_errors;
        if let Err(error) = walk.list(source, &pending) {
            let ignored = ignored.unwrap_or(false);
            let count =
                if ignored { &mut walk.found.ignored_errors } else { &mut walk.found.errors };
            *count += 1;
            event(EstimateEvent::Failed { path: &shown, error: &error, ignored });
        }
    }
    walk.found
}

struct Walk {
    found: Estimate,
    examples: usize,
    stack: Vec<Pending>,
}

impl Walk {
    fn list(&mut self, source: &UploadSource, pending: &Pending) -> Result<(), String> {
        let (folder, outer) = match &pending.parent {
            None => (source.folder.clone(), Context::default()),
            Some(parent) => {
                let folder = parent.folder.folder(&pending.name).map_err(|error| {
                    describe("open", &parent.folder.display(&pending.name), &error)
                })?;
                (folder, parent.context.clone())
            }
        };
        let files = &pending.policies.effective().files;
        if files.ignore_cache_dirs.unwrap_or(true) && is_cache_directory(&*folder) {
            self.exclude(&pending.path, true, 0);
            return Ok(());
        }
        let context = rules_of(&*folder, &pending.path, &pending.policies, &outer)
            .map_err(|error| error.to_string())?;
        let level = Arc::new(Level { folder: folder.clone(), context });
        let mut points = Vec::new();
        let before = self.stack.len();
        let listing = folder.list(&mut |name, found| {
            let path = join(&pending.path, name);
            let (is_dir, size, metadata) = match &found {
                Found::Entry(metadata) => {
                    (metadata.kind == Kind::Directory, metadata.size, Some(metadata))
                }
                Found::Denied { is_dir, .. } => (*is_dir, 0, None),
            };
            code_points(&path, &mut points);
            points.insert(0, '/');
            let verdict = level.context.judge(Candidate {
                path: &points,
                is_dir,
                size,
                same_device: metadata.is_none_or(|entry| entry.device == pending.device),
            });
            match (verdict, metadata) {
                (Verdict::Ignored, _) => self.exclude(&path, is_dir, size),
                (Verdict::Keep, Some(entry)) if entry.kind == Kind::Directory => {
                    self.stack.push(Pending {
                        parent: Some(level.clone()),
                        name: name.to_vec(),
                        path,
                        policies: pending.policies.child(name),
                        device: entry.device,
                    });
                }
                (Verdict::Keep, Some(entry)) if entry.kind == Kind::File => {
                    self.found.included.add(&path, size, self.examples);
                }
                _ => {}
            }
            true
        });
        // In the order in which they were listed.
        if let Some(new) = self.stack.get_mut(before..) {
            new.reverse();
        }
        listing.map_err(|error| describe("open", &folder.display(b""), &error))
    }

    fn exclude(&mut self, path: &[u8], is_dir: bool, size: i64) {
        if !is_dir {
            self.found.excluded.add(path, size, self.examples);
            return;
        }
        self.found.excluded_directories += 1;
        if self.found.excluded_examples.len() < self.examples {
            self.found.excluded_examples.push(text(path));
        }
    }
}

fn join(base: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = base.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceInfo;
    use crate::policy::{PolicyAt, built_in};

    #[test]
    fn what_is_counted_is_what_would_be_stored() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, size: usize| {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![b'x'; size]).unwrap();
        };
        write("a", 10);
        write("sub/b", 2_000);
        write("sub/c.tmp", 5);
        write("sub/deep/d", 999);
        write("gone/e", 1);
        write("cache/CACHEDIR.TAG", 0);
        std::fs::write(
            temp.path().join("cache/CACHEDIR.TAG"),
            "Signature: 8a477f597d28d172789f06886806bc55\n",
        )
        .unwrap();
        write("cache/f", 10);
        std::os::unix::fs::symlink("a", temp.path().join("link")).unwrap();
        let mut policy = built_in();
        policy.files.ignore = vec!["*.tmp".into(), "/gone".into()];
        let at = PolicyAt { target: SourceInfo::global(), policy };
        let source = UploadSource::local(temp.path()).unwrap();
        let mut entered = Vec::new();
        let tree = PolicyTree::new(at, []);
        let found = estimate(&source, &tree, 1, &Cancel::default(), &mut |event| {
            if let EstimateEvent::Entered { path } = event {
                entered.push(path.to_owned());
            }
        });
        assert_eq!((found.included.count, found.included.bytes), (3, 3_009));
        assert_eq!((found.excluded.count, found.excluded.bytes), (1, 5));
        assert_eq!((found.directories, found.excluded_directories, found.errors), (4, 2, 0));
        assert_eq!(found.excluded_examples.len(), 1, "no more than asked for");
        let thousands = &found.included.classes[12];
        assert_eq!((thousands.count, thousands.examples[0].0.as_str()), (1, "sub/b"));
        assert_eq!(found.included.classes[13].count, 2);
        entered.sort_unstable();
        assert_eq!(entered, [".", "cache", "sub", "sub/deep"]);

        let cancel = Cancel::default();
        cancel.cancel();
        assert_eq!(estimate(&source, &tree, 1, &cancel, &mut |_| {}), Estimate::default());
    }
}
