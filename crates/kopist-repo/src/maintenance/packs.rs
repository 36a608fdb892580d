//! Packs that nothing refers to.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use jiff::Timestamp;
use kopist_blob::{BlobId, BlobMeta, delete_all};
use kopist_format::{
    maintenance::{Orphan, SafetyParameters, judge_unreferenced},
    session::{SESSION_PREFIX, SessionId, session_of_blob},
};

use super::{Around, DeletePacksStats};
use crate::{
    error::{RepoError, Result, Unreadable},
    index::KeyRange,
    repository::Repository,
};

/// Deletions at once.
const PARALLEL: usize = 16;

/// How unreferenced packs are deleted.
#[derive(Debug, Clone, Copy)]
pub struct PackDeletion {
    /// When the maintenance run began, by the storage's clock.
    pub start: Timestamp,
    /// The margins.
    pub safety: SafetyParameters,
    /// Only metadata packs (`q`), no session markers.
    pub metadata_only: bool,
    /// Only count.
    pub dry_run: bool,
}

/// Deletes packs that no entry names, live or deleted, and markers of sessions that are over.
///
/// Kept are packs that are younger than the safety margin (their index may not be written yet, or
/// another client may still rely on an older index) and those of sessions that may be alive. Of a
/// session whose marker does not open nobody knows when it ends: marker and packs stay until
/// somebody deletes the marker.
pub fn delete_unreferenced_packs(
    repo: &Repository,
    options: &PackDeletion,
) -> Result<Around<DeletePacksStats>> {
    repo.writable()?;
    // The index first: a pack that is written later is too new to be deleted.
    repo.refresh()?;
    let view = repo.index();
    let mut referenced: HashSet<String> = HashSet::new();
    for entry in view.entries(&KeyRange::all()) {
        let (_, entry) = entry?;
        if !referenced.contains(entry.pack) {
            referenced.insert(entry.pack.to_owned());
        }
    }
    let sessions = repo.sessions()?;
    let checkpoints: HashMap<SessionId, Timestamp> =
        sessions.active.into_iter().map(|marker| (marker.id, marker.checkpoint_time)).collect();
    let mystery = Mystery::of(&sessions.unreadable);
    let mut safety = options.safety;
    if mystery.is_nameless {
        // Packs of any session may be the ones that it stands for.
        safety.pack_delete_min_age =
            safety.pack_delete_min_age.max(SafetyParameters::FULL.session_expiration_age);
    }

    let prefixes: &[&str] =
        if options.metadata_only { &["q"] } else { &["p", "q", SESSION_PREFIX] };
    let mut doomed: Vec<BlobId> = Vec::new();
    let mut stats = DeletePacksStats {
        unreferenced_pack_count: 0,
        unreferenced_total_size: 0,
        deleted_pack_count: 0,
        deleted_total_size: 0,
        retained_pack_count: 0,
        retained_total_size: 0,
    };
    let mut judge = |blob: BlobMeta| {
        if referenced.contains(blob.id.as_str()) {
            return;
        }
        stats.unreferenced_pack_count += 1;
        stats.unreferenced_total_size += blob.length;
        let session = session_of_blob(blob.id.as_str());
        let checkpoint = session.as_ref().and_then(|session| checkpoints.get(session)).copied();
        let verdict = judge_unreferenced(blob.timestamp, options.start, checkpoint, &safety);
        let is_mystery = mystery.markers.contains(&blob.id)
            || session.is_some_and(|session| mystery.sessions.contains(&session));
        if verdict == Orphan::Delete && !is_mystery {
            stats.deleted_pack_count += 1;
            stats.deleted_total_size += blob.length;
            doomed.push(blob.id);
        } else {
            stats.retained_pack_count += 1;
            stats.retained_total_size += blob.length;
        }
    };
    for prefix in prefixes {
        repo.store().list(prefix, &mut |blob| {
            judge(blob);
            ControlFlow::Continue(())
        })?;
    }
    if options.dry_run {
        stats.deleted_pack_count = 0;
        stats.deleted_total_size = 0;
    } else {
        repo.check_usable()?;
        delete_all(repo.store().as_ref(), &doomed, PARALLEL)?;
    }
    let unreadable = sessions.unreadable.into_iter();
    let unreadable = unreadable.map(|(marker, e)| Unreadable::new(format!("blob {marker}"), e));
    Ok(Around { stats, unreadable: unreadable.collect() })
}

/// Session markers that do not open.
struct Mystery {
    markers: HashSet<BlobId>,
    /// The sessions that their names tell.
    sessions: HashSet<SessionId>,
    /// Whether there is one whose name does not tell it.
    is_nameless: bool,
}

impl Mystery {
    fn of(unreadable: &[(BlobId, RepoError)]) -> Self {
        let session = |marker: &BlobId| session_of_blob(marker.as_str());
        let markers = || unreadable.iter().map(|(marker, _)| marker);
        Self {
            markers: markers().cloned().collect(),
            sessions: markers().filter_map(session).collect(),
            is_nameless: markers().any(|marker| session(marker).is_none()),
        }
    }
}
