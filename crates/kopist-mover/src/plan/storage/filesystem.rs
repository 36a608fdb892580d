//! A mounted directory.

use std::path::{Path, PathBuf};

use super::{Source, Storage};
use crate::plan::error::{Findings, PlanError};

/// Names of the format blob on a filesystem: with the suffix, and as very old
/// repositories have it.
const FORMAT_BLOBS: [&str; 2] = ["kopia.repository.f", "kopia.repository"];

/// Where earlier releases of the operator mounted a repository volume.
const FORMER_PLACES: [&str; 2] = ["/kopia/repository", "/repository"];

pub(super) fn resolve(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    let url = source.text("KOPIA_REPOSITORY").unwrap_or_default();
    let path = match url.strip_prefix("filesystem:").unwrap_or_default() {
        "" | "//" => return search(source, findings),
        rest => rest.strip_prefix("//").ok_or(PlanError::FilesystemUrl)?,
    };
    if !path.starts_with('/') {
        return Err(PlanError::FilesystemUrl);
    }
    if path.split('/').any(|part| part == "..") {
        return Err(PlanError::FilesystemPath);
    }
    Ok(Storage::Filesystem { path: PathBuf::from(path) })
}

/// `filesystem:` alone is what the documentation tells to write for a repository
/// on a mover volume; the operator fills in the path for backups and restores, but
/// not for maintenance. The only repository in sight is meant then.
fn search(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    let holds_repository = |directory: &PathBuf| {
        FORMAT_BLOBS.iter().any(|name| source.probe.is_file(&directory.join(name)))
    };
    let mut places = source.probe.subdirectories(Path::new("/mnt"));
    places.extend(FORMER_PLACES.iter().map(PathBuf::from));
    let mut found: Vec<PathBuf> = places.into_iter().filter(holds_repository).collect();
    match (found.pop(), found.is_empty()) {
        (Some(path), true) => {
            findings.notice(format!(
                "KOPIA_REPOSITORY names no path; using the only repository found, {}",
                path.display()
            ));
            Ok(Storage::Filesystem { path })
        }
        (last, _) => {
            let all = found.into_iter().chain(last);
            Err(PlanError::FilesystemSearch(all.map(|path| path.display().to_string()).collect()))
        }
    }
}
