//! A directory of a snapshot as a source of another one.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use kopist_format::directory::{DirEntry, DirectoryManifest, EntryType};
use kopist_repo::{ObjectReader, Repository};

use super::{FileData, Folder, Found, Kind, Metadata};
use crate::error::{Result, SnapshotError};

/// A directory of a snapshot.
///
/// Directories have their own times here, not those of what is newest in them, so that a copy is
/// like the original.
pub struct StoredFolder {
    repo: Repository,
    path: String,
    entries: HashMap<Box<[u8]>, DirEntry>,
}

impl StoredFolder {
    /// Opens a directory of a snapshot; `path` is what messages call it.
    pub fn open(repo: &Repository, directory: &DirEntry, path: String) -> Result<Self> {
        let object = directory.object.ok_or_else(|| SnapshotError::NoObject(path.clone()))?;
        let manifest = DirectoryManifest::parse(&repo.read_object(&object)?)
            .map_err(|source| SnapshotError::Directory { object, source })?;
        Ok(Self::new(repo, path, manifest.entries))
    }

    /// A folder with just this entry.
    #[must_use]
    pub fn of_one(repo: &Repository, entry: DirEntry, path: String) -> Self {
        Self::new(repo, path, vec![entry])
    }

    fn new(repo: &Repository, path: String, entries: Vec<DirEntry>) -> Self {
        // Of several entries with one name the last one counts.
        let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        Self { repo: repo.clone(), path, entries }
    }

    fn entry(&self, name: &[u8]) -> io::Result<&DirEntry> {
        self.entries.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn reader(&self, name: &[u8]) -> io::Result<(ObjectReader, Metadata)> {
        let entry = self.entry(name)?;
        let object = entry
            .object
            .ok_or_else(|| io::Error::other(SnapshotError::NoObject(self.display(name))))?;
        let reader = self.repo.open_object(&object).map_err(io::Error::other)?;
        Ok((reader, metadata(entry)))
    }
}

/// The attributes of an entry.
#[must_use]
pub fn metadata(entry: &DirEntry) -> Metadata {
    let kind = match entry.kind {
        EntryType::Directory => Kind::Directory,
        EntryType::File => Kind::File,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Other(_) => Kind::Other,
    };
    Metadata {
        kind,
        mode: entry.mode,
        size: if kind == Kind::Directory { 0 } else { entry.size },
        mtime: entry.mtime,
        uid: entry.uid,
        gid: entry.gid,
        device: 0,
        inode: 0,
    }
}

impl Folder for StoredFolder {
    fn list(&self, visit: &mut dyn FnMut(&[u8], Found) -> bool) -> io::Result<()> {
        for (name, entry) in &self.entries {
            if !visit(name, Found::Entry(metadata(entry))) {
                break;
            }
        }
        Ok(())
    }

    fn folder(&self, name: &[u8]) -> io::Result<Arc<dyn Folder>> {
        let entry = self.entry(name)?;
        if !entry.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let folder = Self::open(&self.repo, entry, self.display(name));
        Ok(Arc::new(folder.map_err(io::Error::other)?))
    }

    fn open(&self, name: &[u8]) -> io::Result<Box<dyn FileData>> {
        let (reader, metadata) = self.reader(name)?;
        Ok(Box::new(StoredFile { reader, metadata }))
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let (mut reader, _) = self.reader(name)?;
        let mut target = Vec::new();
        reader.read_to_end(&mut target)?;
        Ok(target)
    }

    fn read_small(&self, name: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
        match self.entries.get(name) {
            Some(entry) if entry.kind == EntryType::File => {}
            _ => return Ok(None),
        }
        let (reader, _) = self.reader(name)?;
        let mut content = Vec::new();
        reader.take(limit as u64).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    fn metadata(&self, name: &[u8]) -> io::Result<Option<Metadata>> {
        Ok(self.entries.get(name).map(metadata))
    }

    fn display(&self, name: &[u8]) -> String {
        if name.is_empty() {
            return self.path.clone();
        }
        format!("{}/{}", self.path, String::from_utf8_lossy(name))
    }
}

struct StoredFile {
    reader: ObjectReader,
    metadata: Metadata,
}

impl FileData for StoredFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(offset)).map(|_| ())
    }

    fn metadata(&self) -> io::Result<Option<Metadata>> {
        Ok(Some(self.metadata))
    }
}
