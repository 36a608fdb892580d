//! `index recover`: indexes from the packs, each of which ends in an index of its own.

use kopist_blob::{BlobId, BlobMeta, BlobStore as _, in_parallel, list_all, list_prefixes};
use kopist_repo::{Repository, RepositoryWriter};
use parking_lot::Mutex;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    progress::StatusLine,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::text("blob-prefixes", "Prefixes of the pack blobs to recover from.").repeated(),
    Flag::text("blobs", "Pack blobs to recover from.").repeated(),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("ignore-errors", "Continue after errors."),
    Flag::switch("delete-indexes", "Delete all index blobs first."),
    Flag::switch("commit", "Write the result."),
];

/// `index recover`
pub(super) static COMMAND: Command =
    Command::new("recover", "Rebuild index blobs from packs.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, writer| {
        app.require_dangerous()?;
        let commit = matches.flag("commit");
        if matches.flag("delete-indexes") {
            delete_indexes(app, &session.repo, commit).context("error deleting old indexes")?;
        }
        let packs = packs(&session.repo, matches)?;
        let recovery = Recovery {
            app,
            writer,
            commit,
            ignore_errors: matches.flag("ignore-errors"),
            found: Mutex::new((0, 0)),
        };
        let result = recovery.run(&packs, matches.count("parallel").unwrap_or(1));
        let (contents, blobs) = recovery.found.into_inner();
        app.info(match (contents, commit) {
            (0, _) => "No contents recovered.".to_owned(),
            (_, false) => format!(
                "Found {contents} contents to recover from {blobs} blobs, but not committed. \
                 Re-run with --commit"
            ),
            (_, true) => format!("Recovered {contents} contents from {blobs}."),
        });
        result
    })
}

/// Deletes index blobs of the kind without epochs, the only ones that kopia deletes here: those
/// of epochs are told apart by age, and newer ones would hide the recovered one.
fn delete_indexes(app: &App, repo: &Repository, commit: bool) -> Outcome {
    for blob in list_all(repo.store().as_ref(), "n")? {
        if commit {
            app.info(format!("deleting old index blob: {}", blob.id));
            repo.store().delete(&blob.id).context("error deleting index blob")?;
        } else {
            let id = &blob.id;
            app.info(format!("would delete old index: {id} (pass --commit to approve)"));
        }
    }
    Ok(())
}

fn packs(repo: &Repository, matches: &Matches) -> Result<Vec<BlobMeta>, CommandError> {
    let named = matches.texts("blobs");
    if !named.is_empty() {
        let meta = |id: String| {
            let blob = repo.store().metadata(&BlobId::from(id.as_str()));
            blob.context(format!("error recovering index from {id}"))
        };
        return named.into_iter().map(meta).collect();
    }
    let given = matches.texts("blob-prefixes");
    let prefixes: Vec<&str> = match given.as_slice() {
        [] => vec!["p", "q"],
        given => given.iter().map(String::as_str).collect(),
    };
    list_prefixes(repo.store().as_ref(), &prefixes, 1).context("error listing blobs")
}

struct Recovery<'a> {
    app: &'a App,
    writer: &'a RepositoryWriter,
    commit: bool,
    ignore_errors: bool,
    /// Contents and blobs.
    found: Mutex<(usize, usize)>,
}

impl Recovery<'_> {
    fn run(&self, packs: &[BlobMeta], parallel: usize) -> Outcome {
        let line = StatusLine::new(self.app);
        let failure = Mutex::new(None);
        // `in_parallel` carries errors of blobs only; others end the work by the first of them.
        let work = |pack: &BlobMeta| {
            if failure.lock().is_some() {
                return Ok(());
            }
            match self.pack(pack) {
                Ok(()) => {
                    let (contents, blobs) = *self.found.lock();
                    let all = packs.len();
                    line.show(|| {
                        format!("Recovered {contents} index entries, {blobs}/{all} blobs")
                    });
                }
                Err(error) if self.ignore_errors => self.app.debug(error.to_string()),
                Err(error) => drop(failure.lock().get_or_insert(error)),
            }
            Ok(())
        };
        in_parallel(packs, parallel.max(1), work)?;
        line.finish();
        match failure.into_inner() {
            Some(error) => Err(error).context("recovering indexes"),
            None => Ok(()),
        }
    }

    fn pack(&self, pack: &BlobMeta) -> Outcome {
        let contents = if self.commit {
            self.writer.recover_pack(&pack.id, pack.length)
        } else {
            self.writer.repository().pack_contents(&pack.id, pack.length)
        };
        let contents = contents.context(format!("unable to recover index from {}", pack.id))?;
        let mut found = self.found.lock();
        found.0 += contents.len();
        found.1 += 1;
        Ok(())
    }
}
