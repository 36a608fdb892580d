//! `cache clear`

use std::{fs, io, os::unix::fs::DirBuilderExt as _};

use kopist_repo::cache::mark_directory;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[Flag::one_of(
    "partial",
    &["contents", "indexes", "metadata", "own-writes", "blob-list"],
    "Clear only this part of the cache.",
)];

/// `cache clear`
pub(super) static COMMAND: Command =
    Command::new("clear", "Clear the cache.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let caching = session.config.caching.clone().unwrap_or_default();
        if caching.cache_directory.as_os_str().is_empty() {
            return Err(CommandError::new("caching not enabled"));
        }
        let root = caching.cache_directory;
        // A part is a directory of kopia and the one of the same purpose of kopist.
        let parts = match matches.non_empty("partial") {
            Some(part) => vec![root.join(&part), root.join("kopist").join(&part)],
            None => vec![root],
        };
        for (number, dir) in parts.iter().enumerate() {
            if number > 0 && !dir.exists() {
                continue;
            }
            app.info(format!("Clearing cache directory: {}.", dir.display()));
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(CommandError::from(error).context("error removing cache directory"));
                }
                _ => {}
            }
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(dir).context("error creating cache directory")?;
            mark_directory(dir).context("error creating cache directory")?;
        }
        Ok(())
    })
}
