use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// How the names of these folders begin.
const PREFIX: &str = "kopist-rclone";

/// What is locked as long as a folder is in use.
const LOCK: &str = "lock";

/// A folder for what one rclone is told, secrets included. It is removed when it is dropped; what
/// programs leave that are killed, the next removes.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes a folder in the usual place, where those that nobody uses any more are removed.
    pub(super) fn make() -> io::Result<Self> {
        Self::make_in(&std::env::temp_dir())
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        // It may be impossible, as with folders of other users, and nothing depends on it.
        if let Err(error) = sweep(parent) {
            tracing::debug!(%error, "what an ended program left for rclone stays");
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Under its name it is locked from the beginning.
        let new = folder.path().join("lock.new");
        let lock = File::create_new(&new)?;
        lock.try_lock()?;
        std::fs::rename(new, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders whose locks nobody holds. A lock ends with its process, whoever sees that
/// process by which number.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_nobody_uses_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{PREFIX}-left"));
        let other = parent.path().join("other");
        for folder in [&left, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("lock"), "").unwrap();
            std::fs::write(folder.join("rclone.conf"), "secret").unwrap();
        }
        let first = Folder::make_in(parent.path()).unwrap();
        assert!(!left.exists() && other.exists());
        let second = Folder::make_in(parent.path()).unwrap();
        assert!(first.path().exists() && second.path().exists());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }
}
