//! `cache info`

use std::{fs, io, path::Path};

use kopist_repo::config::CachingConfig;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::Context as _,
    grammar::Matches,
    output::duration,
    session,
};

const FLAGS: &[Flag] = &[Flag::switch("path", "Print only the cache directory.")];

/// `cache info`
pub(super) static COMMAND: Command =
    Command::new("info", "Show the size of the cache.").flags(&[FLAGS]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let caching = session.config.caching.clone().unwrap_or_default();
        let root = &caching.cache_directory;
        if matches.flag("path") {
            return Ok(app.console.line(root.display().to_string())?);
        }
        // Ours are shown beside those that kopia made, also while there is nothing in them.
        let own = root.join("kopist");
        let mut dirs: Vec<_> = OWN.iter().map(|name| own.join(name)).collect();
        for entry in fs::read_dir(root).context("unable to scan cache directory")? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && entry.path() != own {
                dirs.push(entry.path());
            }
        }
        // kopia's listings: the duration that is set for them is shown with them.
        dirs.push(root.join("blob-list"));
        dirs.sort();
        dirs.dedup();
        for dir in dirs {
            let (files, bytes) = scan(&dir).context("unable to read cache directory")?;
            let limits = limits(app, &caching, &dir);
            let size = app.size(bytes);
            app.console.line(format!("{}: {files} files {size}{limits}", dir.display()))?;
        }
        app.console.error_line("To adjust cache sizes use 'kopia cache set'.");
        app.console.error_line("To clear caches use 'kopia cache clear'.");
        Ok(())
    })
}

/// The caches of this program, in `kopist` below the cache directory.
const OWN: [&str; 3] = ["contents", "indexes", "metadata"];

/// Files below a directory and their size. What is not there or vanishes meanwhile does not count.
fn scan(dir: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => {
                let (more_files, more_bytes) = scan(&entry.path())?;
                files += more_files;
                bytes += more_bytes;
            }
            Ok(meta) => {
                files += 1;
                bytes += meta.len();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok((files, bytes))
}

/// The limits of one of kopia's caches.
fn limits(app: &App, caching: &CachingConfig, dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let (soft, hard, age, default_age) = match &*name {
        "blob-list" => {
            let time = (caching.max_list_cache_duration * 1e9) as i64;
            return format!(" (duration: {})", duration(time));
        }
        "contents" | "server-contents" => (
            caching.content_cache_bytes,
            caching.content_cache_size_limit_bytes,
            caching.min_content_sweep_age,
            600.0,
        ),
        "metadata" => (
            caching.metadata_cache_bytes,
            caching.metadata_cache_size_limit_bytes,
            caching.min_metadata_sweep_age,
            86_400.0,
        ),
        _ => return String::new(),
    };
    let hard = if hard > 0 { app.size(hard) } else { "none".to_owned() };
    let age = if age > 0.0 { age } else { default_age };
    let (soft, age) = (app.size(soft), duration((age * 1e9) as i64));
    format!(" (soft limit: {soft}, hard limit: {hard}, min sweep age: {age})")
}
