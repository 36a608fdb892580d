//! `show`

use std::io::Read as _;

use kopist_format::id::ObjectId;
use kopist_repo::Repository;
use kopist_snapshot::browse::read_directory;

use crate::grammar::Matches;
use crate::grammar::{Arg, Command};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    session,
};

/// `show`
pub(super) static COMMAND: Command = Command::new("show", "Print an object.")
    .aliases(&["cat"])
    .args(&[
        Arg::text("object-path", "Object id or snapshot id, with the path inside it.").required()
    ])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let path = matches.text("object-path").unwrap_or_default();
        let id = object_of(&session.repo, &path).context(format!("unable to parse ID: {path}"))?;
        let opening = format!("error opening object {id}");
        let mut reader = session.repo.open_object(&id).context(opening)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let length = reader.read(&mut buffer).context("unable to copy data")?;
            match buffer.get(..length) {
                Some(part) if length > 0 => app.console.write(part)?,
                _ => return Ok(()),
            }
        }
    })
}

/// The object of a path that begins with an object id. Snapshots are not tried.
pub(super) fn object_of(repo: &Repository, path: &str) -> Result<ObjectId, CommandError> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let id: ObjectId = first.parse().context(format!("can't parse object ID {path}"))?;
    let mut object = Some(id);
    for name in rest.split('/').filter(|name| !name.is_empty()) {
        let id = object.ok_or_else(|| CommandError::new("entry without ObjectID"))?;
        let entries = read_directory(repo, &id).context("error reading directory")?;
        let found = entries.into_iter().find(|entry| entry.name_text() == name);
        let found =
            found.ok_or_else(|| CommandError::new("error reading directory: entry not found"))?;
        object = found.object;
    }
    object.ok_or_else(|| CommandError::new("entry without ObjectID"))
}
