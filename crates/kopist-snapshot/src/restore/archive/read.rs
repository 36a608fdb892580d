//! Reading a tree in the order of an archive, ahead of who writes it.
//!
//! Entries are gathered into windows; the contents of a window are read by pack and offset, with
//! few requests and several at a time, while the window before is being written. A window is
//! bounded in bytes, whatever the size of a file.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::Sender;
use kopist_format::compression::decompress;
use kopist_format::directory::{DirEntry, EntryType};
use kopist_format::id::ContentId;
use kopist_repo::{ContentInfo, RepoError, Repository};
use parking_lot::Mutex;

use crate::browse;
use crate::restore::fetch::{Fetch, READS};
use crate::restore::{Counters, RestoreError, RestoreOptions, count};

/// A window is read when it has this many bytes,
const WINDOW_BYTES: u64 = 16 << 20;
/// or this many entries and chunks.
const WINDOW_ITEMS: usize = 8192;

/// A step of writing an archive.
pub(super) enum Item {
    /// A directory; what is in it follows.
    Directory(Arc<Member>),
    /// A file or a link of this length; its chunks follow.
    Begin(Arc<Member>, u64),
    /// A part of the file.
    Chunk(Chunk),
    /// The end of the file.
    End(Arc<Member>),
    /// An entry that cannot be restored.
    Failed(RestoreError),
}

/// An entry and its path below the root.
pub(super) struct Member {
    pub(super) path: String,
    pub(super) entry: DirEntry,
}

/// A part of a file.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    content: ContentId,
    pub(super) length: u64,
    /// Compressed before it became a content, as old repositories have it.
    compressed: bool,
}

/// Some steps, and the contents that they need.
#[derive(Default)]
pub(super) struct Window {
    pub(super) items: Vec<Item>,
    pub(super) contents: Contents,
}

/// Contents that were read, or why they could not be.
#[derive(Default)]
pub(super) struct Contents(HashMap<ContentId, Result<Bytes, String>>);

impl Contents {
    /// The bytes of a chunk.
    pub(super) fn chunk(&self, chunk: &Chunk) -> Result<Bytes, String> {
        let missing = || Err(format!("content {} was not read", chunk.content));
        let bytes = self.0.get(&chunk.content).cloned().unwrap_or_else(missing)?;
        let bytes = if chunk.compressed {
            let limit = usize::try_from(chunk.length).unwrap_or(usize::MAX);
            decompress(&bytes, None, limit).map_err(|error| error.to_string())?.into()
        } else {
            bytes
        };
        if bytes.len() as u64 == chunk.length {
            return Ok(bytes);
        }
        let (found, wanted) = (bytes.len(), chunk.length);
        Err(format!("content {} has {found} bytes instead of {wanted}", chunk.content))
    }

    /// The files that begin here and of which not everything that is here can be read, by the
    /// index of their beginning.
    pub(super) fn faults(&self, items: &[Item]) -> HashMap<usize, String> {
        let mut faults = HashMap::new();
        let mut begin = None;
        for (index, item) in items.iter().enumerate() {
            match (item, begin) {
                (Item::Begin(..), _) => begin = Some(index),
                (Item::Chunk(chunk), Some(file)) => {
                    if let Err(reason) = self.chunk(chunk) {
                        faults.insert(file, reason);
                        begin = None;
                    }
                }
                _ => {}
            }
        }
        faults
    }
}

/// Walks a tree and sends what is needed to write it, until nobody listens any more.
pub(super) struct Reader<'a> {
    pub(super) repo: &'a Repository,
    pub(super) options: &'a RestoreOptions,
    pub(super) counters: &'a Counters,
    pub(super) fetch: Fetch<'a>,
    pub(super) to: Sender<Window>,
    window: Window,
    bytes: u64,
    infos: Vec<ContentInfo>,
}

/// Nobody listens any more.
pub(super) struct Closed;

impl<'a> Reader<'a> {
    pub(super) fn new(
        repo: &'a Repository,
        options: &'a RestoreOptions,
        counters: &'a Counters,
        to: Sender<Window>,
    ) -> Self {
        Self {
            repo,
            options,
            counters,
            fetch: Fetch::new(repo),
            to,
            window: Window::default(),
            bytes: 0,
            infos: Vec::new(),
        }
    }

    /// Reads everything below a root, or the root itself if it is a file.
    pub(super) fn run(mut self, root: &DirEntry) -> Result<(), Closed> {
        if root.is_dir() {
            self.tree(root)?;
        } else {
            let path = root.name_text().into_owned();
            self.entry(Member { path, entry: root.clone() })?;
        }
        self.send()
    }

