//! `blob delete`

use kopist_blob::{BlobId, BlobStore as _};

use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

/// `blob delete`
pub(super) static COMMAND: Command = Command::new("delete", "Delete blobs.")
    .aliases(&["remove", "rm"])
    .hidden()
    .args(&[Arg::text("blobIDs", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        app.require_dangerous()?;
        if session.repo.is_read_only() {
            return Err(CommandError::new("cannot delete blobs: storage is read-only"));
        }
        for id in matches.texts("blobIDs") {
            session
                .repo
                .store()
                .delete(&BlobId::from(id.as_str()))
                .context(format!("error deleting {id}"))?;
        }
        Ok(())
    })
}
