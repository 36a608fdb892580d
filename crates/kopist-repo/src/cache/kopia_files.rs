//! What kopia remembers of blobs that change.
//!
//! Both programs may use one connection, and with it one cache directory. kopia keeps in it
//!
//! ```text
//! <cache dir>/kopia.repository       for 15 minutes (kopia:repo/format/format_blob_cache.go)
//! <cache dir>/kopia.blobcfg          the same
//! <cache dir>/blob-list/<prefix>.f   lists of index blobs, for half a minute unless
//!                                    --max-list-cache-duration says otherwise
//!                                    (kopia:internal/listcache)
//! ```
//!
//! and drops what it changes itself. Without the same here, it would not know a new password and
//! not see a new snapshot until its copy is old. kopist itself does not read these files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kopist_blob::BlobId;
use kopist_format::format_blob::{BLOBCFG_BLOB, FORMAT_BLOB};

/// Index blobs, compaction logs and cleanup marks of format 1; then uncompacted indexes, marks of
/// epochs, compacted epochs and ranges of them.
const LISTED: [&str; 7] = ["n", "m", "l", "xn", "xe", "xs", "xr"];

/// The cache directory of a connection as kopia uses it.
#[derive(Debug)]
pub(crate) struct KopiaFiles(PathBuf);

impl KopiaFiles {
    pub(crate) fn new(cache_dir: &Path) -> Self {
        Self(cache_dir.to_owned())
    }

    /// Removes what was remembered of a blob that has changed.
    pub(crate) fn forget(&self, changed: &BlobId) {
        let changed = changed.as_str();
        if [FORMAT_BLOB, BLOBCFG_BLOB].contains(&changed) {
            remove(&self.0.join(changed));
        }
        for prefix in LISTED.iter().filter(|prefix| changed.starts_with(**prefix)) {
            remove(&self.0.join(format!("blob-list/{prefix}.f")));
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!("removing {} from kopia's cache: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_remembered_of_the_changed_blob_goes() {
        let dir = tempfile::tempdir().unwrap();
        let kopia = KopiaFiles::new(dir.path());
        // Nothing was remembered yet.
        kopia.forget(&"n1".into());
        fs::create_dir(dir.path().join("blob-list")).unwrap();
        let mut files: Vec<_> =
            LISTED.iter().map(|prefix| format!("blob-list/{prefix}.f")).collect();
        files.extend([FORMAT_BLOB.to_owned(), BLOBCFG_BLOB.to_owned()]);
        for (changed, gone) in [
            ("p12", None),
            ("xw12", None),
            ("kopia.maintenance", None),
            ("n12", Some("blob-list/n.f")),
            ("l1", Some("blob-list/l.f")),
            ("xn0_1", Some("blob-list/xn.f")),
            (FORMAT_BLOB, Some(FORMAT_BLOB)),
            (BLOBCFG_BLOB, Some(BLOBCFG_BLOB)),
        ] {
            for file in &files {
                fs::write(dir.path().join(file), "copy").unwrap();
            }
            kopia.forget(&changed.into());
            for file in &files {
                let is_there = dir.path().join(file).exists();
                assert_eq!(is_there, gone != Some(&**file), "{file} after a change of {changed}");
            }
        }
    }
}
