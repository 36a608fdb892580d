//! The mark that a writer leaves while it writes.

use kopist_blob::BlobId;
use kopist_format::{
    json::to_go_json,
    session::{SESSION_PREFIX, SessionId, SessionMarker},
};

use super::RepositoryWriter;
use crate::{
    error::{RepoError, Result},
    util::random,
};

/// An open session: until its index is written, its packs are only known by its marker.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: SessionId,
    marker: BlobId,
}

impl RepositoryWriter {
    /// The id of the session, which begins here if it has not yet.
    ///
    /// The marker is stored before the first pack: garbage collection leaves unreferenced packs
    /// of marked sessions alone.
    pub(super) fn session_id(&self) -> Result<SessionId> {
        let mut session = self.shared.session.lock();
        if let Some(session) = &*session {
            return Ok(session.id.clone());
        }
        let repo = &self.shared.repo;
        repo.check_usable()?;
        let now = self.now();
        let id = SessionId::new(random()?, now);
        let marker = SessionMarker {
            id: id.clone(),
            start_time: now,
            checkpoint_time: now,
            username: repo.identity().username.clone(),
            hostname: repo.identity().hostname.clone(),
        };
        let json = to_go_json(&marker).map_err(|e| RepoError::format("session marker", e))?;
        let marker = repo.put_sealed(SESSION_PREFIX, id.as_str(), &json)?.id;
        *session = Some(Session { id: id.clone(), marker });
        Ok(id)
    }

    /// The session's index is stored: its marker goes, and the next write begins a new session.
    ///
    /// A marker that cannot be deleted (storage without the permission) does no harm: it expires.
    pub(super) fn end_session(&self) {
        let Some(session) = self.shared.session.lock().take() else { return };
        if let Err(error) = self.shared.repo.store().delete(&session.marker) {
            tracing::warn!(marker = %session.marker, %error, "the session marker stays");
        }
    }
}
