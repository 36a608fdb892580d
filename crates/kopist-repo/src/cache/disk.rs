//! A directory of files with a limit on their total size.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::SHARE_OF_FREE_SPACE;

/// A file's time of use is renewed at most this often.
const TOUCH_INTERVAL: Duration = Duration::from_mins(10);

/// Immutable files by name, the least recently used deleted first.
///
/// All methods are best effort: a failure to read is a miss, a failure to write switches writing
/// off for the life of this value.
#[derive(Debug)]
pub(crate) struct DiskCache {
    dir: PathBuf,
    limit: u64,
    /// Bytes in the directory: as counted by the last scan, plus what was added since.
    total: Mutex<Option<u64>>,
    broken: AtomicBool,
}

impl DiskCache {
    /// A cache of at most `limit` bytes in `dir`, which is made when first needed.
    pub(crate) fn new(dir: PathBuf, limit: u64) -> Self {
        Self { dir, limit, total: Mutex::new(None), broken: AtomicBool::new(false) }
    }

    /// Two characters of directory; of content ids and pack names the last ones differ most.
    fn path(&self, key: &str) -> PathBuf {
        let shard = key.get(1..3).unwrap_or("--");
        self.dir.join(shard).join(key)
    }

    /// `length` bytes at `offset` of a file, `None` if it is not there or too short.
    pub(crate) fn get_range(&self, key: &str, offset: u64, length: usize) -> Option<Bytes> {
        let file = self.open(key)?;
        let mut data = vec![0; length];
        if file.read_exact_at(&mut data, offset).is_err() {
            self.remove(key);
            return None;
        }
        Some(data.into())
    }

    fn open(&self, key: &str) -> Option<File> {
        let file = File::open(self.path(key)).ok()?;
        #[allow(clippy::disallowed_methods)] // compared with times that the file system set
        let now = SystemTime::now();
        let used = file.metadata().and_then(|m| m.modified()).unwrap_or(now);
        if now.duration_since(used).is_ok_and(|age| age > TOUCH_INTERVAL) {
            // Only the order of eviction suffers when this fails.
            let _ = file.set_modified(now);
        }
        Some(file)
    }

    /// Keeps `data` under `key`, if there is room.
    pub(crate) fn put(&self, key: &str, data: &[u8]) {
        if self.limit == 0 || self.broken.load(Ordering::Relaxed) {
            return;
        }
        if let Err(e) = self.try_put(key, data) {
            self.broken.store(true, Ordering::Relaxed);
            tracing::warn!(dir = %self.dir.display(), error = %e, "working without this cache");
        }
    }

    fn try_put(&self, key: &str, data: &[u8]) -> io::Result<()> {
        let size = data.len() as u64;
        if !self.make_room(size)? {
            return Ok(());
        }
        let path = self.path(key);
        let dir = path.parent().unwrap_or(&self.dir);
        make_private_dir(dir)?;
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(dir)?;
        file.write_all(data)?;
        file.persist(&path).map_err(|e| e.error)?;
        if let Some(total) = self.total.lock().as_mut() {
            *total += size;
        }
        Ok(())
    }

    /// Forgets a file.
    pub(crate) fn remove(&self, key: &str) {
        // A file that is gone or cannot be deleted is found again by the next scan.
        let _ = fs::remove_file(self.path(key));
    }

    /// Makes sure that `size` more bytes fit; `false` if they do not.
    fn make_room(&self, size: u64) -> io::Result<bool> {
        make_private_dir(&self.dir)?;
        let mut total = self.total.lock();
        let free = free_space(&self.dir)?;
        if let Some(known) = *total
            && known + size <= self.limit
            && size <= share(free)
        {
            return Ok(true);
        }
        let mut files = scan(&self.dir)?;
        let mut sum: u64 = files.iter().map(|f| f.size).sum();
        let limit = self.limit.min(sum + share(free));
        if size > limit {
            *total = Some(sum);
            return Ok(false);
        }
        if sum + size > limit {
            // One sweep makes room for many files, so that scans stay rare.
            let goal = (limit - size).min(limit / 10 * 9);
            files.sort_unstable_by_key(|f| f.used);
            for file in files {
                if sum <= goal {
                    break;
                }
                match fs::remove_file(&file.path) {
                    Ok(()) => sum -= file.size,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => sum -= file.size,
                    Err(e) => return Err(e),
                }
            }
        }
        *total = Some(sum);
        Ok(true)
    }
}

pub(super) fn make_private_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn share(free: u64) -> u64 {
    (free as f64 * SHARE_OF_FREE_SPACE) as u64
}

/// Bytes that this user may still write to the file system of `dir`.
fn free_space(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

struct Found {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// All files of all shards. What vanishes meanwhile (another process sweeps too) is left out.
fn scan(dir: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for shard in fs::read_dir(dir)? {
        let Ok(files) = fs::read_dir(shard?.path()) else { continue };
        for file in files {
            let Ok(file) = file else { continue };
            let Ok(meta) = file.metadata() else { continue };
            let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Found { path: file.path(), size: meta.len(), used });
        }
    }
    Ok(found)
}
