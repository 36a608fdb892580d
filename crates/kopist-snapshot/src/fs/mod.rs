//! What is backed up: folders and files, on disk or made up.
//!
//! The uploader sees a [`Folder`] and knows nothing else. [`LocalFolder`] is one on disk: every
//! access goes through a file descriptor of its directory and follows no symbolic link, so that
//! nothing outside of the source is read, whatever is renamed meanwhile. Names are raw bytes.
//! [`StreamFolder`] is a directory with one file that is read from a pipe; [`StoredFolder`] is a
//! directory of a snapshot, perhaps in another repository.

mod errno;
pub(crate) mod handle;
mod local;
mod stored;
mod stream;

use std::io;
use std::sync::Arc;

use kopist_format::directory::{EntryType, Permissions, UtcNanos};

pub use errno::{describe, errno_text};
pub use local::{LocalFolder, LocalSource, SourceError};
pub use stored::{StoredFolder, metadata as stored_metadata};
pub use stream::StreamFolder;

/// What kind of thing an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A device, socket, pipe or something newer.
    Other,
}

impl Kind {
    /// The type as directory objects have it; nothing for what they cannot hold.
    #[must_use]
    pub fn entry_type(self) -> Option<EntryType> {
        match self {
            Self::Directory => Some(EntryType::Directory),
            Self::File => Some(EntryType::File),
            Self::Symlink => Some(EntryType::Symlink),
            Self::Other => None,
        }
    }
}

/// Attributes of an entry, of the link itself for a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: Permissions,
    /// Bytes; 0 for a directory.
    pub size: i64,
    /// Time of the last modification.
    pub mtime: UtcNanos,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device that it is on.
    pub device: u64,
    /// Number on that device.
    pub inode: u64,
}

/// An entry that a folder lists.
#[derive(Debug)]
pub enum Found {
    /// Its attributes.
    Entry(Metadata),
    /// They may not be read.
    Denied {
        /// Whether the folder says that it is a directory.
        is_dir: bool,
        /// Why.
        error: io::Error,
    },
}

/// A directory that is backed up.
pub trait Folder: Send + Sync {
    /// Shows every entry in any order, without `.` and `..`. What vanishes meanwhile is left
    /// out. `visit` returns false to stop early.
    fn list(&self, visit: &mut dyn FnMut(&[u8], Found) -> bool) -> io::Result<()>;

    /// A directory in this one; a symbolic link to one is an error.
    fn folder(&self, name: &[u8]) -> io::Result<Arc<dyn Folder>>;

    /// Opens a regular file of this folder.
    fn open(&self, name: &[u8]) -> io::Result<Box<dyn FileData>>;

    /// The target of a symbolic link.
    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>>;

    /// The content of a small file, following symbolic links; `None` if there is no such file.
    fn read_small(&self, name: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>>;

    /// Attributes of an entry, or `None` if there is none.
    fn metadata(&self, name: &[u8]) -> io::Result<Option<Metadata>>;

    /// Path of an entry as error messages give it; of the folder itself without a name.
    fn display(&self, name: &[u8]) -> String;

    /// The path of the folder, if other programs can find it there.
    fn local_path(&self) -> Option<std::path::PathBuf> {
        None
    }
}

/// An open file.
pub trait FileData: Send {
    /// Reads on; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Goes on reading at an offset from the start.
    fn seek(&mut self, offset: u64) -> io::Result<()>;

    /// The attributes as they are now; `None` for what has none.
    fn metadata(&self) -> io::Result<Option<Metadata>>;
}
