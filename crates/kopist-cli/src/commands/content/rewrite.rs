//! `content rewrite`

use std::collections::{HashMap, HashSet};

use kopist_format::{
    id::ContentId,
    maintenance::{SafetyParameters, ShortPacks},
};
use kopist_repo::{ContentInfo, KeyRange, Repository, RepositoryWriter};

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::ids::{content_ids, content_range, visit_contents},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::int("parallelism", "Number of parallel operations.")
        .moot("contents are rewritten one after the other")
        .default("16"),
    Flag::switch("short", "Rewrite the contents of short packs."),
    Flag::int("format-version", "Rewrite contents of this format version.").default("-1"),
    Flag::text("pack-prefix", "Only contents in packs with this prefix."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
];

/// `content rewrite`
pub(super) static COMMAND: Command = Command::new("rewrite", "Rewrite contents into new packs.")
    .hidden()
    .flags(&[FLAGS, shared::ID_RANGE, shared::SAFETY])
    .args(&[Arg::text("contentID", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, writer| {
        app.require_dangerous()?;
        let none = matches.text("safety").as_deref() == Some("none");
        let safety = if none { SafetyParameters::NONE } else { SafetyParameters::FULL };
        let now = session.repo.clock().now().as_second();
        let youngest = now.saturating_sub(safety.rewrite_min_age.as_secs());
        let mut chosen = choose(&session.repo, matches).context("error rewriting contents")?;
        chosen.retain(|content| content.timestamp <= youngest);
        app.debug(format!("rewriting {} contents", chosen.len()));
        if matches.flag("dry-run") {
            return Ok(());
        }
        rewrite(app, writer, &chosen).context("error rewriting contents")
    })
}

/// The contents that are named, those of short packs and those of a format version, each once.
fn choose(repo: &Repository, matches: &Matches) -> Result<Vec<ContentInfo>, CommandError> {
    let named = content_ids(matches.texts("contentID"))?;
    let mut chosen = repo.locate(&named)?;
    let mut seen: HashSet<ContentId> = named.into_iter().collect();
    let prefix = matches.text("pack-prefix").unwrap_or_default();
    let short = if matches.flag("short") { find_short(repo, &prefix)? } else { HashSet::new() };
    let version = matches.int("format-version").unwrap_or(-1);
    let range = content_range(matches)?;
    visit_contents(repo, &range, |entry| {
        let wanted = short.contains(entry.pack)
            || i64::from(entry.format_version) == version && entry.pack.starts_with(&prefix);
        if wanted && seen.insert(entry.id) {
            chosen.push(entry.to_entry());
        }
        Ok(())
    })?;
    Ok(chosen)
}

fn find_short(repo: &Repository, prefix: &str) -> Result<HashSet<String>, CommandError> {
    let mut sizes: HashMap<String, u64> = HashMap::new();
    visit_contents(repo, &KeyRange::all(), |entry| {
        if entry.pack.starts_with(prefix) {
            *sizes.entry(entry.pack.to_owned()).or_default() += u64::from(entry.packed_length);
        }
        Ok(())
    })?;
    let sizes = sizes.iter().map(|(pack, size)| (pack.as_str(), *size));
    // Who asks for it gets all of them.
    let short = ShortPacks::all(sizes, repo.parameters().max_pack_size as u64);
    Ok(short.merge.into_iter().map(str::to_owned).collect())
}

fn rewrite(app: &App, writer: &RepositoryWriter, contents: &[ContentInfo]) -> Outcome {
    let mut failed = 0;
    for content in contents {
        if let Err(error) = writer.rewrite_content(&content.id) {
            app.error(format!("unable to rewrite content {}: {error}", content.id));
            failed += 1;
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(CommandError::new(format!("failed to rewrite {failed} contents"))),
    }
}
