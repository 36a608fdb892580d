//! What policies want to run before and after directories.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::run::Run;
use super::{UploadError, UploadEvent, UploadSource};
use crate::actions::{Action, Note, Pair};
use crate::fs::{Kind, describe};
use crate::policy::{ActionCommand, PolicyTree};

/// An action that is to run when something is done.
pub(super) struct After {
    pair: Pair,
    action: Action,
    command: ActionCommand,
}

/// The directory that is to be read instead, if it is another one, and what runs afterwards.
type Before = (Option<UploadSource>, Option<After>);

/// The actions of one directory.
#[derive(Clone, Copy)]
struct Actions<'p> {
    before: (Action, Option<&'p ActionCommand>),
    after: (Action, Option<&'p ActionCommand>),
}

impl<'p> Actions<'p> {
    fn of_snapshot(policies: &'p PolicyTree) -> Self {
        let actions = &policies.effective().actions;
        Self {
            before: (Action::BeforeSnapshotRoot, actions.before_snapshot_root.as_ref()),
            after: (Action::AfterSnapshotRoot, actions.after_snapshot_root.as_ref()),
        }
    }

    fn of_folder(policies: &'p PolicyTree) -> Self {
        let actions = policies.defined().map(|policy| &policy.actions);
        Self {
            before: (Action::BeforeFolder, actions.and_then(|a| a.before_folder.as_ref())),
            after: (Action::AfterFolder, actions.and_then(|a| a.after_folder.as_ref())),
        }
    }
}

impl Run<'_> {
    /// What runs before the snapshot.
    pub(super) fn before_snapshot(&self, policies: &PolicyTree) -> Result<Before, UploadError> {
        self.before(Actions::of_snapshot(policies), &[]).map_err(UploadError::Action)
    }

    /// What runs before the top directory is read.
    pub(super) fn before_root_folder(&self, policies: &PolicyTree) -> Result<Before, UploadError> {
        self.before(Actions::of_folder(policies), &[]).map_err(UploadError::Action)
    }

    /// What runs before the directory at `path` is read. An error is the text of its failure.
    pub(super) fn before_folder(
        &self,
        policies: &PolicyTree,
        path: &[u8],
    ) -> Result<Before, String> {
        self.before(Actions::of_folder(policies), path)
    }

    fn before(&self, actions: Actions<'_>, path: &[u8]) -> Result<Before, String> {
        let Some(root) = &self.local_path else { return Ok((None, None)) };
        if actions.before.1.is_none() && actions.after.1.is_none() {
            return Ok((None, None));
        }
        let local = if path.is_empty() { root.clone() } else { root.join(OsStr::from_bytes(path)) };
        let mut pair = Pair::new(local.clone());
        let mut moved = None;
        if let (action, Some(command)) = actions.before {
            let options = &self.options.actions;
            let stop = || self.options.cancel.is_canceled() || self.has_failed();
            let note = |note: Note<'_>| self.note(note);
            let other = pair
                .before(action, command, options, &stop, &note)
                .map_err(|error| format!("error executing {action} action: {error}"))?;
            moved = match other {
                Some(other) => Some(redirected(&other).map_err(|error| {
                    format!(
                        "error executing {action} action: error getting local directory \
                         specified in KOPIA_SNAPSHOT_PATH: {error}"
                    )
                })?),
                // The command may have mounted something just there.
                None if options.enabled && path.is_empty() => UploadSource::local(&local).ok(),
                None => None,
            };
        }
        let (action, command) = actions.after;
        let after = command.map(|command| After { pair, action, command: command.clone() });
        Ok((moved, after))
    }

    /// Runs what runs afterwards.
    pub(super) fn run_after(&self, after: Option<After>) {
        let Some(After { mut pair, action, command }) = after else { return };
        pair.after(action, &command, &self.options.actions, &|note| self.note(note));
    }

    fn note(&self, note: Note<'_>) {
        match note {
            Note::Info(message) => self.emit(UploadEvent::Info { message }),
            Note::Problem(message) => self.emit(UploadEvent::Warning { message }),
        }
    }
}

/// The directory that an action named.
fn redirected(path: &Path) -> Result<UploadSource, String> {
    if let Err(error) = std::fs::symlink_metadata(path) {
        let path = path.display().to_string();
        return Err(format!(
            "unable to determine entry type: {}",
            describe("lstat", &path, &error)
        ));
    }
    let source = UploadSource::local(path).map_err(|error| error.to_string())?;
    if source.metadata.kind != Kind::Directory {
        return Err(format!("not a directory: {}", path.display()));
    }
    Ok(source)
}
