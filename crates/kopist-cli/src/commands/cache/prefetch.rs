//! `cache prefetch` and `cache sync`: what will be read soon, into the cache now.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use kopist_format::id::ContentId;
use kopist_repo::{KeyRange, Repository};

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{ids::visit_contents, show::object_of},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const PREFETCH_FLAGS: &[Flag] = &[Flag::text("hint", "What the prefetched objects are used for.")
    .moot("prefetching is the same for every use")];

/// `cache prefetch`
pub(super) static PREFETCH: Command = Command::new("prefetch", "Load objects into the cache.")
    .flags(&[PREFETCH_FLAGS])
    .args(&[Arg::text("object", "").required().repeated()])
    .run(prefetch);

const SYNC_FLAGS: &[Flag] =
    &[Flag::int("parallel", "Number of parallel operations.").default("16")];

/// `cache sync`
pub(super) static SYNC: Command =
    Command::new("sync", "Load metadata into the cache.").flags(&[SYNC_FLAGS]).run(sync);

/// Reads at once while prefetching.
const PARALLEL: usize = 8;

fn prefetch(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let mut contents = HashSet::new();
        for text in matches.texts("object") {
            let what = || format!("unable to parse ID: {text}");
            let id = object_of(&session.repo, &text).context(what())?;
            session
                .repo
                .object_contents(&id, &mut |content| {
                    contents.insert(content);
                })
                .context("error prefetching")?;
        }
        let contents: Vec<ContentId> = contents.into_iter().collect();
        read_all(&session.repo, &contents, PARALLEL).context("error prefetching")?;
        app.info(format!("prefetched {} contents", contents.len()));
        Ok(())
    })
}

fn sync(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        // One content of each metadata pack: packs of that kind are kept as a whole.
        let mut packs: HashSet<String> = HashSet::new();
        let mut contents = Vec::new();
        visit_contents(&session.repo, &KeyRange::all(), |entry| {
            if entry.pack.starts_with('q') && !packs.contains(entry.pack) {
                packs.insert(entry.pack.to_owned());
                contents.push(entry.id);
            }
            Ok(())
        })?;
        let parallel = matches.count("parallel").unwrap_or(1).max(1);
        read_all(&session.repo, &contents, parallel).context("error synchronizing metadata cache")
    })
}

/// Reads contents, whatever for: afterwards the cache has them.
fn read_all(repo: &Repository, ids: &[ContentId], parallel: usize) -> Outcome {
    let next = AtomicUsize::new(0);
    let failures = std::thread::scope(|scope| {
        let work = || -> Result<(), CommandError> {
            while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                repo.read_content(id)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..parallel.min(ids.len())).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap_or_else(|_| panicked()).err())
            .collect::<Vec<_>>()
    });
    failures.into_iter().next().map_or(Ok(()), Err)
}

fn panicked() -> Outcome {
    Err(CommandError::new("a thread that was reading broke off"))
}
