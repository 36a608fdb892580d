//! `index optimize`

use jiff::SignedDuration;
use kopist_repo::maintenance::{LegacyCompaction, compact_legacy, drop_deleted};

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::ids::content_ids,
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::int("max-small-blobs", "Number of small index blobs to leave alone.").default("1"),
    Flag::duration("drop-deleted-older-than", "Drop entries of contents deleted longer ago."),
    Flag::text("drop-contents", "Drop the entry of this content.").repeated(),
    Flag::switch("all", "Include everything."),
];

/// `index optimize`
pub(super) static COMMAND: Command =
    Command::new("optimize", "Compact index blobs.").hidden().flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, _| {
        app.require_dangerous()?;
        let repo = &session.repo;
        let drop_contents = content_ids(matches.texts("drop-contents"))?;
        let age = matches.duration("drop-deleted-older-than").filter(|nanos| *nanos > 0);
        let before = age.map(|nanos| {
            let age = SignedDuration::from_nanos(nanos);
            repo.clock().now().saturating_sub(age).unwrap_or(jiff::Timestamp::MIN)
        });
        let quick = LegacyCompaction::quick();
        if !repo.parameters().epoch.enabled {
            let options = LegacyCompaction {
                max_small_blobs: matches.count("max-small-blobs").unwrap_or(1),
                all_indexes: matches.flag("all"),
                drop_deleted_before: before,
                drop_contents,
                ..quick
            };
            let done = compact_legacy(repo, &options).context("error optimizing indexes")?;
            let unreadable = done.unreadable.first();
            return unreadable.map_or(Ok(()), |first| {
                Err(CommandError::new(format!("indexes are not optimized completely: {first}")))
            });
        }
        if !drop_contents.is_empty() {
            return Err(CommandError::new(
                "error optimizing indexes: single contents cannot be dropped from the indexes of \
                 a repository with epochs",
            ));
        }
        // Epochs are compacted by maintenance; here only what is deleted can go.
        if let Some(before) = before {
            drop_deleted(repo, before, quick.settle).context("error optimizing indexes")?;
        }
        Ok(())
    })
}
