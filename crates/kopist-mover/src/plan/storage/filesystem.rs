//! A mounted directory.

use std::path::{Path, PathBuf};

use super::{Source, Storage};
use crate::plan::error::{Findings, PlanError};

/// Names of the format blob on a filesystem: with the suffix, and as very old
/// repositories have it.
const FORMAT_BLOBS: [&str; 2] = ["kopia.repository.f", "kopia.repository"];

/// Where earlier releases of the operator mounted a repository volume, and where the repository
/// lies then.
const FORMER_PLACES: [(&str, &str); 2] =
    [("/kopia", "/kopia/repository"), ("/repository", "/repository")];

pub(super) fn resolve(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    let url = source.text("KOPIA_REPOSITORY").unwrap_or_default();
    let path = match url.strip_prefix("filesystem:").unwrap_or_default() {
        "" | "//" => return search(source, findings),
        rest => rest.strip_prefix("//").ok_or(PlanError::FilesystemUrl)?,
    };
    directory(path)
}

fn directory(path: &str) -> Result<Storage, PlanError> {
    if !path.starts_with('/') {
        return Err(PlanError::FilesystemUrl);
    }
    if path.split('/').any(|part| part == "..") {
        return Err(PlanError::FilesystemPath);
    }
    Ok(Storage::Filesystem { path: PathBuf::from(path) })
}

/// The variable that the operator's first releases used for a directory.
const FORMER_PATH: &str = "KOPIA_FS_PATH";

pub(super) fn former_path(
    source: &Source<'_>,
    findings: &mut Findings,
) -> Result<Storage, PlanError> {
    let path = source.text(FORMER_PATH).unwrap_or_default();
    findings.former(FORMER_PATH, &format!("the repository is the directory {path}"));
    directory(path)
}

/// Whether a volume is mounted where earlier releases had it.
pub(super) fn has_former_place(source: &Source<'_>) -> bool {
    FORMER_PLACES.iter().any(|(mount, _)| source.probe.is_dir(Path::new(mount)))
}

/// `filesystem:` alone is what the documentation tells to write for a repository
/// on a mover volume; the operator fills in the path for backups and restores, but
/// not for maintenance. The only repository in sight is meant then.
///
/// Where there is none yet, a volume in the place of earlier releases is where it will be.
fn search(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    if source.is_set(FORMER_PATH) {
        return former_path(source, findings);
    }
    let holds_repository = |directory: &PathBuf| {
        FORMAT_BLOBS.iter().any(|name| source.probe.is_file(&directory.join(name)))
    };
    let mut places = source.probe.subdirectories(Path::new("/mnt"));
    places.extend(FORMER_PLACES.iter().map(|(_, place)| PathBuf::from(place)));
    let mut found: Vec<PathBuf> = places.into_iter().filter(holds_repository).collect();
    match (found.pop(), found.is_empty()) {
        (Some(path), true) => {
            findings.notice(format!(
                "KOPIA_REPOSITORY names no path; using the only repository found, {}",
                path.display()
            ));
            Ok(Storage::Filesystem { path })
        }
        (None, _) => former_place(source, findings),
        (Some(last), false) => {
            let all = found.into_iter().chain([last]);
            Err(PlanError::FilesystemSearch(all.map(|path| path.display().to_string()).collect()))
        }
    }
}

fn former_place(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    let mounted = |mount: &str| source.probe.is_dir(Path::new(mount));
    let place = FORMER_PLACES.iter().find(|(mount, _)| mounted(mount));
    let (mount, place) = place.ok_or(PlanError::FilesystemSearch(Vec::new()))?;
    findings.notice(format!(
        "KOPIA_REPOSITORY names no path; a volume is mounted at {mount}, as earlier releases of \
         the operator did, so the repository is {place}"
    ));
    Ok(Storage::Filesystem { path: PathBuf::from(place) })
}
