//! `cache set`

use std::path::Path;

use kopist_repo::{LocalConfig, config::CachingConfig};

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    env::absolute,
    error::{CommandError, Context as _},
    grammar::Matches,
    output::duration,
    session, upkeep,
};

const FLAGS: &[Flag] = &[
    Flag::int64("content-cache-size-mb", "Size to which the content cache is swept, in MB."),
    Flag::int64("content-cache-size-limit-mb", "Size that the content cache never exceeds, in MB."),
    Flag::duration("content-min-sweep-age", "Age below which cached contents are not swept."),
    Flag::int64("metadata-cache-size-mb", "Size to which the metadata cache is swept, in MB."),
    Flag::int64(
        "metadata-cache-size-limit-mb",
        "Size that the metadata cache never exceeds, in MB.",
    ),
    Flag::duration("metadata-min-sweep-age", "Age below which cached metadata is not swept."),
    Flag::duration("index-min-sweep-age", "Age below which cached indexes are not swept."),
    Flag::duration(
        "max-list-cache-duration",
        "Time for which a listing of index blobs may be reused.",
    ),
    Flag::text("cache-directory", "Directory of the cache."),
];

/// `cache set`
pub(super) static COMMAND: Command =
    Command::new("set", "Set parameters of the cache.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let path = &app.globals.config_file;
        let mut config = LocalConfig::load(path)?;
        let mut caching = config.caching.take().unwrap_or_default();
        if change(app, matches, &mut caching)? == 0 {
            return Err(CommandError::new("no changes"));
        }
        // Without a size there is no cache at all.
        let enabled = caching.content_cache_bytes != 0;
        config.caching = Some(if enabled { caching } else { CachingConfig::default() });
        config.save(path)?;
        upkeep::run_if_due(app, session)
    })
}

/// Applies the flags; returns how many changes there were. −1 leaves a value alone.
///
/// Sizes are in units of 10^6 bytes here, unlike those of `repository connect`.
fn change(
    app: &App,
    matches: &Matches,
    caching: &mut CachingConfig,
) -> Result<usize, CommandError> {
    let mut changes = 0;
    if let Some(dir) = matches.os("cache-directory").filter(|dir| !dir.is_empty()) {
        app.info(format!("setting cache directory to {}", dir.to_string_lossy()));
        caching.cache_directory =
            absolute(Path::new(dir)).context("unable to determine absolute cache path")?;
        changes += 1;
    }
    for (flag, what, field) in [
        ("content-cache-size-mb", "content cache size", &mut caching.content_cache_bytes),
        (
            "content-cache-size-limit-mb",
            "content cache size limit",
            &mut caching.content_cache_size_limit_bytes,
        ),
        ("metadata-cache-size-mb", "metadata cache size", &mut caching.metadata_cache_bytes),
        (
            "metadata-cache-size-limit-mb",
            "metadata cache size limit",
            &mut caching.metadata_cache_size_limit_bytes,
        ),
    ] {
        let Some(megabytes) = matches.int(flag).filter(|value| *value != -1) else { continue };
        let bytes = megabytes.saturating_mul(1_000_000);
        app.info(format!("changing {what} to {}", app.size(bytes)));
        *field = bytes;
        changes += 1;
    }
    for (flag, what, field) in [
        ("max-list-cache-duration", "list cache duration", &mut caching.max_list_cache_duration),
        (
            "metadata-min-sweep-age",
            "minimum metadata sweep age",
            &mut caching.min_metadata_sweep_age,
        ),
        ("content-min-sweep-age", "minimum content sweep age", &mut caching.min_content_sweep_age),
        ("index-min-sweep-age", "minimum index sweep age", &mut caching.min_index_sweep_age),
    ] {
        let Some(nanos) = matches.duration(flag).filter(|value| *value != -1) else { continue };
        app.info(format!("changing {what} to {}", duration(nanos)));
        *field = nanos as f64 / 1e9;
        changes += 1;
    }
    Ok(changes)
}
