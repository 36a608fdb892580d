//! Decrypted index blobs as memory-mapped files.
//!
//! A file is the plain index followed by a 16-byte trailer: `KIX1`, CRC-32 of the index (big
//! endian), length of the index (u64 big endian). Indexes decide what is garbage, so a file is
//! checked in full before it is used.

use std::{
    collections::HashSet,
    fs::{self, File, Permissions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use memmap2::Mmap;

use super::disk::make_private_dir;

const MAGIC: &[u8; 4] = b"KIX1";
const TRAILER: usize = 16;
/// `f_type` of file systems whose files can shrink under a mapping: NFS, SMB (three kinds).
const REMOTE: [i64; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];

/// The bytes of an index: in memory or mapped.
pub(crate) enum IndexBytes {
    /// In memory.
    Owned(Vec<u8>),
    /// The first `length` bytes of a mapped file.
    Mapped {
        /// The whole file.
        map: Mmap,
        /// Without the trailer.
        length: usize,
    },
}

/// The same, shared: an index and its copies read the same bytes.
#[derive(Clone)]
pub(crate) struct SharedIndexBytes(Arc<IndexBytes>);

impl From<IndexBytes> for SharedIndexBytes {
    fn from(bytes: IndexBytes) -> Self {
        Self(Arc::new(bytes))
    }
}

impl AsRef<[u8]> for SharedIndexBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref().as_ref()
    }
}

impl AsRef<[u8]> for IndexBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(data) => data,
            Self::Mapped { map, length } => map.get(..*length).unwrap_or_default(),
        }
    }
}

/// The directory of index files.
#[derive(Debug)]
pub(crate) struct IndexFiles {
    dir: PathBuf,
    min_age: Duration,
    broken: AtomicBool,
}

impl IndexFiles {
    /// Index files in `dir`; those not in use go when older than `min_age_secs`.
    pub(crate) fn new(dir: PathBuf, min_age_secs: u64) -> Self {
        let min_age = Duration::from_secs(min_age_secs);
        Self { dir, min_age, broken: AtomicBool::new(false) }
    }

    /// The file of that name, if it is there and whole.
    pub(crate) fn load(&self, name: &str) -> Option<IndexBytes> {
        let path = self.dir.join(name);
        let bytes = open(&File::open(&path).ok()?);
        match bytes {
            Ok(Some(bytes)) => return Some(bytes),
            Ok(None) => tracing::warn!(index = name, "dropping a damaged file of the index cache"),
            Err(e) => {
                tracing::warn!(index = name, error = %e, "unreadable file in the index cache");
            }
        }
        // If it cannot be deleted it is damaged the next time as well.
        let _ = fs::remove_file(&path);
        None
    }

    /// Keeps an index; returns the mapped file, or `data` itself when that cannot be.
    pub(crate) fn store(&self, name: &str, data: Vec<u8>) -> IndexBytes {
        if self.broken.load(Ordering::Relaxed) {
            return IndexBytes::Owned(data);
        }
        match self.try_store(name, &data) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => IndexBytes::Owned(data),
            Err(e) => {
                self.broken.store(true, Ordering::Relaxed);
                tracing::warn!(dir = %self.dir.display(), error = %e, "keeping indexes in memory");
                IndexBytes::Owned(data)
            }
        }
    }

    fn try_store(&self, name: &str, data: &[u8]) -> io::Result<Option<IndexBytes>> {
        make_private_dir(&self.dir)?;
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        file.write_all(data)?;
        let mut trailer = [0; TRAILER];
        trailer[..4].copy_from_slice(MAGIC);
        trailer[4..8].copy_from_slice(&crc32fast::hash(data).to_be_bytes());
        trailer[8..].copy_from_slice(&(data.len() as u64).to_be_bytes());
        file.write_all(&trailer)?;
        open(&file.persist(self.dir.join(name)).map_err(|e| e.error)?)
    }

    /// Removes files that are not `in_use` and old enough that no other process is about to.
    pub(crate) fn sweep(&self, in_use: &HashSet<&str>) {
        let Ok(files) = fs::read_dir(&self.dir) else { return };
        #[allow(clippy::disallowed_methods)] // compared with times that the file system set
        let now = SystemTime::now();
        for file in files.flatten() {
            let name = file.file_name();
            if name.to_str().is_some_and(|name| in_use.contains(name)) {
                continue;
            }
            let age = file.metadata().and_then(|m| m.modified()).map(|m| now.duration_since(m));
            if let Ok(Ok(age)) = age
                && age > self.min_age
            {
                // Another process may be faster.
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// The index in a file, `None` if it is damaged: mapped, or read where mapping is not safe.
fn open(file: &File) -> io::Result<Option<IndexBytes>> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    if REMOTE.contains(&kind) {
        let mut data = Vec::new();
        let mut reader = file;
        reader.seek(SeekFrom::Start(0))?;
        reader.read_to_end(&mut data)?;
        return Ok(checked_length(&data).map(|length| {
            data.truncate(length);
            IndexBytes::Owned(data)
        }));
    }
    // SAFETY: the bytes under the map must not change while it exists. The file lies in a
    // directory that only this user can enter, was written under another name and renamed when
    // complete, and nobody writes to a file of the index cache after that: files are only
    // replaced by rename or unlinked, both of which keep the mapped inode as it is. Remote file
    // systems, where another machine could truncate it, are read instead (above).
    let map = unsafe { Mmap::map(file) }?;
    Ok(checked_length(&map).map(|length| IndexBytes::Mapped { map, length }))
}

/// The length of the index in a file, `None` if the trailer does not fit it.
fn checked_length(file: &[u8]) -> Option<usize> {
    let length = file.len().checked_sub(TRAILER)?;
    let (data, trailer) = file.split_at_checked(length)?;
    let crc = trailer.get(4..8)?.try_into().ok().map(u32::from_be_bytes)?;
    let stated = trailer.get(8..)?.try_into().ok().map(u64::from_be_bytes)?;
    (trailer.starts_with(MAGIC) && stated == length as u64 && crc == crc32fast::hash(data))
        .then_some(length)
}