    fn tree(&mut self, root: &DirEntry) -> Result<(), Closed> {
        let mut open = vec![(String::new(), self.children("", root)?.into_iter())];
        while let Some((base, entries)) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            if !browse::is_safe_name(&entry.name) {
                let (path, name) = (base.clone(), entry.name_text().into_owned());
                self.add(Item::Failed(RestoreError::UnsafeName { path, name }), 0)?;
                continue;
            }
            let path = format!("{base}{}", entry.name_text());
            if entry.is_dir() {
                count(&self.counters.enqueued_directories, 1);
                let member = Arc::new(Member { path, entry });
                self.add(Item::Directory(member.clone()), 0)?;
                let below = self.children(&member.path, &member.entry)?;
                open.push((format!("{}/", member.path), below.into_iter()));
            } else {
                self.entry(Member { path, entry })?;
            }
        }
        Ok(())
    }

    fn children(&mut self, path: &str, directory: &DirEntry) -> Result<Vec<DirEntry>, Closed> {
        match browse::children(self.repo, directory) {
            Ok(entries) => Ok(entries),
            Err(source) => {
                let (path, source) = (path.to_owned(), Box::new(source));
                self.add(Item::Failed(RestoreError::Directory { path, source }), 0)?;
                Ok(Vec::new())
            }
        }
    }

    /// Adds a file or a link.
    fn entry(&mut self, member: Member) -> Result<(), Closed> {
        match member.entry.kind {
            EntryType::File => {
                count(&self.counters.enqueued_files, 1);
                count(&self.counters.enqueued_bytes, member.entry.size.unsigned_abs());
            }
            EntryType::Symlink => count(&self.counters.enqueued_symlinks, 1),
            _ => {
                let error = RestoreError::UnknownType { path: member.path };
                return self.add(Item::Failed(error), 0);
            }
        }
        let (chunks, infos) = match self.locate(&member) {
            Ok(found) => found,
            Err(error) => return self.add(Item::Failed(error), 0),
        };
        let size = chunks.iter().map(|chunk| chunk.length).sum();
        let member = Arc::new(member);
        self.add(Item::Begin(member.clone(), size), 0)?;
        for (chunk, info) in chunks.into_iter().zip(infos) {
            self.infos.push(info);
            self.add(Item::Chunk(chunk), chunk.length)?;
        }
        self.add(Item::End(member), 0)
    }

    /// The chunks of a file and where they lie.
    fn locate(&self, member: &Member) -> Result<(Vec<Chunk>, Vec<ContentInfo>), RestoreError> {
        let object = member
            .entry
            .object
            .ok_or_else(|| RestoreError::NoObject { path: member.path.clone() })?;
        let failed = |source: RepoError| {
            let path = member.path.clone();
            RestoreError::Repository { path, object: Box::new(object), source }
        };
        let (mut chunks, mut infos) = (Vec::new(), Vec::new());
        for chunk in self.repo.object_chunks(&object).map_err(failed)? {
            let content = chunk.object.content();
            let info = self.repo.content_info(&content).map_err(failed)?;
            infos.push(info.ok_or_else(|| failed(RepoError::ContentNotFound(content)))?);
            let compressed = chunk.object.is_compressed();
            chunks.push(Chunk { content, length: chunk.length, compressed });
        }
        Ok((chunks, infos))
    }

    fn add(&mut self, item: Item, bytes: u64) -> Result<(), Closed> {
        self.window.items.push(item);
        self.bytes += bytes;
        if self.bytes >= WINDOW_BYTES || self.window.items.len() >= WINDOW_ITEMS {
            return self.send();
        }
        Ok(())
    }

    /// Reads the contents of the window and hands it over.
    fn send(&mut self) -> Result<(), Closed> {
        self.bytes = 0;
        let mut window = std::mem::take(&mut self.window);
        let runs = self.repo.plan_reads(std::mem::take(&mut self.infos), &READS);
        let contents = Mutex::new(HashMap::new());
        let (tasks, queue) = crossbeam_channel::unbounded();
        for run in &runs {
            let _ = tasks.send(run);
        }
        drop(tasks);
        let work = || {
            for run in &queue {
                if self.options.cancel.is_canceled() {
                    break;
                }
                self.fetch.read(run, &mut |content, data| {
                    contents.lock().insert(content.id, data.map_err(|error| error.to_string()));
                });
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.parallel.min(runs.len()).min(64) {
                scope.spawn(work);
            }
            work();
        });
        window.contents = Contents(contents.into_inner());
        self.to.send(window).map_err(|_| Closed)
    }
}
