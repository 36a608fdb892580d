//! A folder with one file whose bytes come from somewhere else, such as standard input.

use std::io::{self, Read};
use std::sync::Arc;

use kopist_format::directory::{Permissions, UtcNanos};
use parking_lot::Mutex;

use super::{FileData, Folder, Found, Kind, Metadata};

/// A made-up directory with one file in it, which can be read once.
pub struct StreamFolder {
    name: Vec<u8>,
    metadata: Metadata,
    reader: Mutex<Option<Box<dyn Read + Send>>>,
}

impl StreamFolder {
    /// A folder with the file `name`; `now` becomes its modification time.
    pub fn new(name: impl Into<Vec<u8>>, now: UtcNanos, reader: Box<dyn Read + Send>) -> Self {
        let metadata = Metadata {
            kind: Kind::File,
            mode: Permissions::from_unix(0o777),
            // Nobody knows how much will come.
            size: 0,
            mtime: now,
            uid: 0,
            gid: 0,
            device: 0,
            inode: 0,
        };
        Self { name: name.into(), metadata, reader: Mutex::new(Some(reader)) }
    }

    /// The attributes that kopia gives the folder itself.
    #[must_use]
    pub fn own_metadata() -> Metadata {
        Metadata {
            kind: Kind::Directory,
            mode: Permissions::from_unix(0o777),
            size: 0,
            mtime: UtcNanos::GO_ZERO,
            uid: 0,
            gid: 0,
            device: 0,
            inode: 0,
        }
    }
}

impl Folder for StreamFolder {
    fn list(&self, visit: &mut dyn FnMut(&[u8], Found) -> bool) -> io::Result<()> {
        visit(&self.name, Found::Entry(self.metadata));
        Ok(())
    }

    fn folder(&self, _name: &[u8]) -> io::Result<Arc<dyn Folder>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn open(&self, _name: &[u8]) -> io::Result<Box<dyn FileData>> {
        let reader = self.reader.lock().take();
        let reader =
            reader.ok_or_else(|| io::Error::other("the stream was read before; start it again"))?;
        Ok(Box::new(Stream(reader)))
    }

    fn read_link(&self, _name: &[u8]) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn read_small(&self, _name: &[u8], _limit: usize) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn metadata(&self, _name: &[u8]) -> io::Result<Option<Metadata>> {
        Ok(None)
    }

    fn display(&self, name: &[u8]) -> String {
        String::from_utf8_lossy(name).into_owned()
    }
}

struct Stream(Box<dyn Read + Send>);

impl FileData for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn seek(&mut self, _offset: u64) -> io::Result<()> {
        Err(io::Error::other("a stream can only be read from its start"))
    }

    fn metadata(&self) -> io::Result<Option<Metadata>> {
        Ok(None)
    }
}
