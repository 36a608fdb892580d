//! Giving snapshots to another user, host or path: copying or moving history.
//!
//! A source may leave out the path or the user: then it means all of them, and the destination
//! must leave them out, too, or snapshots of several sources would end up in one. Facts:
//! `kopia:cli/command_snapshot_copy_move_history.go`.

use kopist_format::snapshot::SnapshotManifest;
use kopist_repo::RepositoryWriter;

use crate::error::{Result, SnapshotError};
use crate::{SourceInfo, store};

/// How to transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Delete the originals: a move.
    pub delete_originals: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// What becomes of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It gets the other source.
    Transferred,
    /// The destination has it.
    Exists,
    /// The destination has it, so the original is deleted.
    ExistsAndDeleted,
}

/// Copies or moves snapshots. What is done to each is told, with the new source, before it is
/// done.
pub fn transfer(
    writer: &RepositoryWriter,
    from: &SourceInfo,
    to: &SourceInfo,
    how: Transfer,
    tell: &mut dyn FnMut(&SnapshotManifest, &SourceInfo, Fate),
) -> Result<()> {
    if !to.path.is_empty() && from.path.is_empty() {
        return Err(SnapshotError::Collapse("path"));
    }
    if !to.user_name.is_empty() && from.user_name.is_empty() {
        return Err(SnapshotError::Collapse("username"));
    }
    let view = writer.manifests()?;
    let mut snapshots = store::snapshots_of(&view, from);
    snapshots.sort_by_cached_key(|snapshot| {
        (SourceInfo::from(&snapshot.source).to_string(), snapshot.start_time)
    });
    let existing = store::snapshots_of(&view, to);
    for snapshot in snapshots {
        let source = destination(&SourceInfo::from(&snapshot.source), to);
        if source == SourceInfo::from(&snapshot.source) {
            continue;
        }
        let exists = existing.iter().any(|other| {
            SourceInfo::from(&other.source) == source
                && other.start_time == snapshot.start_time
                && other.root_object() == snapshot.root_object()
        });
        let deletes = how.delete_originals && !how.dry_run;
        tell(
            &snapshot,
            &source,
            match (exists, deletes) {
                (true, true) => Fate::ExistsAndDeleted,
                (true, false) => Fate::Exists,
                (false, _) => Fate::Transferred,
            },
        );
        if how.dry_run {
            continue;
        }
        if !exists {
            let mut copy = snapshot.clone();
            copy.source.host.clone_from(&source.host);
            copy.source.user_name.clone_from(&source.user_name);
            copy.source.path.clone_from(&source.path);
            store::save_snapshot(writer, &copy)?;
        }
        if deletes {
            writer.delete_manifest(&snapshot.id.into())?;
        }
    }
    Ok(())
}

/// The source with what the destination says in the place of its own parts.
fn destination(source: &SourceInfo, to: &SourceInfo) -> SourceInfo {
    let or = |new: &String, old: &String| if new.is_empty() { old } else { new }.clone();
    SourceInfo {
        host: or(&to.host, &source.host),
        user_name: or(&to.user_name, &source.user_name),
        path: or(&to.path, &source.path),
    }
}
