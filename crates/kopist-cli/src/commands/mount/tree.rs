//! What is mounted, as numbered nodes.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use kopist_format::directory::{DirEntry, EntryType, Permissions};
use kopist_repo::Repository;
use kopist_snapshot::{
    SourceInfo,
    browse::{Named, children},
    store,
};
use parking_lot::{Mutex, RwLock};

use crate::error::CommandError;

/// Number of the root.
pub(super) const ROOT: u64 = 1;

/// A file, directory or link.
#[derive(Debug)]
pub(super) struct Node {
    /// The node that it lies in.
    pub(super) parent: u64,
    pub(super) entry: DirEntry,
    content: Content,
    children: Mutex<Option<Arc<Vec<u64>>>>,
}

/// Where the children of a node come from.
#[derive(Clone, Debug)]
enum Content {
    /// Everybody who has snapshots.
    Everybody,
    /// The sources of a user and host.
    Sources(Vec<SourceInfo>),
    /// The snapshots of a source.
    Snapshots(SourceInfo),
    /// The object of the entry.
    Object,
}

/// The nodes that were seen so far. Numbers are never used twice.
#[derive(Debug)]
pub(super) struct Tree {
    repo: Repository,
    nodes: RwLock<Vec<Arc<Node>>>,
}

impl Tree {
    /// All snapshots: user and host, then sources, then times.
    pub(super) fn everybody(repo: &Repository) -> Self {
        let root = directory("", Timestamp::UNIX_EPOCH);
        Self::new(repo, root, Content::Everybody)
    }

    /// One directory.
    pub(super) fn of(repo: &Repository, named: Named) -> Self {
        Self::new(repo, named.entry, Content::Object)
    }

    fn new(repo: &Repository, entry: DirEntry, content: Content) -> Self {
        let root = Node { parent: ROOT, entry, content, children: Mutex::default() };
        Self { repo: repo.clone(), nodes: RwLock::new(vec![Arc::new(root)]) }
    }

    /// The repository.
    pub(super) fn repository(&self) -> &Repository {
        &self.repo
    }

    /// The node of a number.
    pub(super) fn node(&self, number: u64) -> Option<Arc<Node>> {
        let index = usize::try_from(number.checked_sub(ROOT)?).ok()?;
        self.nodes.read().get(index).cloned()
    }

    /// The numbers of the children of a directory, loaded at the first call.
    pub(super) fn children(&self, number: u64) -> Result<Arc<Vec<u64>>, CommandError> {
        let node = self.node(number).ok_or_else(|| CommandError::new("no such node"))?;
        let mut known = node.children.lock();
        if let Some(children) = &*known {
            return Ok(Arc::clone(children));
        }
        let loaded = self.load(&node)?;
        let mut nodes = self.nodes.write();
        let mut numbers = Vec::with_capacity(loaded.len());
        for (entry, content) in loaded {
            let child = Node { parent: number, entry, content, children: Mutex::default() };
            nodes.push(Arc::new(child));
            numbers.push(nodes.len() as u64 + ROOT - 1);
        }
        Ok(Arc::clone(known.insert(Arc::new(numbers))))
    }

    /// The child of a name.
    pub(super) fn child(&self, parent: u64, name: &[u8]) -> Result<Option<u64>, CommandError> {
        let children = self.children(parent)?;
        let is_it = |number: &&u64| self.node(**number).is_some_and(|n| *n.entry.name == *name);
        Ok(children.iter().find(is_it).copied())
    }

    fn load(&self, node: &Node) -> Result<Vec<(DirEntry, Content)>, CommandError> {
        let now = self.repo.clock().now();
        Ok(match &node.content {
            Content::Object => {
                let entries = children(&self.repo, &node.entry)?;
                entries.into_iter().map(|entry| (entry, Content::Object)).collect()
            }
            Content::Everybody => {
                let mut people: BTreeMap<String, Vec<SourceInfo>> = BTreeMap::new();
                for source in store::sources(&self.repo.manifests()?) {
                    let who = format!("{}@{}", source.user_name, source.host);
                    people.entry(who).or_default().push(source);
                }
                let names = names(people.keys().map(String::as_str));
                let entry =
                    |(name, (_, sources))| (directory(name, now), Content::Sources(sources));
                names.iter().map(String::as_str).zip(people).map(entry).collect()
            }
            Content::Sources(sources) => {
                let mut sources = sources.clone();
                sources.sort_by(|a, b| a.path.cmp(&b.path));
                let names = names(sources.iter().map(|source| source.path.as_str()));
                let entry = |(name, source)| (directory(name, now), Content::Snapshots(source));
                names.iter().map(String::as_str).zip(sources).map(entry).collect()
            }
            Content::Snapshots(source) => {
                let mut found = store::snapshots_of(&self.repo.manifests()?, source);
                found.sort_by_key(|manifest| manifest.start_time);
                let entry = |manifest: kopist_format::snapshot::SnapshotManifest| {
                    let start = manifest.start_time.to_timestamp();
                    let mut name =
                        start.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S").to_string();
                    if !manifest.incomplete.is_empty() {
                        name = format!("{name} ({})", manifest.incomplete);
                    }
                    let mut entry = directory(&name, start);
                    entry.object = manifest.root_object();
                    (entry, Content::Object)
                };
                found.into_iter().map(entry).collect()
            }
        })
    }
}

/// A directory that is no object.
fn directory(name: &str, time: Timestamp) -> DirEntry {
    DirEntry {
        name: name.as_bytes().into(),
        kind: EntryType::Directory,
        mode: Permissions::from_unix(0o555),
        mtime: time.into(),
        ..DirEntry::default()
    }
}

/// Texts such as paths as names of directories, each once (`kopia:snapshotfs`).
fn names<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    texts
        .map(|text| {
            let name = safe_name(text);
            let count = used.entry(name.to_lowercase()).or_default();
            *count += 1;
            if *count > 1 { format!("{name} ({count})") } else { name }
        })
        .collect()
}

fn safe_name(text: &str) -> String {
    if text == "/" {
        return "__root".to_owned();
    }
    let text = text.replace(":/", "_").replace(":\\", "_");
    let text = text.trim_start_matches('/').replace(['/', '\\'], "_");
    text.trim_end_matches('_').trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_names() {
        assert_eq!(safe_name("/"), "__root");
        assert_eq!(safe_name("/home/user/"), "home_user");
        assert_eq!(safe_name("c:\\data"), "c_data");
        assert_eq!(names(["/a/b", "/a_b", "/A/b"].into_iter()), ["a_b", "a_b (2)", "A_b (3)"]);
    }
}
